"""Gradient compression by hand, and its count against exact fractions."""

from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax.defenses.gradient_compression import gradient_compression

MESSAGE = [[1.0, -5.0, 2.0], [4.0, -3.0, 6.0]]
TIES = [[2.0, -2.0], [1.0, 2.0], [-1.0, 3.0]]


def compress(keep_fraction, message, **options):
    message = jnp.asarray(message, jnp.float32)
    defense = gradient_compression(keep_fraction, **options)
    unused: Any = None
    return defense.perturb(unused, (), message, unused, unused)[0]


@pytest.mark.parametrize(
    ("reading", "kept"),
    [
        ("paper", [[0.0, -5.0, 0.0], [4.0, 0.0, 6.0]]),
        ("released", [[0.0, -5.0, 0.0], [0.0, 0.0, 6.0]]),
    ],
)
def test_by_hand(reading, kept):
    """Magnitudes 1..6: k = 3, the third largest is 4, which "strictly larger" loses."""
    np.testing.assert_array_equal(compress(0.5, MESSAGE, reading=reading), kept)


@pytest.mark.parametrize(
    ("reading", "kept"),
    [
        ("paper", [[2.0, -2.0], [0.0, 2.0], [0.0, 3.0]]),
        ("released", [[0.0, 0.0], [0.0, 0.0], [0.0, 3.0]]),
    ],
)
def test_ties_by_hand(reading, kept):
    """Magnitudes 3, 2, 2, 2, 1, 1 and k = 2: the three twos stay or go together."""
    np.testing.assert_array_equal(compress(0.34, TIES, reading=reading), kept)


def test_all_is_exactly_no_defense_but_not_as_released():
    message = jax.random.normal(jax.random.key(0), (7, 3))
    np.testing.assert_array_equal(compress(1.0, message), message)
    assert jnp.sum(compress(1.0, message, reading="released") == 0) == 1


@pytest.mark.parametrize("reading", ["paper", "released"])
def test_nothing_to_keep_sends_zeros(reading):
    """A tenth of six entries is none."""
    sent = compress(0.1, MESSAGE, reading=reading)
    np.testing.assert_array_equal(sent, np.zeros((2, 3)))


def test_count_is_that_of_exact_fractions():
    """0.29 · 100 is 28.999... in floating point, and 29."""
    message = 1.0 + jax.random.permutation(jax.random.key(1), 100).reshape(10, 10)
    percents = np.arange(1, 101)
    count = jax.jit(jax.vmap(lambda f: jnp.sum(compress(f, message) != 0)))
    np.testing.assert_array_equal(count(percents / 100), percents)
    np.testing.assert_array_equal(count((percents - 0.5) / 100), percents - 1)


def test_count_of_a_large_message():
    """At 20,480 entries a float32 is too coarse to floor, without being guarded."""
    total = 20480
    message = 1.0 + jnp.arange(float(total)).reshape(2048, 10)
    percents = [1, 7, 29, 33, 57, 58, 99]
    count = jax.jit(lambda f, message: jnp.sum(compress(f, message) != 0))
    for percent in percents:
        expected = int(Fraction(percent, 100) * total)
        assert count(percent / 100, message) == expected
    for expected in np.random.default_rng(0).integers(1, total, 20):
        assert count(expected / total, message) == expected


@pytest.mark.parametrize("reading", ["paper", "released"])
def test_traced_fractions_equal_fixed_ones(reading):
    message = jax.random.normal(jax.random.key(2), (8, 5))
    fractions = jnp.array([0.01, 0.1, 0.29, 0.5, 0.75, 1.0])
    mapped = jax.jit(jax.vmap(lambda f: compress(f, message, reading=reading)))
    for fraction, sent in zip(fractions, mapped(fractions), strict=True):
        alone = compress(float(fraction), message, reading=reading)
        np.testing.assert_array_equal(sent, alone)


def test_a_nan_is_not_hidden():
    sent = compress(0.5, [[jnp.nan, 1.0], [2.0, 0.5]])
    np.testing.assert_array_equal(sent, [[np.nan, 0.0], [2.0, 0.0]])


def test_permuting_the_samples_permutes_the_message():
    message = jax.random.normal(jax.random.key(3), (6, 4))
    order = jnp.array([3, 0, 5, 1, 2, 4])
    sent = compress(0.3, message)
    np.testing.assert_array_equal(compress(0.3, message[order]), sent[order])


def test_is_applied_to_everybody_and_breaks_the_zero_sum():
    defense = gradient_compression(0.5)
    assert defense.covers_label_party
    assert not defense.keeps_zero_sum


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gradient_compression(0.0), r"keep_fraction=0.0: must be in \(0, 1\]"),
        (lambda: gradient_compression(1.1), "keep_fraction=1.1"),
        (lambda: gradient_compression(float("nan")), "keep_fraction=nan"),
        (
            lambda: gradient_compression(0.5, reading="fu"),  # pyright: ignore
            "reading='fu': must be one of paper, released",
        ),
    ],
)
@pytest.mark.usefixtures("unchecked_types")
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
