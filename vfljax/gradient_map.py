"""The linear map between message gradients and parameter gradients.

For fixed parameters θ and features, a party's batch gradient is linear in the gradient
U = ∂L/∂H that reaches its embedding H: g = Jᵀ vec(U) with J = ∂H/∂θ. Every attack on
the batch gradient needs only Jᵀ, J and J Jᵀ, which are set up here once: no attack
iteration runs the network forward again.

For a network made of dense layers, H = f(z_1, ..., z_n) with z_l = a_l W_l + b_l, the
product has a cheaper exact form. With T_l = ∂H/∂z_l (one small matrix per sample),

    J Jᵀ u = Σ_l T_l · K_l · T_lᵀ u,      K_l = a_l a_lᵀ + 1 1ᵀ   (batch × batch),

so that an iteration with formed K_l does not depend on the number of parameters. Each
layer uses K_l formed or as its factors, whichever takes fewer multiplications.

All products are in full float32. A GPU rounds factors to ten bits by default, which is
enough for training, but not for solving linear systems.
"""

import math
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vfljax import models
from vfljax.models import EVALUATION, Forward, Params, PartyModel


class GradientMap(NamedTuple):
    """J = ∂H/∂θ at fixed parameters and features, as functions.

    Attributes:
        embedding: H (batch, embed).
        pull: u (batch, embed) to Jᵀ u, a tree like the parameters.
        push: A tree like the parameters to J g (batch, embed).
        gram: u to J Jᵀ u, both (batch, embed), in its cheapest exact form.
        restrict: Zeroes, in a tree like the parameters, those that take no part.
        num_parameters: How many parameters take part, at least 1.
        factors: J layer by layer, where the network is made of dense layers and each
            layer takes part as a whole or not at all; else `None`.
    """

    embedding: Float[Array, "batch embed"]
    pull: Callable[[Float[Array, "batch embed"]], Params]
    push: Callable[[Params], Float[Array, "batch embed"]]
    gram: Callable[[Float[Array, "batch embed"]], Float[Array, "batch embed"]]
    restrict: Callable[[Params], Params]
    num_parameters: int
    factors: "DenseFactors | None"


class DenseFactors(NamedTuple):
    """A dense network's J, layer by layer; dictionaries have one entry per layer.

    Attributes:
        inputs: a_l (batch, in), with a column of ones where the layer has a bias.
        push: {layer: (batch, out)} to Σ_l T_l z_l (batch, embed).
        pull: u (batch, embed) to {layer: T_lᵀ u (batch, out)}.
    """

    inputs: dict[str, Float[Array, "batch _"]]
    push: Callable[[dict[str, Any]], Float[Array, "batch embed"]]
    pull: Callable[[Float[Array, "batch embed"]], dict[str, Any]]


def gradient_map(
    model: PartyModel,
    params: Params,
    features: Float[Array, " batch *features"],
    layers: Collection[str] | None = None,
    forward: Forward = EVALUATION,
) -> GradientMap:
    """Sets up J, Jᵀ and J Jᵀ for one party's network on one batch.

    Args:
        model: The party's network. Per-sample or not: J stays exact either way.
        params: Its parameters θ.
        features: The batch (batch, ...).
        forward: In which mode networks with batch normalization or dropout run: that
            of the gradient in question.
        layers: Restricts J to the parameters whose path in the tree contains one of
            these names, such as `("output",)` for the last layer of `models.mlp`;
            `None` for all. `pull` returns zeros and `push` ignores what is left out.

    Raises:
        ValueError: If `layers` is empty, a string, or has a name that no path contains.
    """
    kept = _kept(params, layers)
    with jax.default_matmul_precision("highest"):  # the derivatives inherit it
        embedding, push_all = jax.linearize(
            lambda p: models.embed(model, p, features, forward), params
        )
    transpose = jax.linear_transpose(push_all, params)

    def restrict(tree):
        return jax.tree.map(
            lambda keep, leaf: leaf if keep else jnp.zeros_like(leaf), kept, tree
        )

    def pull(u):
        return restrict(transpose(u)[0])

    def push(gradient):
        return push_all(restrict(gradient))

    factors = _dense_factors(model, params, features, kept)
    gram = (lambda u: push(pull(u))) if factors is None else _dense_gram(factors)
    sizes = jax.tree.map(
        lambda keep, leaf: math.prod(leaf.shape) if keep else 0, kept, params
    )
    return GradientMap(
        embedding=embedding,
        pull=pull,
        push=push,
        gram=gram,
        restrict=restrict,
        num_parameters=sum(jax.tree.leaves(sizes)),
        factors=factors,
    )


def _dense_factors(model, params, features, kept):
    """The factors of J where there are such, see `GradientMap.factors`."""
    if model.tapped is None:
        return None
    kept = {name: set(jax.tree.leaves(kept[name])) for name in params}
    if any(len(of_layer) > 1 for of_layer in kept.values()):
        return None
    names = [name for name in params if kept[name] == {True}]
    taps = {
        name: jnp.zeros(
            (features.shape[0], layer["kernel"].shape[1]), layer["kernel"].dtype
        )
        for name, layer in params.items()
    }
    with jax.default_matmul_precision("highest"):
        _, push_all, inputs = jax.linearize(
            lambda t: model.tapped(params, features, t), taps, has_aux=True
        )
    transpose = jax.linear_transpose(push_all, taps)

    def with_bias(name):
        columns = inputs[name]
        if "bias" in params[name]:
            columns = jnp.concatenate([columns, jnp.ones_like(columns[:, :1])], axis=1)
        return columns

    def pull(u):
        (pulled,) = transpose(u)
        return {name: pulled[name] for name in names}

    return DenseFactors(
        inputs={name: with_bias(name) for name in names},
        push=lambda z: push_all({**taps, **z}),
        pull=pull,
    )


def _dense_gram(factors):
    """J Jᵀ from the layers' factors."""

    def product_with_kernel(a):
        batch, num_inputs = a.shape
        if batch <= 2 * num_inputs:
            kernel = a @ a.T
            return lambda z: kernel @ z
        return lambda z: ((z.T @ a) @ a.T).T  # this order is the fastest

    with jax.default_matmul_precision("highest"):
        products = {name: product_with_kernel(a) for name, a in factors.inputs.items()}

    def gram(u):
        pulled = factors.pull(u)
        with jax.default_matmul_precision("highest"):
            products_of_u = {name: products[name](pulled[name]) for name in pulled}
        return factors.push(products_of_u)

    return gram


def _kept(params, layers):
    """A tree like `params` of booleans: which leaves take part."""
    paths, tree = jax.tree_util.tree_flatten_with_path(params)
    names = [{_key_name(key) for key in path} for path, _ in paths]
    if layers is None:
        return jax.tree.unflatten(tree, [True] * len(names))
    known = set().union(*names)
    if isinstance(layers, str) or not layers or not known.issuperset(layers):
        raise ValueError(
            f"layers={layers!r}: must be a collection of names out of {sorted(known)}"
        )
    return jax.tree.unflatten(tree, [not of.isdisjoint(layers) for of in names])


def _key_name(key):
    """The dictionary key, attribute name or position that a path entry stands for."""
    for field in ("key", "name", "idx"):
        if hasattr(key, field):
            return str(getattr(key, field))
    return str(key)
