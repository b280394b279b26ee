"""Property inference and counts: what is simulated, aggregates, and what is absent."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import attacks, goals
from vfljax.attacks import Known
from vfljax.attacks.property_batches import own_samples, simulate_batch
from vfljax.attacks.property_inference import PropertyReadings
from vfljax.models import PartyModel
from vfljax.protocol import UpdateView


def judge(inference, truth, size=8):
    nothing = np.zeros(0, int)
    given = goals.Truth(
        np.asarray(truth), nothing, nothing > 0, 2, {"batch_size": size}
    )
    return goals.PROPERTY.score(jax.device_get(inference), given, True)


def samples_of(properties):
    """Samples that are their own numbers, with labels of the same parity."""
    number = jnp.arange(len(properties))

    def send(key, features, labels):
        return features, labels

    return Known(
        auxiliary_features=number[:, None].astype(jnp.float32),
        auxiliary_labels=number % 2,
        auxiliary_properties=jnp.array(properties),
        simulate=jax.tree_util.Partial(
            lambda key, features, labels: (features, labels)
        ),
    )


@pytest.mark.parametrize(("participants", "num_steps"), [(1, 1), (3, 1), (3, 2)])
def test_a_batch_has_its_share_and_its_half(participants, num_steps):
    """Six of eight of the first participant's samples, in each step; of others none."""
    generator = np.random.default_rng(0)
    properties = generator.random(60) < 0.4
    known = samples_of(properties.tolist())
    view = _view(participants, num_steps)
    samples = own_samples(known)
    seen: list[set[int]] = [set(), set()]
    draw = jax.jit(
        lambda key, half: simulate_batch(
            key, view, known, samples, jnp.array(0.7), half
        )
    )
    for half in (0, 1):
        for seed in range(5):
            (features, labels), share = draw(jax.random.key(seed), jnp.array(half))
            rows = np.asarray(features)[..., 0].astype(int)
            assert rows.shape == (num_steps, 8 * participants)
            np.testing.assert_array_equal(labels, rows % 2)
            has = properties[rows]
            assert share == 6 / 8
            np.testing.assert_array_equal(has[:, :8].sum(axis=1), 6)
            assert not has[:, 8:].any()
            seen[half] |= set(rows.ravel().tolist())
    assert not seen[0] & seen[1]
    counts = samples.table.counts.reshape(2, 2)
    np.testing.assert_array_equal(
        counts.sum(axis=0), [(~properties).sum(), properties.sum()]
    )
    assert np.abs(counts[0] - counts[1]).max() <= 1


def _view(participants, num_steps):
    """A view of which only the sizes matter."""
    return UpdateView(
        model=PartyModel(init=lambda key, x: None, apply=lambda params, x: x),
        params=None,
        update=None,
        learning_rate=0.1,
        num_classes=2,
        batch_size=8 * participants,
        sample_shape=(1,),
        num_steps=num_steps,
        num_participants=participants,
    )


def test_a_single_sample_is_in_both_halves():
    known = samples_of([False, False, True, False])
    samples = own_samples(known)
    view = _view(1, 1)
    for half in (0, 1):
        (features, _), _ = simulate_batch(
            jax.random.key(half), view, known, samples, jnp.array(1.0), jnp.array(half)
        )
        np.testing.assert_array_equal(np.asarray(features), 2.0)
    assert samples.is_fit


@pytest.mark.parametrize("has_it", [True, False])
@pytest.mark.parametrize(
    "attack", [attacks.PropertyInference(), attacks.PropertyCounts()]
)
def test_samples_of_one_kind_alone_are_no_answer(make_views, attack, has_it):
    """The adversary can't tell what it has no example of."""
    keys, views, known = make_views(0, 8, 1, 1)
    known = known.replace(
        auxiliary_properties=jnp.full_like(known.auxiliary_properties, has_it)
    )
    read = jax.jit(functools.partial(attacks.read_rounds, attack.reader))
    readings = read(keys, views, known)
    answer = attack(jax.random.key(0), readings)
    assert not answer.finite
    assert np.isnan(answer.scores).all()


def test_an_aggregate_is_compared_with_aggregates(make_rounds):
    """The mean of two participants, of two local steps each."""
    attack = attacks.PropertyInference()
    sight = make_rounds(attack, 0, 32, 2, 2)
    answer = jax.jit(attack)(jax.random.key(0), sight.view)
    np.testing.assert_array_equal(sight.view.num_samples, 64)
    found = judge(answer, sight.truth, 64)
    assert found["auc"] > 0.8
    assert found["count_error"] < found["count_error_chance"]


def test_least_squares_counts(make_rounds):
    """Batches of 64, in which the error is well below that of the mean count."""
    attack = attacks.PropertyCounts()
    sight = make_rounds(attack, 0, 64)
    found = judge(jax.jit(attack)(jax.random.key(0), sight.view), sight.truth, 64)
    assert found["auc"] == 1.0
    assert found["count_error"] < 0.35 < found["count_error_chance"]


def readings(direction, shares, observed, seed=0, width=200):
    """Readings of rounds where the share moves features in one direction."""
    generator = np.random.default_rng(seed)
    rounds = len(observed)
    line = generator.normal(size=width) * direction / width**0.5
    simulated = generator.normal(size=(rounds, len(shares), width))
    simulated = simulated + np.multiply.outer(shares, line)
    seen = generator.normal(size=(rounds, width)) + np.multiply.outer(observed, line)
    return PropertyReadings(
        observed=jnp.array(seen, jnp.float32),
        simulated=jnp.array(simulated, jnp.float32),
        shares=jnp.tile(jnp.array(shares, jnp.float32), (rounds, 1)),
        num_samples=jnp.full(rounds, 10),
    )


@pytest.mark.parametrize("classifier", ["ridge", "logistic", "forest"])
def test_an_injected_direction_is_found_and_an_absent_one_is_not(classifier):
    """A pure batch is standard deviations away; the AUC grows with its share."""
    shares = np.array([1, 1, 0.4, 0.4, 0.6, 0.6, 0.8, 0.8] + 8 * [0.0])
    attack = attacks.PropertyInference(classifier=classifier)
    run = attack if attack.runs_on_host else jax.jit(attack)
    found = []
    for share in (1.0, 0.3, 0.0):
        observed = np.tile([share, 0.0], 40)
        answer = run(jax.random.key(0), readings(6.0, shares, observed))
        found.append(judge(answer, np.tile([10, 0], 40), 10)["auc"])
    assert found[0] > 0.95
    assert found[0] > found[1] > 0.55
    assert abs(found[2] - 0.5) < 0.2  # three standard errors
    answer = run(jax.random.key(0), readings(0.0, shares, np.tile([1.0, 0.0], 40)))
    assert abs(judge(answer, np.tile([10, 0], 40), 10)["auc"] - 0.5) < 0.2


def test_what_is_simulated_at_once_does_not_matter(make_rounds):
    first, second = (
        make_rounds(
            attacks.PropertyInference(reader=attacks.PropertyReader(batches_at_once=n))
        ).view
        for n in (1, 5)
    )
    np.testing.assert_allclose(first.simulated, second.simulated, atol=1e-3)


@pytest.mark.parametrize("fractions", [(), (0.0,), (0.5, 1.5)])
def test_bad_fractions_are_refused(fractions):
    with pytest.raises(ValueError, match=r"fractions=.*each in \(0, 1\]"):
        attacks.PropertyReader(fractions=fractions)


def test_bad_options_are_refused():
    with pytest.raises(ValueError, match=r"num_negatives=0: must be in \[1, inf\]"):
        attacks.PropertyReader(num_negatives=0)
