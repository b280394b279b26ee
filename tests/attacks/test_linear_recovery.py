"""Linear recovery against hand-worked systems, NumPy and the rank bound."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from vfljax import attacks, models, protocol
from vfljax.gradient_map import gradient_map

recover = jax.jit(
    attacks.linear_recovery,
    static_argnames=("layers", "solver", "iterations", "tolerance", "zero_sum"),
)


def linear_view(features, weights, gradient):
    model = protocol.PartyModel(
        init=lambda key, x: jnp.zeros((x.shape[1], 3)),
        apply=lambda params, x: x @ params,
    )
    return protocol.BatchGradientView(
        model, jnp.asarray(weights), jnp.asarray(features), jnp.asarray(gradient), 3
    )


@pytest.mark.parametrize("solver", ["cg", "exact"])
def test_theorem_1_by_hand(solver):
    """One linear layer, features A = [[1, 0], [1, 2]], messages U below.

    g = Aᵀ U = [[.1−.4, −.3+.3, .2+.1], [0−.8, 0+.6, 0+.2]], and A is invertible.
    """
    messages = np.array([[0.1, -0.3, 0.2], [-0.4, 0.3, 0.1]])
    features = np.array([[1.0, 0.0], [1.0, 2.0]])
    gradient = np.array([[-0.3, 0.0, 0.3], [-0.8, 0.6, 0.2]], np.float32)
    np.testing.assert_allclose(features.T @ messages, gradient, atol=1e-7)
    view = linear_view(
        features.astype(np.float32), np.zeros((2, 3), np.float32), gradient
    )
    inference = recover(view, solver=solver)
    np.testing.assert_allclose(inference.scores, -2 * messages, atol=1e-5)
    np.testing.assert_array_equal(inference.labels, [1, 0])


def test_equals_numpy_pseudo_inverse_without_full_rank(make_exchange):
    """Least squares with the explicit Jacobian, more unknowns than equations.

    Messages are at most 1/30; the tolerance of 3 % of that is what the choice of the
    smallest singular value that counts makes.
    """
    view = make_exchange(batch=30, hidden=(3,), widths=(4, 5)).batch
    flat, unflatten = ravel_pytree(view.params)
    jacobian = np.asarray(
        jax.jacobian(lambda p: view.model.apply(unflatten(p), view.features))(flat),
        np.float64,
    ).reshape(90, -1)
    observed = np.asarray(ravel_pytree(view.gradient)[0], np.float64)
    rank = np.linalg.matrix_rank(jacobian, tol=1e-5)
    assert rank < 90
    expected = np.linalg.pinv(jacobian.T, rcond=1e-5) @ observed
    for solver in ("cg", "exact"):
        inference = recover(view, solver=solver, zero_sum=False)
        np.testing.assert_allclose(
            np.asarray(inference.scores) / -30, expected.reshape(30, 3), atol=1e-3
        )
        assert inference.info.bound_held == 0


def test_rows_sum_to_zero_when_asked_for(make_exchange):
    view = make_exchange(batch=30, hidden=(3,), widths=(4, 5)).batch
    for solver in ("cg", "exact"):
        scores = recover(view, solver=solver).scores
        np.testing.assert_allclose(scores.sum(axis=1), 0.0, atol=1e-5)


def test_exact_whenever_the_bound_holds(make_exchange):
    """B·(C−1) <= rank(J) => every label, for random networks; and it is reported."""
    num_held = 0
    for seed in range(3):
        rng = np.random.default_rng(seed)
        classes, width = int(rng.integers(2, 7)), int(rng.integers(12, 20))
        hidden = (width,) if seed % 2 else (width + 3, width)
        batch = int(0.7 * width)  # beyond what the units of the last layer resolve
        exchange = make_exchange(
            seed=seed, batch=batch, classes=classes, hidden=hidden, widths=(20, 9)
        )
        inference = recover(exchange.batch, solver="exact")
        held = batch * (classes - 1) <= zero_sum_rank(exchange.batch)
        assert inference.info.bound_held == held
        if held:
            num_held += 1
            np.testing.assert_array_equal(inference.labels, exchange.truth)
            expected = -batch * exchange.transcript.gradients[0]
            np.testing.assert_allclose(inference.scores, expected, atol=1e-3)
    assert num_held >= 2


def test_the_bound_can_fail(make_exchange):
    assert recover(make_exchange(batch=80).batch).info.bound_held == 0


def test_identical_samples_break_the_bound_but_not_the_labels(make_exchange):
    """Only the sum of their messages is known; the smallest solution halves it."""
    view = make_exchange(batch=6).batch
    twice = jnp.concatenate([view.features, view.features[:1]])
    jacobian = gradient_map(view.model, view.params, twice)
    truth = jnp.array([1, 0, 2, 1, 0, 2, 1])
    messages = (jax.nn.softmax(jacobian.embedding) - jax.nn.one_hot(truth, 3)) / 7
    copy = protocol.BatchGradientView(
        view.model, view.params, twice, jacobian.pull(messages), 3
    )
    inference = recover(copy, solver="exact")
    assert inference.info.bound_held == 0
    np.testing.assert_array_equal(inference.labels, truth)


def test_does_not_blow_up_past_convergence(make_exchange):
    """Last layer only, batch beyond its rank: float32 CG run on diverges."""
    view = make_exchange(batch=40, classes=4, widths=(30, 9), hidden=(10,)).batch
    short = recover(
        view, layers=("output",), solver="cg", iterations=40, zero_sum=False
    )
    long = recover(
        view, layers=("output",), solver="cg", iterations=5000, zero_sum=False
    )
    np.testing.assert_allclose(long.scores, short.scores, atol=1e-3)
    assert long.info.residual < 1e-4
    assert long.info.iterations < 100
    unfrozen = recover(
        view,
        layers=("output",),
        solver="cg",
        iterations=5000,
        zero_sum=False,
        tolerance=0.0,
    )
    assert unfrozen.info.iterations > 100
    np.testing.assert_allclose(unfrozen.scores, short.scores, atol=1e-3)


@pytest.mark.parametrize("layers", [None, ("output",), ("hidden_0",)])
def test_dense_and_general_networks_give_the_same(layers, make_exchange):
    view = make_exchange(batch=5).batch
    plain = protocol.PartyModel(init=view.model.init, apply=view.model.apply)
    general = protocol.BatchGradientView(
        plain, view.params, view.features, view.gradient, view.num_classes
    )
    for solver in ("cg", "exact"):
        np.testing.assert_allclose(
            recover(view, layers=layers, solver=solver).scores,
            recover(general, layers=layers, solver=solver).scores,
            atol=5e-3,
        )


def test_a_message_that_breaks_the_assumption_shows_in_the_residual(make_exchange):
    view = make_exchange(batch=5).batch
    jacobian = gradient_map(view.model, view.params, view.features)
    key = jax.random.key(3)
    messages = jax.random.normal(key, jacobian.embedding.shape)
    noisy = protocol.BatchGradientView(
        view.model, view.params, view.features, jacobian.pull(messages), 3
    )
    assert recover(noisy).info.residual > 0.01
    free = recover(noisy, zero_sum=False)
    assert free.info.residual < 1e-5
    np.testing.assert_allclose(free.scores, -5 * messages, rtol=1e-2, atol=1e-2)


def test_auto_is_exact_where_it_fits(make_exchange):
    small, large = make_exchange(batch=8).batch, make_exchange(batch=2400).batch
    assert recover(small).info.iterations == 0
    assert recover(large, iterations=3).info.iterations == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"solver": "newton"}, "solver='newton': must be one of"),
        ({"iterations": 0}, r"iterations=0: must be in \[1, inf\]"),
        ({"layers": ("outptu",)}, "outptu"),
        ({"tolerance": -1.0}, r"tolerance=-1.0: must be in \[0, 1\)"),
        ({"ridge": 1.0}, r"ridge=1.0: must be in \[0, 1\)"),
    ],
)
@pytest.mark.usefixtures("unchecked_types")
def test_bad_arguments(changes, message, make_exchange):
    with pytest.raises(ValueError, match=message):
        attacks.linear_recovery(make_exchange().batch, **changes)


def zero_sum_rank(view):
    """Rank of J with rows projected on zero sum, by NumPy's SVD in float64."""
    batch, classes = view.features.shape[0], view.num_classes
    with jax.enable_x64(True):
        params, features = jax.tree.map(
            lambda leaf: jnp.asarray(leaf, jnp.float64), (view.params, view.features)
        )
        leaves = jax.tree.leaves(
            jax.jit(jax.jacobian(view.model.apply))(params, features)
        )
        jacobian = np.concatenate(
            [np.reshape(leaf, (batch, classes, -1)) for leaf in leaves], axis=2
        )
    jacobian -= jacobian.mean(axis=1, keepdims=True)
    values = np.linalg.svd(jacobian.reshape(batch * classes, -1), compute_uv=False)
    return int((values > 1e-6 * values[0]).sum())


def test_mlp_layers_are_named_as_documented():
    params = models.mlp((4, 5), embed=3).init(jax.random.key(0), jnp.zeros((1, 2)))
    assert list(params) == ["hidden_0", "hidden_1", "output"]


def test_a_network_that_casts_down_gets_conjugate_gradients(make_exchange):
    view = make_exchange(batch=4).batch
    casting = protocol.PartyModel(
        init=view.model.init,
        apply=lambda params, x: view.model.apply(params, x).astype(jnp.float32),
    )
    cast = dataclasses.replace(view, model=casting)
    assert recover(cast).info.iterations > 0
    with pytest.raises(ValueError, match="solver='exact': model casts"):
        recover(cast, solver="exact")
