"""PPDL by hand, against the published loop in NumPy, and against published figures."""

from typing import Any, Literal, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax.defenses.ppdl import ppdl

MESSAGE = [[0.9, -0.2], [0.6, -0.7]]
# Without noise the entries of at least 0.5 pass, clipped to 0.8.
NOISELESS = {"epsilon": float("inf"), "bound": 0.8, "threshold": 0.5}
Exhausted = Literal["raw", "zero"]
EXHAUSTED = ("raw", "zero")


def release_eagerly(
    fraction, message, seed=0, exhausted: Exhausted = "raw", constants=None
):
    message = jnp.asarray(message, jnp.float32)
    defense = ppdl(fraction, exhausted=exhausted, **(constants or {}))
    unused: Any = None
    return defense.perturb(jax.random.key(seed), (), message, unused, unused)[0]


release = jax.jit(release_eagerly, static_argnames="exhausted")


def release_often(num_trials, *args):
    over_seeds = jax.vmap(lambda seed: release(*args[:2], seed, *args[2:]))
    return jax.jit(over_seeds)(jnp.arange(num_trials))


@pytest.mark.parametrize("exhausted", EXHAUSTED)
def test_enough_candidates_by_hand(exhausted):
    """c = 3 and three entries pass, so none is sent in the clear."""
    sent = release(0.75, MESSAGE, 0, exhausted, NOISELESS)
    np.testing.assert_allclose(sent, [[0.8, 0.0], [0.6, -0.7]])


@pytest.mark.parametrize(("exhausted", "left"), [("raw", -0.2), ("zero", 0.0)])
def test_too_few_candidates_by_hand(exhausted, left):
    """c = 4 and three entries pass: the fourth, -0.2, is sent raw or not at all."""
    sent = release(1.0, MESSAGE, 0, exhausted, NOISELESS)
    np.testing.assert_allclose(sent, [[0.8, left], [0.6, -0.7]])


def test_candidates_are_taken_in_random_order():
    """c = 1 and three entries pass: each is the one sent a third of the time."""
    sent = np.asarray(release_often(3000, 0.25, MESSAGE, "raw", NOISELESS))
    assert np.all(np.sum(sent != 0, axis=(1, 2)) == 1)
    shares = np.mean(sent != 0, axis=0)
    np.testing.assert_allclose(shares, [[1 / 3, 0], [1 / 3, 1 / 3]], atol=0.04)


@pytest.mark.parametrize("exhausted", EXHAUSTED)
def test_all_without_noise_is_exactly_no_defense(exhausted):
    message = [[0.25, -0.5], [0.0, -7.0]]
    inf = float("inf")
    constants = {"epsilon": inf, "bound": inf, "threshold": 0.0}
    sent = release(1.0, message, 0, exhausted, constants)
    np.testing.assert_array_equal(sent, message)


@pytest.mark.parametrize("exhausted", EXHAUSTED)
def test_nothing_to_release_sends_zeros(exhausted):
    """A tenth of four entries is none."""
    sent = release(0.1, MESSAGE, 0, exhausted, NOISELESS)
    np.testing.assert_array_equal(sent, np.zeros((2, 2)))


def test_count_is_that_of_exact_fractions():
    """0.29 · 100 is 28.999... in floating point, and 29."""
    percents = np.arange(1, 101)
    ones = jnp.ones((20, 5))
    sent = jax.vmap(lambda f: release(f, ones, 0, "raw", NOISELESS))
    num_sent = jnp.sum(jax.jit(sent)(percents / 100) != 0, axis=(1, 2))
    np.testing.assert_array_equal(num_sent, percents)


def published_loop(rng, message, c, epsilons, bound, threshold, exhausted):
    """The loop of the released code over one flat message, from its description."""
    message, n = message.copy(), message.size
    compare_scale, release_scale = 2 * c / epsilons[0], 2 * c / epsilons[1]
    unused, released = list(range(n)), set()
    bar = rng.laplace(scale=compare_scale)
    while len(released) < c:
        if not unused:
            if exhausted == "raw":
                return message
            break
        place = unused.pop(rng.integers(len(unused)))
        magnitude = abs(np.clip(message[place], -bound, bound))
        if magnitude + rng.laplace(scale=2 * compare_scale) >= threshold + bar:
            noisy = message[place] + rng.laplace(scale=release_scale)
            message[place] = np.clip(noisy, -bound, bound)
            released.add(place)
            bar = rng.laplace(scale=compare_scale)
    return np.array([x if i in released else 0.0 for i, x in enumerate(message)])


def largest_z(sent, reference, message):
    """The largest z statistic of any moment or frequency of any entry."""

    def features(x):
        return np.concatenate([x, abs(x), x == 0, x == message, x > 0.7], axis=1)

    left, right = features(sent), features(reference)
    error = np.sqrt(left.var(0) / len(left) + right.var(0) / len(right))
    return np.max(np.abs(left.mean(0) - right.mean(0)) / np.maximum(error, 1e-9))


@pytest.mark.parametrize("exhausted", EXHAUSTED)
def test_is_distributed_as_the_published_loop_and_no_other(exhausted):
    """c = 3 of six entries whose magnitudes matter: s(ε₁) = 0.19, s(ε₂) = 0.75.

    The loop with ε₁ and ε₂ exchanged is told apart.
    """
    message = np.array([0.9, -0.6, 0.05, -0.02, 0.3, -1.4], np.float32)
    trials, epsilon, bound, threshold = 4000, 36.0, 0.8, 0.3
    constants = {"epsilon": epsilon, "bound": bound, "threshold": threshold}
    sent = release_often(trials, 0.5, message.reshape(2, 3), exhausted, constants)
    sent = np.asarray(sent, np.float64).reshape(trials, 6)
    rng = np.random.default_rng(0)

    def loop(epsilons):
        args = (message.astype(np.float64), 3, epsilons, bound, threshold, exhausted)
        return np.array([published_loop(rng, *args) for _ in range(trials)])

    shares = (epsilon * 8 / 9, epsilon * 2 / 9)
    assert largest_z(sent, loop(shares), message) < 4.5
    assert largest_z(sent, loop(shares[::-1]), message) > 8


class Attacked(NamedTuple):
    """Per published fraction and seed, (4, 500)."""

    first_negative: jax.Array
    most_negative: jax.Array
    num_sent: jax.Array


@pytest.fixture(scope="module")
def attacked() -> dict[str, Attacked]:
    """Direct inference of 32 samples of ten classes, by `exhausted`."""

    def trial(fraction, seed):
        keys = jax.random.split(jax.random.key(seed), 2)
        labels = jax.random.randint(keys[0], (32,), 0, 10)
        logits = 0.5 * jax.random.normal(keys[1], (32, 10))
        message = (jax.nn.softmax(logits) - jax.nn.one_hot(labels, 10)) / 32

        def attack(exhausted):
            sent = release(fraction, message, 10_000 + seed, exhausted)
            first = jnp.argmax(sent < 0, axis=1)
            is_hit = jnp.any(sent < 0, axis=1) & (first == labels)
            return Attacked(
                first_negative=jnp.mean(is_hit),
                most_negative=jnp.mean(jnp.argmin(sent, axis=1) == labels),
                num_sent=jnp.sum(sent != 0),
            )

        return {exhausted: attack(exhausted) for exhausted in EXHAUSTED}

    over_seeds = jax.vmap(trial, in_axes=(None, 0))
    over_fractions = jax.jit(jax.vmap(over_seeds, in_axes=(0, None)))
    return over_fractions(jnp.array([0.75, 0.5, 0.25, 0.1]), jnp.arange(500))


def test_published_attack_accuracies_need_the_raw_entries(attacked):
    """Table 6 of Fu et al., CIFAR-10: .3904, .3891, .0972, .0430.

    60 seeds of the released loop give .384, .384, .088, .040.

    By hand: 37 % of the entries pass, half of them negative, q = .184 of all. For the
    first two fractions the others are raw, so a label's entry is negative with
    probability p = .63 + q = .816, any other with q, and the first negative entry is
    the label's with p · (1 − (1 − q)¹⁰) / (10 q) = .385. Tolerance: four standard
    errors, .018, as a seed's accuracy varies by .1.
    """
    first = attacked["raw"].first_negative.mean(axis=1)
    np.testing.assert_allclose(first, [0.3904, 0.3891, 0.0972, 0.0430], atol=0.02)
    np.testing.assert_allclose(first, [0.384, 0.384, 0.088, 0.040], atol=0.02)
    assert float(first[0]) == pytest.approx(float(first[1]), abs=1e-3)
    most = attacked["raw"].most_negative.mean(axis=1)
    np.testing.assert_allclose(most[:2], 0.73, atol=0.02)


def test_without_raw_entries_nothing_is_left_to_attack(attacked):
    """Chance: the entries' signs are random, and a share q of all are negative.

    The first of them is the label's with (1 − (1 − q)¹⁰) / 10 < .1, where q is half of
    .37, .37, .25 and .1. Tolerance: four standard errors, .009, of a seed's .05.
    """
    negative = np.array([0.184, 0.184, 0.125, 0.05])
    first = attacked["zero"].first_negative.mean(axis=1)
    np.testing.assert_allclose(first, (1 - (1 - negative) ** 10) / 10, atol=0.01)
    assert np.all(first < 0.1)
    most = attacked["zero"].most_negative.mean(axis=1)
    np.testing.assert_allclose(most, 0.1, atol=0.01)
    num_sent = np.asarray(attacked["zero"].num_sent)
    assert np.all(num_sent <= [[240], [160], [80], [32]])
    np.testing.assert_allclose(num_sent[:2].mean() / 320, 0.37, atol=0.01)


def test_published_constants_do_not_see_the_message():
    """Two messages with nothing in common are sent as the same one of ±bound."""
    first = jax.random.normal(jax.random.key(2), (32, 10)) / 32
    second = jax.random.normal(jax.random.key(3), (32, 10)) / 32
    sent = np.asarray(release(0.25, first, exhausted="zero"))
    np.testing.assert_array_equal(sent, release(0.25, second, exhausted="zero"))
    np.testing.assert_allclose(abs(sent[sent != 0]), 1e-3, rtol=1e-6)
    assert 20 < np.sum(sent > 0) < 60  # 40 of 80, standard deviation 4.5


def test_traced_numbers_equal_fixed_ones():
    message = jax.random.normal(jax.random.key(4), (8, 5))
    fractions = jnp.array([0.01, 0.1, 0.29, 0.5, 0.75, 1.0])
    constants = {"epsilon": 50.0, "sensitivity": 0.5, "bound": 0.7, "threshold": 0.1}
    args = (message, 5, "raw", constants)
    mapped = jax.jit(jax.vmap(lambda fraction: release(fraction, *args)))(fractions)
    for place, fraction in enumerate(fractions):
        alone = release_eagerly(float(fraction), *args)
        np.testing.assert_allclose(mapped[place], alone, rtol=1e-6)


def test_is_one_scan():
    program = str(jax.make_jaxpr(lambda x: release_eagerly(0.5, x))(jnp.ones((32, 10))))
    assert program.count(" scan[") == 1
    assert " while[" not in program


def test_is_applied_to_everybody_and_breaks_the_zero_sum():
    defense = ppdl(0.5)
    assert defense.covers_label_party
    assert not defense.keeps_zero_sum
    chex.assert_trees_all_equal(defense.init(), ())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ppdl(0.0), r"release_fraction=0.0: must be in \(0, 1\]"),
        (lambda: ppdl(1.5), "release_fraction=1.5"),
        (lambda: ppdl(float("nan")), "release_fraction=nan"),
        (
            lambda: ppdl(0.5, exhausted="keep"),  # pyright: ignore
            "exhausted='keep': must be one of raw, zero",
        ),
        (lambda: ppdl(0.5, epsilon=0.0), "epsilon=0.0"),
        (lambda: ppdl(0.5, sensitivity=0), "sensitivity=0"),
        (lambda: ppdl(0.5, bound=-1.0), "bound=-1.0"),
        (lambda: ppdl(0.5, threshold=-0.1), r"threshold=-0.1: must be in \[0, inf\]"),
    ],
)
@pytest.mark.usefixtures("unchecked_types")
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
