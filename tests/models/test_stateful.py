"""Batch normalization and dropout through `stateful_model`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from vfljax import models


class _Normalized(nn.Module):
    @nn.compact
    def __call__(self, x, is_training):
        return models.batch_norm(is_training)(x)


class _Dropped(nn.Module):
    @nn.compact
    def __call__(self, x, is_training):
        is_kept = not models.is_dropping(self, is_training)
        return nn.Dropout(0.5, deterministic=is_kept)(nn.Dense(64)(x))


NORMALIZED = models.stateful_model(_Normalized())
DROPPED = models.stateful_model(_Dropped(), has_statistics=False)


def test_batch_normalization_by_hand():
    """Column 0: mean 2, variance 1, (1, 3) -> (-1, 1). Column 1: mean 5, variance 9.

    Running statistics: .9·0 + .1·2 = .2 and .9·0 + .1·5 = .5; .9 + .1·1 = 1 and
    .9 + .1·9 = 1.8.
    """
    x = jnp.array([[1.0, 2.0], [3.0, 8.0]])
    params = NORMALIZED.init(jax.random.key(0), x)
    statistics = models.init_statistics(NORMALIZED, x)
    forward = models.Forward(statistics, is_training=True)
    normalized, updated = models.run(NORMALIZED, params, x, forward)
    np.testing.assert_allclose(normalized, [[-1, -1], [1, 1]], atol=1e-5)
    (layer,) = updated.values()
    np.testing.assert_allclose(layer["mean"], [0.2, 0.5], rtol=1e-6)
    np.testing.assert_allclose(layer["var"], [1.0, 1.8], rtol=1e-6)


def test_evaluation_uses_running_statistics_and_returns_them_unchanged():
    """(3 - 1)/2 = 1 with mean 1 and variance 4, whatever else is in the batch."""
    x = jnp.array([[3.0], [100.0]])
    params = NORMALIZED.init(jax.random.key(0), x)
    statistics = models.init_statistics(NORMALIZED, x)
    (name,) = statistics
    statistics = {name: {"mean": jnp.array([1.0]), "var": jnp.array([4.0])}}
    normalized, same = models.run(NORMALIZED, params, x, models.Forward(statistics))
    np.testing.assert_allclose(normalized[0], 1.0, rtol=1e-5)
    assert same is statistics


def test_initial_statistics_are_those_of_the_module():
    x = jnp.ones((7, 3))
    (layer,) = models.init_statistics(NORMALIZED, x).values()
    np.testing.assert_array_equal(layer["mean"], np.zeros(3))
    np.testing.assert_array_equal(layer["var"], np.ones(3))


def test_variance_keeps_its_digits_far_from_zero():
    """Mean 4096 and variance 1: E[x²] needs 24 bits for 2^24, none left for 1."""
    x = 4096.0 + jnp.array([[-1.0], [1.0]])
    params = NORMALIZED.init(jax.random.key(0), x)
    forward = models.Forward(models.init_statistics(NORMALIZED, x), is_training=True)
    normalized = models.embed(NORMALIZED, params, x, forward)
    np.testing.assert_allclose(normalized, [[-1], [1]], atol=1e-5)


def test_dropout_is_fixed_by_its_key_and_by_training():
    x = jnp.ones((3, 4))
    params = DROPPED.init(jax.random.key(0), x)

    def embed(is_training, seed=None):
        key = None if seed is None else jax.random.key(seed)
        forward = models.Forward((), key, is_training)
        embedding, statistics = models.run(DROPPED, params, x, forward)
        assert statistics == ()
        return np.asarray(embedding)

    full = embed(False)
    np.testing.assert_array_equal(embed(True), full)
    np.testing.assert_array_equal(embed(False, 1), full)
    np.testing.assert_array_equal(embed(True, 1), embed(True, 1))
    assert (embed(True, 1) != embed(True, 2)).any()
    dropped = embed(True, 1)
    is_dropped = dropped == 0
    assert 0.3 < is_dropped.mean() < 0.7
    np.testing.assert_allclose(dropped[~is_dropped], 2 * full[~is_dropped], rtol=1e-6)


def test_without_statistics_none_are_asked_for():
    assert models.init_statistics(DROPPED, jnp.ones((3, 4))) == ()


def test_apply_says_what_to_use():
    with pytest.raises(ValueError, match=r"models\.embed.*forward"):
        NORMALIZED.apply({}, jnp.ones((2, 1)))
