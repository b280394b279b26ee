"""Both ways to convolve against each other and against the definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax.models.convolution import by_library, by_patches


@pytest.mark.parametrize(
    ("shape", "size", "stride"),
    [((2, 6, 4, 3), 3, 1), ((2, 5, 6, 3), 3, 2), ((2, 5, 6, 3), 1, 2)],
)
def test_the_two_agree_and_so_do_their_gradients(shape, size, stride):
    key_x, key_kernel, key_weight = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(key_x, shape)
    kernel = jax.random.normal(key_kernel, (size, size, 3, 5))
    expected = by_library(x, kernel, stride)
    np.testing.assert_allclose(by_patches(x, kernel, stride), expected, atol=1e-5)
    weight = jax.random.normal(key_weight, expected.shape)

    def gradients(convolve):
        def loss(x, kernel):
            return (weight * convolve(x, kernel, stride)).sum()

        return jax.jit(jax.grad(loss, argnums=(0, 1)))(x, kernel)

    for ours, theirs in zip(gradients(by_patches), gradients(by_library), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_known_answer():
    """An image (1 2; 3 4) and a kernel that takes the right neighbor: (2 0; 4 0)."""
    image = jnp.array([[1.0, 2.0], [3.0, 4.0]])[None, :, :, None]
    kernel = jnp.zeros((3, 3, 1, 1)).at[1, 2].set(1.0)
    shifted = by_patches(image, kernel, 1)[0, :, :, 0]
    np.testing.assert_array_equal(shifted, [[2, 0], [4, 0]])
