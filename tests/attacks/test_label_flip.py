"""Eq. 13: with the right label inferred, a message becomes that of another label."""

import jax
import jax.numpy as jnp
import numpy as np

from vfljax import attacks, losses


def test_the_message_is_that_of_the_target_class():
    logits = jax.random.normal(jax.random.key(0), (4, 3))
    labels, wanted = jnp.array([0, 1, 2, 1]), jnp.array([2, 1, 2, 2])
    inferred = jnp.array([1, 0, -1, -1, 1])  # of samples 0 to 4
    batch = jnp.array([1, 2, 3, 4])
    message = losses.logit_gradient(logits, jax.nn.one_hot(labels, 3))
    expected = losses.logit_gradient(logits, jax.nn.one_hot(wanted, 3))
    flip = attacks.label_flip(inferred, 2, 1.0)
    np.testing.assert_allclose(flip.receive(message, batch), expected, atol=1e-7)
    amplified = attacks.label_flip(inferred, 2, 10.0).receive(message, batch)
    scale = jnp.array([10.0, 1, 1, 10])[:, None]
    np.testing.assert_allclose(amplified, scale * expected, atol=1e-6)


def test_codes_take_the_place_of_one_hot_labels():
    logits = jax.random.normal(jax.random.key(1), (2, 3))
    codes = jax.nn.softmax(3 * jax.random.normal(jax.random.key(2), (3, 3)))
    message = losses.logit_gradient(logits, codes[jnp.array([0, 1])])
    expected = losses.logit_gradient(logits, codes[jnp.array([2, 2])])
    flip = attacks.label_flip(jnp.array([0, 1]), jnp.array(2), 1.0, codes=codes)
    found = jax.jit(flip.receive)(message, jnp.arange(2))
    np.testing.assert_allclose(found, expected, atol=1e-7)
