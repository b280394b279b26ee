"""Cross-entropy and its derivative."""

import jax
import jax.numpy as jnp
import numpy as np

from vfljax import losses


def test_cross_entropy_by_hand():
    """Logits (0, ln 3) are (1/4, 3/4); targets (1, 0) and (.5, .5)."""
    logits = jnp.log(jnp.array([[1.0, 3.0], [1.0, 3.0]]))
    targets = jnp.array([[1.0, 0.0], [0.5, 0.5]])
    expected = (-np.log(0.25) - 0.5 * np.log(0.25) - 0.5 * np.log(0.75)) / 2
    np.testing.assert_allclose(
        losses.cross_entropy(logits, targets), expected, rtol=1e-6
    )


def test_logit_gradient_is_the_derivative():
    key_logits, key_targets = jax.random.split(jax.random.key(0))
    logits = jax.random.normal(key_logits, (7, 4))
    targets = jax.nn.softmax(jax.random.normal(key_targets, (7, 4)))
    np.testing.assert_allclose(
        losses.logit_gradient(logits, targets),
        jax.grad(losses.cross_entropy)(logits, targets),
        atol=1e-7,
    )
