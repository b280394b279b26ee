"""Top models: widths, order of the layers, modes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import models

EMBEDDINGS = jax.random.normal(jax.random.key(0), (7, 6))


def test_number_of_parameters_by_hand():
    """CIFAR-10, 20 -> 20 -> 10 -> 10 -> 10: kernels and biases, scales and biases."""
    model = models.top_mlp((20, 10, 10, 10))
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 20)))
    linear = (20 + 1) * 20 + (20 + 1) * 10 + 2 * (10 + 1) * 10
    norms = 2 * (20 + 20 + 10 + 10)
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == linear + norms


def test_rectifies_embeddings_first():
    """One layer without batch normalization: negative inputs count as zero."""
    model = models.top_mlp((2,), batch_norm=False, log_softmax=False)
    params = {
        "layer_0": {
            "kernel": jnp.array([[1.0, 2.0], [10.0, 20.0]]),
            "bias": jnp.array([0.5, 0.0]),
        }
    }
    x = jnp.array([[3.0, -1.0], [-1.0, 1.0]])
    np.testing.assert_array_equal(model.apply(params, x), [[3.5, 6.0], [10.5, 20.0]])
    np.testing.assert_array_equal(
        models.embed(model, params, x), [[3.5, 6], [10.5, 20]]
    )


def test_with_batch_normalization_equals_numpy():
    model = models.top_mlp((5, 3), log_softmax=False)
    params = model.init(jax.random.key(1), EMBEDDINGS)
    x = np.asarray(EMBEDDINGS)
    for number in range(2):
        layer = jax.tree.map(np.asarray, params[f"layer_{number}"])
        x = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)
        x = np.maximum(x, 0) @ layer["kernel"] + layer["bias"]
    statistics = models.init_statistics(model, EMBEDDINGS)
    forward = models.Forward(statistics, is_training=True)
    ours, updated = models.run(model, params, EMBEDDINGS, forward)
    np.testing.assert_allclose(ours, x, atol=1e-5)
    mean = 0.1 * np.asarray(EMBEDDINGS).mean(axis=0)
    np.testing.assert_allclose(updated["norm_0"]["mean"], mean, atol=1e-6)


def test_log_softmax_of_the_logits():
    logits = models.top_mlp((5, 3), batch_norm=False, log_softmax=False)
    model = models.top_mlp((5, 3), batch_norm=False)
    params = model.init(jax.random.key(1), EMBEDDINGS)
    expected = jax.nn.log_softmax(logits.apply(params, EMBEDDINGS))
    np.testing.assert_allclose(model.apply(params, EMBEDDINGS), expected, atol=1e-6)


@pytest.mark.parametrize("widths", [(), (4, 0)])
def test_bad_widths(widths):
    with pytest.raises(ValueError, match="must be one or more, each >= 1"):
        models.top_mlp(widths)
