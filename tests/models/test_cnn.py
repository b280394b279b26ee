"""The sigmoid CNN and LeNet: sizes, and the uniform start."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import models


def params_of(network, shape):
    model = network.make(10)
    return model, jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, *shape)))


@pytest.mark.parametrize(
    ("shape", "inputs"), [((28, 28), 588), ((32, 32, 3), 768), ((28, 28, 1), 588)]
)
def test_inputs_of_the_last_layer(shape, inputs):
    """Published: 588 at 28 × 28, 768 at 32 × 32."""
    model, params = params_of(models.SigmoidCNN(), shape)
    assert params["output"]["kernel"].shape == (inputs, 10)
    assert model.apply(params, jnp.zeros((3, *shape))).shape == (3, 10)


def test_eight_tensors():
    params = params_of(models.SigmoidCNN(), (28, 28))[1]
    assert len(jax.tree.leaves(params)) == 8
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 13_426


def test_lenet_has_five_layers():
    """(25·1 + 1)·6 + (25·6 + 1)·16 + (7·7·16 + 1)·120 + (120 + 1)·84 + (84 + 1)·10."""
    params = params_of(models.LeNet(), (28, 28))[1]
    total = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert total == 156 + 2416 + 94_200 + 10_164 + 850


def test_uniform_start():
    for network in (models.SigmoidCNN, models.MLP):
        params = params_of(network(start_bound=0.5), (28, 28))[1]
        entries = np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(params)])
        assert np.abs(entries).max() < 0.5
        # The variance of the uniform distribution is 1/12; here its error is .0009.
        np.testing.assert_allclose(entries.var(), 1 / 12, atol=0.004)
        np.testing.assert_allclose(entries.mean(), 0.0, atol=0.02)


def test_without_a_bound_layers_start_as_usual():
    first, second = (
        params_of(models.SigmoidCNN(start_bound=b), (28, 28))[1] for b in (None, 5.0)
    )
    assert np.abs(first["output"]["kernel"]).max() < 588**-0.5
    assert np.abs(second["output"]["kernel"]).max() > 4.5


def test_bounds_are_checked():
    with pytest.raises(ValueError, match="start_bound=0: must be > 0"):
        models.MLP(start_bound=0)
    with pytest.raises(ValueError, match="width=0: must be >= 1"):
        models.SigmoidCNN(width=0)
