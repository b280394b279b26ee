"""Attacks on batch gradients, and what they attack, are computed in full float32.

GPUs round the factors of products to ten bits unless told otherwise, in which conjugate
gradients lose conjugacy. What they are told is in the program, which looks the same on
a CPU.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.extend.core import jaxprs_in_params

from vfljax import attacks, models, protocol
from vfljax.gradient_map import gradient_map
from vfljax.models.convolution import by_library, by_patches

PRODUCTS = ("dot_general", "conv_general_dilated")
NETWORKS = {
    "dense": (models.mlp((5,), embed=3), (7,)),
    "dense_narrow": (models.mlp((5,), embed=3), (2,)),  # K_l as its factors
    "residual": (models.resnet(8, embed=3, width=4, stages=1), (8, 6, 3)),
}


def equations(program):
    """All of a program, those of the programs inside it included."""
    for equation in program.eqns:
        yield equation
        for inner in jaxprs_in_params(equation.params):
            yield from equations(inner)


def precisions(function, *arguments):
    """The precisions of all products that a function computes; None: the default."""
    program = jax.make_jaxpr(function)(*arguments)
    found = [e for e in equations(program.jaxpr) if e.primitive.name in PRODUCTS]
    assert found
    return {equation.params["precision"] for equation in found}


HIGHEST = {(jax.lax.Precision.HIGHEST,) * 2}


def make_step(name, method):
    """`exchange` or `step` of a small protocol, to trace with shapes alone."""
    network, shape = NETWORKS[name]
    run = protocol.sum_of_logits(
        (network,) * 2, (optax.sgd(0.1),) * 2, num_classes=3, mode="evaluation"
    )
    features = [jnp.ones((6, *shape))] * 2
    labels = rows = jnp.arange(6) % 3
    state = jax.eval_shape(run.init, jax.random.key(0), features)

    def step(state):
        key = jax.random.key(1)
        return getattr(run, method)(key, state, features, labels, rows)

    def view(state):
        transcript, _ = step(state)
        return protocol.batch_gradient_view(run, state, features[0], transcript)

    return step, view, state


@pytest.mark.parametrize("name", NETWORKS)
def test_the_gradient_and_the_attacks_on_it(name):
    exchange, view_of, state = make_step(name, "exchange")
    assert precisions(exchange, state) == HIGHEST
    view = jax.eval_shape(view_of, state)

    def recover(view):
        return attacks.linear_recovery(view, solver="cg", iterations=2).scores

    def invert(view):
        return attacks.gradient_inversion(jax.random.key(2), view, steps=2).scores

    assert precisions(recover, view) == HIGHEST
    assert precisions(invert, view) == HIGHEST


@pytest.mark.parametrize("name", NETWORKS)
def test_maps_keep_it_where_they_are_used(name):
    """They are often called outside of whatever set them up."""
    network, shape = NETWORKS[name]
    features, u = jnp.ones((6, *shape)), jnp.ones((6, 3))
    params = jax.eval_shape(network.init, jax.random.key(0), features)
    statistics = models.init_statistics(network, features)

    def products(params):
        forward = models.Forward(statistics)
        jacobian = gradient_map(network, params, features, forward=forward)
        return jacobian.pull(u), jacobian.push(params), jacobian.gram(u)

    assert precisions(products, params) == HIGHEST


def test_training_keeps_the_devices_default():
    step, _, state = make_step("dense", "step")
    assert precisions(step, state) == {None}


@pytest.mark.parametrize("convolve", [by_library, by_patches])
def test_convolutions_take_the_setting(convolve):
    """Their derivatives inherit it from where they were set up."""
    x, kernel = jnp.ones((2, 6, 4, 3)), jnp.ones((3, 3, 3, 5))

    def output(kernel):
        return convolve(x, kernel, 1)

    assert precisions(output, kernel) == {None}
    with jax.default_matmul_precision("highest"):
        assert precisions(output, kernel) == HIGHEST
        result, push = jax.linearize(output, kernel)
    assert precisions(push, kernel) == HIGHEST
    assert precisions(jax.linear_transpose(push, kernel), result) == HIGHEST


def test_on_a_cpu_nothing_changes():
    """A CPU multiplies in full float32 anyway, to the last bit."""
    if jax.default_backend() != "cpu":
        pytest.skip("elsewhere it does change")
    x, kernel = jax.random.normal(jax.random.key(0), (2, 33, 33))
    default = jax.jit(jnp.matmul)(x, kernel)
    with jax.default_matmul_precision("highest"):
        np.testing.assert_array_equal(jax.jit(jnp.matmul)(x, kernel), default)
