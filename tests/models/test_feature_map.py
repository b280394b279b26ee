"""The last feature map of a residual network, and heat maps of what it says."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import models

IMAGES = jax.random.normal(jax.random.key(0), (3, 8, 6, 3))


class Cut(NamedTuple):
    """A network with running statistics that are not those of the start, in parts."""

    embedding: jax.Array
    params: models.Params
    parts: models.ResNet
    feature_map: jax.Array


@functools.cache
def cut(stages):
    model = models.resnet(8, embed=5, width=4, stages=stages)
    parts = models.ResNet(depth=8, width=4, stages=stages)

    @jax.jit
    def built(key):
        params = model.init(key, IMAGES)
        start = models.init_statistics(model, IMAGES)
        training = models.Forward(start, is_training=True)
        _, statistics = models.run(model, params, IMAGES, training)
        embedding = models.embed(model, params, IMAGES, models.Forward(statistics))
        return embedding, params, parts.feature_map(params, IMAGES, statistics)

    embedding, params, feature_map = built(jax.random.key(1))
    return Cut(embedding, params, parts, feature_map)


@pytest.mark.parametrize(("stages", "shape"), [(0, (3, 8, 6, 4)), (3, (3, 2, 2, 16))])
def test_the_parts_make_the_network(stages, shape):
    """Six columns become three, then two, as strides round up."""
    whole = cut(stages)
    assert whole.feature_map.shape == shape
    embedding = whole.parts.embedding(whole.params, whole.feature_map)
    np.testing.assert_allclose(embedding, whole.embedding, rtol=1e-5, atol=1e-6)


def test_parts_refuse_what_the_network_refuses():
    with pytest.raises(ValueError, match=r"depth=9: must be 6n \+ 2"):
        models.ResNet(depth=9)
    with pytest.raises(ValueError, match="stages=4: must be 0, 1, 2 or 3"):
        models.ResNet(depth=8, stages=4)
    with pytest.raises(ValueError, match="width=0: must be >= 1"):
        models.ResNet(depth=8, width=0)


def test_heat_map_by_hand():
    """y = A_00,0² + 2 A_01,1 with A = [[(3, 1), (−1, 4)]].

    ∂y/∂A_0 = (6, 0), so α_0 = 3; ∂y/∂A_1 = (0, 2), so α_1 = 1. The sums are 3·3 + 1 =
    10 and −3 + 4 = 1. For −y both are negative, and nothing is left.
    """
    feature_map = jnp.array([[[[3.0, 1.0], [-1.0, 4.0]]]])

    def score_fn(maps):
        return maps[:, 0, 0, 0] ** 2 + 2 * maps[:, 0, 1, 1]

    heat = models.grad_cam(score_fn, feature_map)
    np.testing.assert_allclose(heat, [[[10.0, 1.0]]])
    nothing = models.grad_cam(lambda maps: -score_fn(maps), feature_map)
    np.testing.assert_array_equal(nothing, [[[0.0, 0.0]]])


def test_each_image_has_its_own_weights():
    maps = jax.random.normal(jax.random.key(2), (3, 2, 4, 5))

    def score_fn(maps):
        return jnp.tanh(maps[..., 1:]).sum(axis=(1, 2, 3)) - maps[..., 0].mean((1, 2))

    heat = jax.jit(lambda maps: models.grad_cam(score_fn, maps))
    together = heat(maps)
    alone = np.concatenate([heat(maps[row : row + 1]) for row in range(3)])
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)
    assert together.shape == (3, 2, 4)
    assert (together > 0).any()


def test_after_a_pool_it_is_class_activation_mapping():
    """Zhou et al. (2016): linear after the pool, α is the class's weights over Z."""
    whole = cut(3)
    maps, kernel = np.asarray(whole.feature_map), whole.params["output"]["kernel"]
    expected = np.maximum(maps @ np.asarray(kernel) / 4, 0)
    assert 0.1 < (expected > 0).mean() < 0.9
    for number in range(5):
        heat = models.grad_cam(
            lambda maps, number=number: whole.parts.embedding(whole.params, maps)[
                :, number
            ],
            whole.feature_map,
        )
        np.testing.assert_allclose(heat, expected[..., number], rtol=1e-4, atol=1e-6)
