"""The networks for faces: sizes, NumPy's forward pass, layers' outputs, dropout."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import models
from vfljax.models import FaceCNN, FaceVGG

SMALL = FaceCNN(filters=(3, 4, 5), hidden=6)
IMAGES = jax.random.normal(jax.random.key(0), (3, 24, 29, 2))


def shapes_of(network, shape):
    model = network.make(2)
    params = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, *shape)))
    return jax.tree.map(lambda leaf: leaf.shape, params)


def started(network, images=IMAGES, seed=1):
    model = network.make(2)
    return model, jax.jit(model.init)(jax.random.key(seed), images)


def moved(params):
    """Parameters whose biases are not zero, so that none can hide."""
    return jax.tree.map(lambda leaf: leaf + 0.05, params)


def test_published_sizes_for_lfw():
    """62×47 → 60×45 → 30×22 → 28×20 → 14×10 → 12×8 → 6×4, times 128: 3,072."""
    shapes = shapes_of(FaceCNN(), (62, 47, 3))
    assert {name: layer["kernel"] for name, layer in shapes.items()} == {
        "conv_1": (3, 3, 3, 32),
        "conv_2": (3, 3, 32, 64),
        "conv_3": (3, 3, 64, 128),
        "hidden": (3072, 256),
        "output": (256, 2),
    }


def test_the_other_sizes():
    """50×50 → 24 → 11 → 4, of 128; 32×32 → 15 → 6 → 2."""
    assert shapes_of(FaceCNN(), (50, 50, 3))["hidden"]["kernel"] == (2048, 256)
    assert shapes_of(FaceCNN(), (32, 32, 3))["hidden"]["kernel"] == (512, 256)
    assert shapes_of(FaceCNN(), (22, 22))["hidden"]["kernel"] == (128, 256)


@pytest.mark.parametrize(("size", "inputs"), [(128, 4096), (64, 1024), (32, 256)])
def test_ten_layers_with_weights(size, inputs):
    """128/2⁵ = 4: 4·4·256 inputs of the hidden layer."""
    shapes = shapes_of(FaceVGG(), (size, size, 3))
    assert len(shapes) == 10
    assert shapes["hidden"]["kernel"] == (inputs, 512)
    assert shapes["conv_5_2"]["kernel"] == (3, 3, 256, 256)


def test_start_is_glorot_uniform_with_zero_biases():
    """The variance of the uniform distribution in ±√(6/(i + o)) is 2/(i + o)."""
    params = started(FaceCNN(), jnp.zeros((1, 32, 32, 3)))[1]
    ends = {"conv_3": 9 * (64 + 128), "hidden": 512 + 256}
    for name, inputs_and_outputs in ends.items():
        entries = np.asarray(params[name]["kernel"])
        bound = (6 / inputs_and_outputs) ** 0.5
        assert 0.99 * bound < np.abs(entries).max() <= bound
        np.testing.assert_allclose(entries.var(), bound**2 / 3, rtol=0.02)
    for layer in params.values():
        np.testing.assert_array_equal(layer["bias"], 0.0)


def numpy_network(params, images):
    """Pixel by pixel; what each pool and the hidden layer put out, and the logits."""
    x, outputs = np.asarray(images, np.float64), []
    for name in ("conv_1", "conv_2", "conv_3"):
        kernel, bias = (np.asarray(params[name][part]) for part in ("kernel", "bias"))
        height, width = x.shape[1] - 2, x.shape[2] - 2
        y = np.zeros((len(x), height, width, kernel.shape[3]))
        for row in range(height):
            for column in range(width):
                patch = x[:, row : row + 3, column : column + 3]
                y[:, row, column] = np.tensordot(patch, kernel, 3) + bias
        y = np.maximum(y, 0.0)
        x = np.zeros((len(x), height // 2, width // 2, y.shape[3]))
        for row in range(height // 2):
            for column in range(width // 2):
                square = y[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
                x[:, row, column] = square.max(axis=(1, 2))
        outputs.append(x)
    dense = jax.tree.map(np.asarray, {k: params[k] for k in ("hidden", "output")})
    x = x.reshape(len(x), -1) @ dense["hidden"]["kernel"] + dense["hidden"]["bias"]
    x = np.maximum(x, 0.0)
    return [*outputs, x], x @ dense["output"]["kernel"] + dense["output"]["bias"]


def test_numpy_gives_the_same():
    """24×29 → 22×27 → 11×13 → 9×11 → 4×5 → 2×3 → 1×1: odd sizes in both directions."""
    model, params = started(SMALL)
    params = moved(params)
    outputs, logits = numpy_network(params, IMAGES)
    found = jax.jit(model.apply)(params, IMAGES)
    np.testing.assert_allclose(found, logits, rtol=1e-4, atol=1e-5)
    layers = jax.jit(SMALL.layer_outputs)(params, IMAGES)
    names = ["pool_1", "pool_2", "pool_3", "hidden"]
    assert layers.keys() == set(names)
    for name, output in zip(names, outputs, strict=True):
        np.testing.assert_allclose(layers[name], output, rtol=1e-4, atol=1e-5)


def test_layers_are_those_of_evaluation_whatever_the_dropout():
    params = moved(started(SMALL)[1])
    dropping = FaceCNN(filters=SMALL.filters, hidden=SMALL.hidden, dropout=0.5)
    plain = SMALL.layer_outputs(params, IMAGES)
    for name, output in dropping.layer_outputs(params, IMAGES).items():
        np.testing.assert_array_equal(output, plain[name])


@pytest.mark.parametrize(
    ("network", "size"),
    [
        (FaceCNN(filters=(2, 2, 3), hidden=8, dropout=0.5), 24),
        (FaceVGG(filters=(2, 2, 3, 4, 16), hidden=32, dropout=0.5), 32),
    ],
)
def test_dropout_acts_in_training_with_a_key(network, size):
    images = jax.random.uniform(jax.random.key(3), (2, size, size, 3))
    model, params = started(network, images)
    params = moved(params)
    embed = jax.jit(models.embed, static_argnums=0)

    def logits(seed, is_training=True):
        forward = models.Forward((), jax.random.key(seed), is_training)
        return np.asarray(embed(model, params, images, forward))

    assert model.drops
    full = logits(1, is_training=False)
    np.testing.assert_array_equal(logits(1), logits(1))
    assert np.abs(logits(1) - full).max() > 1e-4
    assert np.abs(logits(1) - logits(2)).max() > 1e-4


def test_dropout_is_after_the_pools_alone():
    """All units but those of the pools are kept: with one of each, by its two values.

    Images of ones and kernels of ones/9 give ones after the convolution; hidden and
    output of one unit with weight one are what the pooled unit is: 0 or 1/(1 − .2).
    """
    network = FaceCNN(filters=(1,), hidden=1, dropout=0.2)
    images = jnp.ones((500, 4, 4, 1))
    model = network.make(1)
    params = {
        "conv_1": {"kernel": jnp.full((3, 3, 1, 1), 1 / 9), "bias": jnp.zeros(1)},
        "hidden": {"kernel": jnp.ones((1, 1)), "bias": jnp.zeros(1)},
        "output": {"kernel": jnp.ones((1, 1)), "bias": jnp.zeros(1)},
    }
    forward = models.Forward((), jax.random.key(0), is_training=True)
    found = np.asarray(models.embed(model, params, images, forward))
    np.testing.assert_allclose(found[found != 0], 1.25, rtol=1e-6)
    assert np.mean(found == 0) == pytest.approx(0.2, abs=0.06)  # 3.4 standard errors


def test_without_dropout_it_is_a_plain_function():
    model, params = started(SMALL)
    assert not model.drops
    assert model.apply(params, IMAGES).shape == (3, 2)


@pytest.mark.parametrize(
    ("network", "size", "message"),
    [
        (FaceCNN(), 21, r"\(1, 21, 21, 3\): must be images of 22 x 22 pixels or more"),
        (FaceVGG(), 31, r"\(1, 31, 31, 3\): must be images of 32 x 32 pixels or more"),
        (FaceCNN(filters=(2,)), 3, "4 x 4 pixels"),
    ],
)
def test_too_small_images(network, size, message):
    with pytest.raises(ValueError, match=message):
        shapes_of(network, (size, size, 3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FaceCNN(filters=(3, 0)), "filters=0: must be >= 1"),
        (lambda: FaceCNN(filters=()), r"filters=\(\): must be one width or more"),
        (lambda: FaceCNN(hidden=0), "hidden=0: must be >= 1"),
        (lambda: FaceCNN(dropout=1.0), r"dropout=1.0: must be in \[0, 1\)"),
        (lambda: FaceVGG(filters=(1, 2)), r"filters=\(1, 2\): must be five widths"),
        (lambda: FaceVGG(dropout=-0.5), r"dropout=-0.5: must be in \[0, 1\)"),
    ],
)
def test_bad_options(make, message):
    with pytest.raises(ValueError, match=message):
        make()
