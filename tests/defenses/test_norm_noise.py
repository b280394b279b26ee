"""Max-norm and isotropic noise: lengths by hand, distributions, edge cases."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from vfljax.defenses.norm_noise import isotropic, max_norm

MESSAGE = jnp.array([[3.0, 4.0, -7.0], [0.3, -0.4, 0.1], [0.0, 0.0, 0.0]]) / 2048


def perturb(defense, message, seed=0):
    ids = jnp.arange(len(message))
    return defense.perturb(jax.random.key(seed), defense.init(), message, ids, ids)[0]


def test_max_norm_stretches_by_the_stated_distribution():
    """Rows of length 1 and 3: z = (sent / row − 1)/√8 is standard normal."""
    row = np.array([2.0, -1.0, 2.0]) / 3
    message = jnp.asarray(np.stack([3 * row, *[row] * 3000]), jnp.float32)
    sent = np.asarray(perturb(max_norm(), message))
    np.testing.assert_array_equal(sent[0], message[0])
    stretch = sent[1:] / np.asarray(message[1:])
    np.testing.assert_allclose(stretch[:, 1:], stretch[:, :-1], rtol=1e-5, atol=1e-6)
    draws = (stretch[:, 0] - 1) / 8**0.5
    assert scipy.stats.kstest(draws, scipy.stats.norm.cdf).pvalue > 0.01
    wrong = scipy.stats.norm(scale=1.25)
    assert scipy.stats.kstest(draws, wrong.cdf).pvalue < 1e-4
    half = np.asarray(perturb(max_norm(0.5), message))[1:] / np.asarray(message[1:])
    np.testing.assert_allclose(half - 1, (stretch - 1) / 2, rtol=1e-3, atol=1e-5)


def test_max_norm_gives_every_row_the_expected_length_of_the_longest():
    """E‖g (1 + z√(m²/n² − 1))‖² = n² (1 + m²/n² − 1) = m², 20,000 draws a row."""
    keys = jax.random.split(jax.random.key(1), 20_000)
    ids = jnp.arange(3)
    sent = jax.vmap(lambda key: max_norm().perturb(key, (), MESSAGE, ids, ids)[0])(keys)
    squares = np.mean(np.sum(np.asarray(sent, np.float64) ** 2, axis=2), axis=0)
    longest = float(jnp.sum(MESSAGE[0] ** 2))
    np.testing.assert_allclose(squares, [longest, longest, 0.0], rtol=0.05)
    np.testing.assert_array_equal(sent[:, 2], 0.0)


def test_max_norm_keeps_rows_at_zero_sum():
    message = jax.random.normal(jax.random.key(3), (50, 4))
    message -= message.mean(axis=1, keepdims=True)
    sent = perturb(max_norm(), message)
    assert max_norm().keeps_zero_sum
    np.testing.assert_allclose(sent.sum(axis=1), 0.0, atol=1e-5)


def test_max_norm_of_rows_that_almost_vanish():
    """Lengths 1e-18 and 1: the noise is of length 1, not infinite."""
    message = jnp.array([[1e-18, -1e-18], [0.6, -0.8]])
    sent = perturb(max_norm(), message)
    assert jnp.all(jnp.isfinite(sent))
    assert 0.01 < float(jnp.linalg.norm(sent[0])) < 4
    np.testing.assert_array_equal(perturb(max_norm(), 0 * message), 0 * message)


def test_isotropic_noise_has_its_scale_and_no_other():
    """Longest row 5, width 4, ratio .2: standard deviation .2·5/√4 = .5."""
    message = jnp.zeros((2000, 4)).at[7].set(jnp.array([3.0, 0.0, -4.0, 0.0]))
    noise = np.asarray(perturb(isotropic(0.2), message) - message).ravel()
    assert scipy.stats.kstest(noise, scipy.stats.norm(scale=0.5).cdf).pvalue > 0.01
    wrong = scipy.stats.norm(scale=0.5 * 1.2)
    assert scipy.stats.kstest(noise, wrong.cdf).pvalue < 1e-4
    assert not isotropic(0.2).keeps_zero_sum


@pytest.mark.parametrize("make", [max_norm, isotropic])
def test_strength_is_traced_mapped_and_zero_is_exactly_no_defense(make):
    strengths = jnp.array([0.0, 0.3, 1.0])
    mapped = jax.jit(jax.vmap(lambda s: perturb(make(s), MESSAGE)))(strengths)
    for place, strength in enumerate(strengths):
        alone = perturb(make(float(strength)), MESSAGE)
        np.testing.assert_allclose(mapped[place], alone, rtol=1e-5, atol=1e-9)
    np.testing.assert_array_equal(perturb(make(0.0), MESSAGE), MESSAGE)
    np.testing.assert_array_equal(mapped[0], MESSAGE)


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"share=-0.5: must be in \[0, inf\]"):
        max_norm(-0.5)
    with pytest.raises(ValueError, match="ratio=-1"):
        isotropic(-1)
