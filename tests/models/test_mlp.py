"""The perceptron's initialization, forward pass and taps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import models


def test_initialization_is_that_of_the_published_networks():
    model = models.mlp((32,), embed=10)
    params = model.init(jax.random.key(0), jnp.zeros((1, 14, 28)))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 12_906
    xavier, default = (6 / (392 + 32)) ** 0.5, 32**-0.5
    first, last = params["hidden_0"], params["output"]
    for array, bound in ((first["kernel"], xavier), (last["kernel"], default)):
        assert 0.98 * bound < jnp.abs(array).max() <= bound
        np.testing.assert_allclose(array.std(), bound / 3**0.5, rtol=0.1)
    np.testing.assert_array_equal(first["bias"], 0.0)
    assert 0.5 * default < jnp.abs(last["bias"]).max() <= default


def test_forward_equals_numpy():
    model = models.mlp((4, 3), embed=2)
    features = jax.random.normal(jax.random.key(1), (5, 2, 3))
    params = model.init(jax.random.key(0), features)
    x, params = jax.tree.map(np.asarray, (features.reshape(5, 6), params))
    for layer in ("hidden_0", "hidden_1", "output"):
        x = x @ params[layer]["kernel"] + params[layer]["bias"]
        x = x if layer == "output" else np.maximum(x, 0)
    np.testing.assert_allclose(model.apply(params, features), x, atol=1e-6)


def test_taps_shift_a_layers_output_and_inputs_are_what_it_was_given():
    model = models.mlp((4,), embed=2)
    features = jax.random.normal(jax.random.key(1), (5, 6))
    params = model.init(jax.random.key(0), features)
    taps = {"hidden_0": jnp.full((5, 4), 0.3), "output": jnp.full((5, 2), -1.0)}
    assert model.tapped is not None
    embedding, inputs = model.tapped(params, features, taps)
    np.testing.assert_array_equal(inputs["hidden_0"], features)
    before = features @ params["hidden_0"]["kernel"] + 0.3
    np.testing.assert_allclose(inputs["output"], np.maximum(before, 0), atol=1e-6)
    output = jax.tree.map(np.asarray, params["output"])
    after = np.asarray(inputs["output"]) @ output["kernel"] + output["bias"]
    np.testing.assert_allclose(embedding, after - 1.0, atol=1e-6)


def test_equal_arguments_are_one_object():
    assert models.mlp([32], embed=10) is models.mlp((32,), embed=10)


@pytest.mark.parametrize(("hidden", "embed"), [((0,), 3), ((4,), 0)])
def test_bad_widths(hidden, embed):
    with pytest.raises(ValueError, match="must be >= 1"):
        models.mlp(hidden, embed=embed)
