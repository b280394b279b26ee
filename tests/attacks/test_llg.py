"""LLG, LLG* and LLG+: closed forms against full backward passes, and the extraction."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import attacks, models, protocol
from vfljax.attacks.llg import Calibration, calibrate, extract
from vfljax.goals.label_counts import overlap
from vfljax.known import Known

ALL = [attacks.LLG(), attacks.LLGStar(dummy="one"), attacks.LLGPlus()]


def extract_one_by_one(sums, impact, offset, total):
    """The published loop, one label after the other."""

    def certain(state, _):
        sums, waiting, counts = state
        best = jnp.argmin(jnp.where(waiting, sums, jnp.inf))
        takes = waiting[best] & (jnp.sum(counts) < total)
        counts = counts.at[best].add(takes)
        sums = sums.at[best].add(jnp.where(takes, -impact, 0.0))
        return (sums, waiting.at[best].set(False), counts), None

    def more(state, _):
        sums, counts = state
        best = jnp.argmin(sums)
        takes = jnp.sum(counts) < total
        counts = counts.at[best].add(takes)
        return (sums.at[best].add(jnp.where(takes, -impact, 0.0)), counts), None

    start = sums, sums < 0, jnp.zeros(len(sums), int)
    (sums, _, counts), _ = jax.lax.scan(certain, start, length=len(sums))
    state, _ = jax.lax.scan(more, (sums - offset, counts), length=total)
    return state[1]


@pytest.mark.parametrize("total", [1, 5, 30])
def test_extraction_equals_the_published_loop(total):
    """Numbers in eighths, so that sums are exact and most draws have ties."""
    generator = np.random.default_rng(total)
    one_by_one = jax.jit(extract_one_by_one, static_argnames="total")
    at_once = jax.jit(extract, static_argnames="total")
    seen_ties = 0
    for _ in range(60):
        sums = generator.integers(-16, 17, 6) / 8
        offset = generator.integers(0, 5, 6) / 8
        impact = -generator.integers(1, 9) / 8
        args = [jnp.asarray(x, jnp.float32) for x in (sums, impact, offset)]
        expected = one_by_one(*args, total=total)
        found = at_once(args[0], Calibration(args[1], args[2]), total=total)
        np.testing.assert_array_equal(found, expected)
        assert found.sum() == total
        seen_ties += len(set((sums - offset).tolist())) < 6
    assert seen_ties > 10


def stale_one_by_one(sums, impact, offset, total):
    """As breaching has it: after the first stage the last class's sum rises always."""
    counts, left = np.zeros(len(sums), int), np.array(sums, float)
    for place in np.argsort(left, kind="stable"):
        if left[place] < 0 and counts.sum() < total:
            counts[place] += 1
            left[place] -= impact
    left = left - offset
    while counts.sum() < total:
        counts[np.argmin(left)] += 1
        left[-1] -= impact
    return counts


def test_the_stale_index_is_that_of_a_loop_and_worse_than_the_right_one():
    generator, rates = np.random.default_rng(0), {True: [], False: []}
    at_once = jax.jit(extract, static_argnames=("total", "is_stale"))
    for _ in range(40):
        # 20 labels, each of which adds -1/20 to its sum, and a small offset.
        true = generator.multinomial(20, [0.4, 0.2, 0.2, 0.1, 0.1])
        offset = generator.integers(0, 3, 5) / 128
        sums, impact = -true / 32 + offset, -1 / 32
        calibration = Calibration(jnp.float32(impact), jnp.asarray(offset, jnp.float32))
        for is_stale, of in rates.items():
            given = jnp.asarray(sums, jnp.float32), calibration, 20
            found = np.asarray(at_once(*given, is_stale=is_stale))
            of.append(overlap(found, true))
            if is_stale:
                expected = stale_one_by_one(sums, impact, offset, 20)
                np.testing.assert_array_equal(found, expected)
    assert min(rates[False]) == 1.0
    assert np.mean(rates[True]) < 0.75


def test_more_negative_sums_than_labels_are_truncated_to_the_most_negative():
    sums = jnp.array([-0.1, -0.4, -0.2, -0.3])
    found = extract(sums, Calibration(jnp.array(-0.1), jnp.zeros(4)), 2)
    np.testing.assert_array_equal(found, [0, 1, 0, 1])


def test_without_an_impact_one_class_gets_the_rest():
    sums = jnp.array([0.3, 0.1, 0.2])
    for impact in (0.0, 0.7):
        found = extract(sums, Calibration(jnp.array(impact), jnp.zeros(3)), 5)
        np.testing.assert_array_equal(found, [0, 5, 0])


@pytest.mark.parametrize("attack", ALL, ids=lambda attack: type(attack).__name__)
def test_one_label_is_told_for_certain(attack, make_update):
    """Features behind a ReLU are not negative, so the one negative sum is the label."""
    run = jax.jit(attack)
    for seed in range(8):
        sight = make_update(seed=seed, batch=1, classes=4)
        counts = run(jax.random.key(0), sight.view, sight.known).counts
        np.testing.assert_array_equal(counts, np.bincount(sight.truth, minlength=4))


@jax.jit
def row_sums(view, features, labels):
    """By a backward pass through the whole network."""
    gradient = protocol.batch_gradient(
        view.model, view.params, features, labels, view.num_classes
    )
    return jnp.sum(protocol.head_of(gradient, "output")[0], axis=1)


@jax.jit
def calibration_of(view, known):
    return calibrate(view, known, "output")


@pytest.mark.parametrize("dummy", [0.0, 1.0])
def test_constant_dummies_equal_the_released_estimate(dummy, make_update):
    """A batch of B equal dummies for each class, back and forth; ten are ten times it.

    m = (1 + 1/n)/(n·B) Σ_c B-fold row c, s_i = mean over c != i of row i.
    """
    view = make_update(classes=4).view
    hidden = view.params["hidden_0"] | {"bias": jnp.linspace(0.1, 0.9, 16)}
    view = dataclasses.replace(view, params=view.params | {"hidden_0": hidden})
    dummies = jnp.full((8, 12), dummy)
    rows = jnp.stack([row_sums(view, dummies, jnp.full(8, c)) for c in range(4)])
    impact = (1 + 1 / 4) * jnp.mean(jnp.diag(rows)) / 8
    offset = jnp.sum(rows * (1 - jnp.eye(4)), axis=0) / 3
    attack = attacks.LLGStar(dummy="one" if dummy else "zero")
    found = jax.jit(attack)(jax.random.key(0), view).info
    assert impact < -0.01
    np.testing.assert_allclose(found.impact, impact, rtol=1e-4)
    np.testing.assert_allclose(found.raw - found.corrected, offset, rtol=1e-3)


def test_labeled_samples_equal_the_released_estimate(make_update):
    """All samples of a class as its batch: forty samples, ten of each class."""
    sight = make_update(classes=4)
    view, known = sight.view, sight.known
    rows = jnp.stack(
        [
            row_sums(view, known.auxiliary_features[c::4], known.auxiliary_labels[c::4])
            for c in range(4)
        ]
    )
    impact = (1 + 1 / 4) * jnp.mean(jnp.diag(rows)) / 8
    offset = jnp.sum(rows * (1 - jnp.eye(4)), axis=0) / 3
    found = calibration_of(view, known)
    np.testing.assert_allclose(found.impact, impact, rtol=1e-4)
    np.testing.assert_allclose(found.offset, offset, rtol=1e-4)


def test_many_auxiliary_samples_go_through_in_parts(make_update):
    """Six hundred in three parts: each of the forty 15 times, then one more."""
    sight = make_update(classes=4)
    view, known = sight.view, sight.known
    many = Known(
        auxiliary_features=jnp.tile(known.auxiliary_features, (15, 1)),
        auxiliary_labels=jnp.tile(known.auxiliary_labels, 15),
    )
    once, often = (calibration_of(view, each) for each in (known, many))
    np.testing.assert_allclose(once.impact, often.impact, rtol=1e-4)
    np.testing.assert_allclose(once.offset, often.offset, rtol=1e-4)
    odd = Known(
        auxiliary_features=jnp.concatenate(
            [many.auxiliary_features, jnp.ones((1, 12))]
        ),
        auxiliary_labels=jnp.append(many.auxiliary_labels, 3),
    )
    by_class = [
        np.asarray(odd.auxiliary_features)[np.asarray(odd.auxiliary_labels) == c]
        for c in range(4)
    ]
    diagonal = [
        row_sums(view, of_class, jnp.full(len(of_class), c))[c]
        for c, of_class in enumerate(by_class)
    ]
    expected = (1 + 1 / 4) * np.mean(diagonal) / 8
    np.testing.assert_allclose(calibration_of(view, odd).impact, expected, rtol=1e-4)


def test_a_class_without_samples_gives_no_answer(make_update):
    sight = make_update(classes=4)
    view, known = sight.view, sight.known
    labels = jnp.where(known.auxiliary_labels == 2, 1, known.auxiliary_labels)
    inference = attacks.LLGPlus()(None, view, known.replace(auxiliary_labels=labels))
    assert not inference.finite
    np.testing.assert_array_equal(inference.counts, 0)


@pytest.mark.parametrize("attack", ALL, ids=lambda attack: type(attack).__name__)
def test_tiny_steps_are_one_large_batch(attack, make_update):
    """η → 0: the sum of K gradients is K times that of one batch of K·B samples."""
    sight = make_update(batch=6, classes=4, num_steps=5)
    view = sight.view
    steps = sight.features.reshape(5, 6, 12)

    @jax.jit
    def send(params):
        of_steps = protocol.local_update(
            view.model,
            params,
            steps,
            sight.truth.reshape(5, 6),
            learning_rate=1e-7,
            num_classes=4,
        )
        return of_steps, protocol.batch_gradient(
            view.model, params, sight.features, sight.truth, 4
        )

    tiny, one = send(view.params)
    of_steps = dataclasses.replace(view, update=tiny)
    of_batch = dataclasses.replace(view, update=one, batch_size=30, num_steps=1)
    first, second = (
        jax.jit(attack)(None, each, sight.known) for each in (of_steps, of_batch)
    )
    np.testing.assert_array_equal(first.counts, second.counts)
    assert first.counts.sum() == 30


def test_the_released_reading_is_too_small_for_several_steps(make_update):
    sight = make_update(batch=6, classes=4, num_steps=5)
    ours, released = (
        jax.jit(attacks.LLGPlus(reading=reading))(None, sight.view, sight.known)
        for reading in ("consistent", "released")
    )
    np.testing.assert_allclose(ours.info.impact, 5 * released.info.impact, rtol=1e-6)
    offsets = [x.info.raw - x.info.corrected for x in (ours, released)]
    np.testing.assert_allclose(offsets[0], 5 * offsets[1], rtol=1e-3)
    true = np.bincount(sight.truth, minlength=4)
    rates = [overlap(np.asarray(x.counts), true) for x in (ours, released)]
    assert rates[0] > rates[1] + 0.2
    once = make_update(classes=4)
    ours, released = (
        jax.jit(attacks.LLGPlus(reading=reading))(None, once.view, once.known)
        for reading in ("consistent", "released")
    )
    np.testing.assert_array_equal(ours.counts, released.counts)


def test_random_dummies_are_drawn_by_the_key(make_update):
    """In [0, 1]: the impact lies near that of dummies of one half for many draws."""
    view = make_update(classes=4).view
    linear = models.mlp((), embed=4)
    params = linear.init(jax.random.key(0), jnp.zeros((1, 12)))
    view = dataclasses.replace(view, model=linear, params=params, update=params)
    attack = attacks.LLGStar(dummy="random", num_dummies=4000)
    first, second = (
        jax.jit(attack)(jax.random.key(seed), view).info for seed in (0, 1)
    )
    assert first.impact != second.impact
    expected = -(1 - 1 / 16) * 12 * 0.5 / 8
    np.testing.assert_allclose(first.impact, expected, rtol=0.02)


def test_bad_options_are_refused(make_update):
    with pytest.raises(ValueError, match=r"num_dummies=0: must be in \[1, inf\]"):
        attacks.LLGStar(num_dummies=0)
    with pytest.raises(ValueError, match="layer='head'"):
        attacks.LLG(layer="head")(None, make_update().view)
