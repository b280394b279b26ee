"""Residual networks: sizes, shortcuts, modes; PyTorch as a reference."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import models
from vfljax.models.resnet import zero_padded

IMAGES = jax.random.normal(jax.random.key(0), (6, 8, 6, 3))


def _count(model, images):
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def _built(model, images=IMAGES):
    statistics = models.init_statistics(model, images)
    return jax.jit(model.init)(jax.random.key(1), images), statistics


_embed = jax.jit(models.embed, static_argnums=0)


def _stage(inputs, width, blocks):
    """3×3 convolutions without bias, each followed by a scale and a bias."""
    first = 9 * inputs * width + 2 * width
    return first + (2 * blocks - 1) * (9 * width * width + 2 * width)


def test_published_number_of_parameters():
    images = jnp.zeros((1, 32, 16, 3))
    assert _count(models.resnet(20, embed=10), images) == 269_722
    assert _count(models.resnet18(embed=10), images) == 11_173_962


@pytest.mark.parametrize(("depth", "blocks"), [(8, 1), (14, 2), (56, 9)])
def test_number_of_parameters_by_hand(depth, blocks):
    w = 5
    expected = 9 * 3 * w + 2 * w  # stem
    expected += _stage(w, w, blocks) + _stage(w, 2 * w, blocks)
    expected += _stage(2 * w, 4 * w, blocks) + 4 * w * 7 + 7
    assert _count(models.resnet(depth, embed=7, width=w), IMAGES) == expected


def test_number_of_parameters_of_resnet18_by_hand():
    w, images = 4, jnp.zeros((1, 8, 8))  # one channel
    expected = 9 * w + 2 * w + _stage(w, w, 2) + 8 * w * 5 + 5
    for inputs in (w, 2 * w, 4 * w):
        width = 2 * inputs
        expected += _stage(inputs, width, 2) + inputs * width + 2 * width
    assert _count(models.resnet18(embed=5, width=w), images) == expected


@pytest.mark.parametrize(("stages", "pooled"), [(0, 4), (1, 4), (2, 8), (3, 16)])
def test_stages_cut_the_network(stages, pooled):
    model = models.resnet(8, embed=5, width=4, stages=stages)
    shapes = jax.eval_shape(model.init, jax.random.key(0), IMAGES)
    assert shapes["output"]["kernel"].shape == (pooled, 5)
    assert sum(name.startswith("stage") for name in shapes) == stages


def test_shortcut_between_stages_by_hand():
    """Every other pixel, and a channel of zeros before and after: 1 -> (0, x, 0)."""
    image = jnp.arange(12.0).reshape(1, 4, 3, 1)
    result = zero_padded(image, 3, 2, False)
    np.testing.assert_array_equal(result[0, :, :, 1], [[0, 2], [6, 8]])
    np.testing.assert_array_equal(result[..., ::2], 0.0)
    even = zero_padded(jnp.ones((1, 2, 2, 16)), 32, 2, False)
    np.testing.assert_array_equal(even[0, 0, 0], [0] * 8 + [1] * 16 + [0] * 8)


def test_kernels_start_kaiming_normal():
    """Variance 2/inputs; of 40 × 640 normal numbers some exceed three deviations."""
    params, _ = _built(models.resnet(8, embed=640, width=10))
    kernel = np.asarray(params["output"]["kernel"]) / (2 / 40) ** 0.5
    np.testing.assert_allclose(kernel.std(), 1.0, rtol=0.02)
    assert np.abs(kernel).max() > 3
    bias = np.abs(params["output"]["bias"])
    assert 0.9 * 40**-0.5 < bias.max() <= 40**-0.5
    kernel = params["stage_2_block_0"]["second"]["kernel"]
    np.testing.assert_allclose(kernel.std(), (2 / (9 * 40)) ** 0.5, rtol=0.03)


@pytest.mark.parametrize(
    "model",
    [models.resnet(8, embed=3, width=4, stages=2), models.resnet18(embed=3, width=2)],
)
def test_samples_meet_in_training_alone(model):
    params, statistics = _built(model)
    changed = IMAGES.at[0].add(1.0)

    def shift(forward):
        before = _embed(model, params, IMAGES, forward)
        return np.abs(_embed(model, params, changed, forward) - before).max(axis=1)

    alone = shift(models.Forward(statistics))
    assert alone[0] > 1e-3
    np.testing.assert_allclose(alone[1:], 0.0, atol=1e-6)
    together = shift(models.Forward(statistics, jax.random.key(2), is_training=True))
    assert together[1:].max() > 1e-3


def test_dropout_before_the_classifier():
    """Half of the pooled units are lost, the others doubled: all other layers agree."""
    model = models.resnet18(embed=3, width=2)
    params, statistics = _built(model)
    params["output"] = {"kernel": jnp.eye(16, 3), "bias": jnp.zeros(3)}
    embed = jax.jit(lambda *forward: models.embed(model, params, IMAGES, *forward))

    def pooled(seed):
        forward = models.Forward(statistics, jax.random.key(seed), is_training=True)
        return np.asarray(embed(forward))

    some, others = pooled(2), pooled(3)
    np.testing.assert_array_equal(some, pooled(2))
    is_kept = (some != 0) & (others != 0)
    assert 0 < is_kept.mean() < 0.6
    assert (some == 0).any()
    np.testing.assert_allclose(some[is_kept], others[is_kept], rtol=1e-4, atol=1e-6)


def test_gradient_is_finite_and_reaches_every_parameter():
    model = models.resnet(8, embed=3, width=4, stages=2)
    params, statistics = _built(model)
    forward = models.Forward(statistics, is_training=True)

    @jax.jit
    @jax.grad
    def gradient(params):
        return (models.embed(model, params, IMAGES, forward) ** 2).sum()

    for leaf in jax.tree.leaves(gradient(params)):
        assert np.isfinite(leaf).all()
        assert np.abs(leaf).max() > 0


def test_images_without_channels_have_one():
    model, images = models.resnet(8, embed=3, width=4, stages=0), IMAGES[..., 0]
    params, statistics = _built(model, images)
    forward = models.Forward(statistics)
    np.testing.assert_array_equal(
        _embed(model, params, images, forward),
        _embed(model, params, images[..., None], forward),
    )


def test_equals_pytorch():
    """The network written again with PyTorch's functions, from the same numbers."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    model = models.resnet(8, embed=3, width=4)
    params, statistics = _built(model)

    def tensor(x):
        return torch.tensor(np.asarray(x))

    def normalized(x, layer):
        scale, bias = tensor(layer["scale"]), tensor(layer["bias"])
        return functional.batch_norm(x, None, None, scale, bias, training=True)

    def convolved(x, layer, stride=1):
        kernel = tensor(layer["kernel"]).permute(3, 2, 0, 1)
        return functional.conv2d(x, kernel, stride=stride, padding=1)

    x = tensor(IMAGES).permute(0, 3, 1, 2)
    x = functional.relu(normalized(convolved(x, params["stem"]), params["stem_norm"]))
    for stage in range(3):
        block = params[f"stage_{stage}_block_0"]
        stride = 2 if stage else 1
        y = normalized(convolved(x, block["first"], stride), block["first_norm"])
        y = convolved(functional.relu(y), block["second"])
        if stage:
            side = x.shape[1] // 2
            x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, side, side))
        x = functional.relu(normalized(y, block["second_norm"]) + x)
    weight, bias = tensor(params["output"]["kernel"]), tensor(params["output"]["bias"])
    expected = x.mean(dim=(2, 3)) @ weight + bias
    forward = models.Forward(statistics, is_training=True)
    ours = _embed(model, params, IMAGES, forward)
    np.testing.assert_allclose(ours, expected.numpy(), rtol=1e-3, atol=1e-4)


def test_equal_arguments_are_one_object():
    assert models.resnet(8, embed=3) is models.resnet(8, width=16, embed=3)
    assert models.resnet18(embed=3) is models.resnet18(embed=3, width=64)


def test_bad_arguments():
    for depth in (2, 18, 21):
        with pytest.raises(ValueError, match=rf"depth={depth}: must be 6n \+ 2"):
            models.resnet(depth, embed=3)
    with pytest.raises(ValueError, match="stages=4: must be 0, 1, 2 or 3"):
        models.resnet(8, embed=3, stages=4)
    with pytest.raises(ValueError, match="width=0: must be >= 1"):
        models.resnet(8, embed=3, width=0)
    with pytest.raises(ValueError, match="embed=0: must be >= 1"):
        models.resnet18(embed=0)
    with pytest.raises(ValueError, match=r"dropout=1.0: must be in \[0, 1\)"):
        models.resnet18(embed=3, dropout=1.0)
    model = models.resnet(8, embed=3, width=4)
    with pytest.raises(ValueError, match="must be images"):
        model.init(jax.random.key(0), jnp.zeros((2, 5)))
