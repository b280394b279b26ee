"""J, Jᵀ and J Jᵀ against the explicit Jacobian, in both forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from vfljax import models
from vfljax.gradient_map import gradient_map

DENSE = models.mlp((6, 5), embed=3)
GENERAL = models.PartyModel(init=DENSE.init, apply=DENSE.apply)


def explicit_jacobian(model, params, features, layers):
    """(batch·embed, parameters), columns of other layers zero."""
    flat, unflatten = ravel_pytree(params)
    jacobian = jax.jacobian(lambda p: model.apply(unflatten(p), features))(flat)
    mask = {
        layer: jax.tree.map(
            lambda leaf, on=layers is None or layer in layers: jnp.full_like(leaf, on),
            part,
        )
        for layer, part in params.items()
    }
    return np.asarray(jacobian.reshape(-1, flat.size) * ravel_pytree(mask)[0][None])


@pytest.mark.parametrize("layers", [None, ("output",), ("hidden_0", "output")])
@pytest.mark.parametrize("model", [DENSE, GENERAL], ids=["dense", "general"])
@pytest.mark.parametrize("batch", [4, 33])  # with and without forming the kernels
def test_products(model, layers, batch):
    key_params, key_features, key_u = jax.random.split(jax.random.key(0), 3)
    features = jax.random.normal(key_features, (batch, 2, 4))
    params = model.init(key_params, features)
    j = explicit_jacobian(model, params, features, layers)
    result = gradient_map(model, params, features, layers)
    u = jax.random.normal(key_u, (batch, 3))
    pulled = ravel_pytree(result.pull(u))[0]
    np.testing.assert_allclose(pulled, j.T @ u.ravel(), rtol=1e-4, atol=1e-4)
    gradient = jax.tree.map(lambda leaf: jnp.sin(leaf * 7), params)
    np.testing.assert_allclose(
        result.push(gradient).ravel(),
        j @ ravel_pytree(gradient)[0],
        rtol=1e-4,
        atol=1e-4,
    )
    np.testing.assert_allclose(
        result.gram(u).ravel(), j @ (j.T @ u.ravel()), rtol=1e-4, atol=1e-3
    )
    np.testing.assert_allclose(result.embedding, model.apply(params, features))
    assert result.num_parameters == (np.abs(j).sum(axis=0) >= 0).sum() - sum(
        leaf.size
        for layer, part in params.items()
        if layers is not None and layer not in layers
        for leaf in jax.tree.leaves(part)
    )


def test_layers_without_bias():
    def tapped(params, features, taps):
        layer = "only"
        return features @ params[layer]["kernel"] + taps[layer], {layer: features}

    def apply(params, features):
        return features @ params["only"]["kernel"]

    model = models.PartyModel(init=lambda key, features: {}, apply=apply, tapped=tapped)
    params = {"only": {"kernel": jnp.ones((4, 2))}}
    features = jnp.arange(12.0).reshape(3, 4)
    result = gradient_map(model, params, features)
    u = jnp.array([[1.0, -1.0], [2.0, 0.5], [0.0, 3.0]])
    np.testing.assert_allclose(result.gram(u), features @ (features.T @ u))


def test_the_loop_needs_no_forward_pass():
    """After set-up, a product applies neither ReLU nor any other nonlinearity."""
    features = jnp.ones((4, 8))
    params = DENSE.init(jax.random.key(0), features)
    result = gradient_map(DENSE, params, features)
    program = str(jax.make_jaxpr(result.gram)(jnp.ones((4, 3))))
    assert "dot_general" in program
    assert " max " not in program


def test_unknown_layers():
    features = jnp.ones((4, 8))
    params = DENSE.init(jax.random.key(0), features)
    for layers in (("output", "otuput"), (), "output"):
        with pytest.raises(ValueError, match="must be a collection of names out of"):
            gradient_map(GENERAL, params, features, layers)


def test_parts_of_layers_can_take_part():
    """Kernels without biases: no dense form, but the same subset everywhere."""
    features = jax.random.normal(jax.random.key(1), (4, 8))
    params = DENSE.init(jax.random.key(0), features)
    result = gradient_map(DENSE, params, features, ("output", "kernel"))
    assert result.factors is None
    u = jax.random.normal(jax.random.key(2), (4, 3))
    np.testing.assert_allclose(
        result.gram(u), result.push(result.pull(u)), rtol=1e-4, atol=1e-4
    )
    pulled = result.pull(u)
    assert not np.any(pulled["hidden_0"]["bias"])
    assert np.any(pulled["output"]["bias"])
    assert np.any(pulled["hidden_0"]["kernel"])
