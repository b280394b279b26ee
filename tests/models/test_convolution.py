"""Ways to convolve and to pool against each other and against the definition."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from vfljax.models.convolution import Convolution, by_library, by_patches, max_pool


@pytest.mark.parametrize("pads", [True, False])
@pytest.mark.parametrize(
    ("shape", "size", "stride"),
    [((2, 6, 4, 3), 3, 1), ((2, 5, 6, 3), 3, 2), ((2, 5, 6, 3), 1, 2)],
)
def test_the_two_agree_and_so_do_their_gradients(shape, size, stride, pads):
    key_x, key_kernel, key_weight = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(key_x, shape)
    kernel = jax.random.normal(key_kernel, (size, size, 3, 5))
    expected = by_library(x, kernel, stride, pads)
    found = by_patches(x, kernel, stride, pads)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    weight = jax.random.normal(key_weight, expected.shape)

    def gradients(convolve):
        def loss(x, kernel):
            return (weight * convolve(x, kernel, stride, pads)).sum()

        return jax.jit(jax.grad(loss, argnums=(0, 1)))(x, kernel)

    for ours, theirs in zip(gradients(by_patches), gradients(by_library), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_known_answer():
    """An image (1 2; 3 4) and a kernel that takes the right neighbor: (2 0; 4 0)."""
    image = jnp.array([[1.0, 2.0], [3.0, 4.0]])[None, :, :, None]
    kernel = jnp.zeros((3, 3, 1, 1)).at[1, 2].set(1.0)
    shifted = by_patches(image, kernel, 1)[0, :, :, 0]
    np.testing.assert_array_equal(shifted, [[2, 0], [4, 0]])


def test_without_padding_by_hand():
    """The image and the kernel are 1, ..., 9: the sum of nine squares."""
    image = jnp.arange(1.0, 10.0).reshape(1, 3, 3, 1)
    found = by_patches(image, image.reshape(3, 3, 1, 1), 1, pads=False)
    np.testing.assert_array_equal(found, [[[[285.0]]]])


def test_kept_patches_change_nothing():
    """Nor does a map over batches with one kernel, as participants have it."""
    zeros = jax.nn.initializers.zeros
    x = jax.random.normal(jax.random.key(0), (3, 2, 6, 5, 2))
    normal = jax.nn.initializers.normal(1.0)

    def gradients(keeps_patches, over):
        layer = Convolution(
            4, 3, 1, normal, zeros, pads=False, keeps_patches=keeps_patches
        )
        params = layer.init(jax.random.key(1), x[0])

        def loss(params, x):
            found: Any = layer.apply(params, x)
            return jnp.sum(found**2)

        def gradient(x):
            return jax.grad(loss)(params, x)

        return jax.jit(lambda x: over(gradient, x))(x)

    def mapped(f, x):
        return jax.vmap(f)(x)

    first = gradients(False, jax.lax.map)
    for keeps, over in ((True, jax.lax.map), (False, mapped), (True, mapped)):
        for ours, theirs in zip(
            jax.tree.leaves(gradients(keeps, over)), jax.tree.leaves(first), strict=True
        ):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(2, 6, 4, 3), (2, 5, 7, 3)])
def test_max_pool_is_the_librarys(shape):
    """In value and, without ties, in gradient; odd rows and columns are left out."""
    key_x, key_weight = jax.random.split(jax.random.key(0))
    x = jax.random.normal(key_x, shape)

    def library(x):
        return linen.max_pool(x, (2, 2), strides=(2, 2))

    expected = library(x)
    np.testing.assert_array_equal(max_pool(x), expected)
    weight = jax.random.normal(key_weight, expected.shape)
    ours, theirs = (
        jax.grad(lambda x, pool=pool: (weight * pool(x)).sum())(x)
        for pool in (max_pool, library)
    )
    np.testing.assert_array_equal(ours, theirs)


def test_a_tie_shares_its_gradient():
    """(5 5; 5 1): the rows' larger ones are 5, 5 and their halves 1/4, 1/2 and 1/4."""
    image = jnp.array([[5.0, 5.0], [5.0, 1.0]])[None, :, :, None]
    gradient = jax.grad(lambda x: max_pool(x).sum())(image)[0, :, :, 0]
    np.testing.assert_array_equal(gradient, [[0.25, 0.5], [0.25, 0.0]])
