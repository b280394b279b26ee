"""Least squares on the simplex against SciPy, and its use on updates."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from vfljax import attacks, protocol
from vfljax.attacks.counting import mean_messages, simplex_least_squares

solve = jax.jit(simplex_least_squares)


def reference(columns, target):
    """By SciPy in float64: x >= 0 of ‖(columns − target·1ᵀ)x‖² + (Σx − 1)², scaled."""
    differences = columns - target[:, None]
    differences /= np.linalg.norm(differences, axis=0).max()
    ones = np.ones((1, columns.shape[1]))
    system = np.concatenate([differences, ones])
    found, _ = scipy.optimize.nnls(system, np.eye(len(system))[-1])
    return found / found.sum()


@pytest.mark.parametrize("spread", [1.0, 1e-2, 1e-4], ids=lambda x: f"spread={x:g}")
def test_the_solver_equals_scipy_for_nearly_parallel_columns(spread):
    """As class means are: their condition is 3/spread, up to 3e4, in float32.

    Half of the targets are exact, half far from all columns, where shares vanish.
    """
    generator = np.random.default_rng(4)
    num_at_edge = 0
    for trial in range(20):
        common = 3 * generator.normal(size=(200, 1))
        columns = (common + spread * generator.normal(size=(200, 10))).astype("f")
        shares = generator.dirichlet(np.full(10, 0.3))
        noise = (trial % 2) * 10 * spread * generator.normal(size=200)
        target = (columns.astype(float) @ shares + noise).astype("f")
        expected = reference(columns.astype(float), target.astype(float))
        found = np.asarray(solve(columns, target))
        np.testing.assert_allclose(found, expected, atol=3e-7 / spread + 3e-5)
        assert found.min() >= 0
        np.testing.assert_allclose(found.sum(), 1.0, rtol=1e-5)
        num_at_edge += (expected[shares > 1e-3] == 0).sum()
    assert num_at_edge > 5


def test_equal_columns_and_fewer_equations_than_classes():
    columns = jnp.array([[1.0, 1.0, 0.0], [0.0, 0.0, 2.0]])
    found = np.asarray(solve(columns, jnp.array([0.25, 1.5])))
    np.testing.assert_allclose([found[0] + found[1], found[2]], [0.25, 0.75], atol=1e-5)
    one = solve(jnp.array([[1.0, 2.0, 4.0]]), jnp.array([0.0]))
    np.testing.assert_allclose(one, [1.0, 0.0, 0.0], atol=1e-6)
    at_a_corner = solve(columns, columns[:, 2])
    np.testing.assert_allclose(at_a_corner, [0.0, 0.0, 1.0], atol=1e-6)


def test_what_is_not_finite_has_no_solution():
    target = jnp.array([1.0, jnp.inf])
    assert np.isnan(solve(jnp.eye(2), target)).all()


def test_mean_messages_are_gradients_of_one_class(make_update):
    sight = make_update(classes=4)
    view, known = sight.view, sight.known
    send = jax.jit(protocol.batch_gradient, static_argnums=(0, 4))
    both = [
        jax.jit(lambda v, k, of=of: mean_messages(v, k, "output", of_bias=of))(
            view, known
        )
        for of in (False, True)
    ]
    for c in range(4):
        features = known.auxiliary_features[c::4]
        labels = jnp.full(len(features), c)
        gradient = send(view.model, view.params, features, labels, 4)
        kernel, bias = protocol.head_of(gradient, "output")
        np.testing.assert_allclose(both[0][c], kernel, atol=1e-5)
        np.testing.assert_allclose(both[1][c], bias, atol=1e-5)


@pytest.mark.parametrize("of", ["bias", "all"])
def test_samples_that_are_the_auxiliary_ones_are_counted_exactly(of, make_update):
    """Counts 5, 0, 1 and 2 of samples that are their class's mean."""
    sight = make_update(classes=4)
    view, known = sight.view, sight.known
    labels = jnp.array([0, 0, 0, 0, 0, 2, 3, 3])
    one_each = known.replace(
        auxiliary_features=known.auxiliary_features[:4],
        auxiliary_labels=known.auxiliary_labels[:4],
    )
    batch = one_each.auxiliary_features[labels]
    send = jax.jit(protocol.batch_gradient, static_argnums=(0, 4))
    update = send(view.model, view.params, batch, labels, 4)
    attack = attacks.LabelCountLeastSquares(of=of)
    view = dataclasses.replace(view, update=update)
    found = jax.jit(attack)(None, view, one_each)
    np.testing.assert_allclose(found.scores, [5, 0, 1, 2], atol=1e-3)
    assert found.info.residual < 1e-3
    tripled = jax.tree.map(lambda leaf: 3 * leaf, update)
    view = dataclasses.replace(view, update=tripled, num_steps=3)
    found = jax.jit(attack)(None, view, one_each)
    np.testing.assert_array_equal(found.counts, [15, 0, 3, 6])


def test_a_layer_without_bias_is_refused(make_update):
    sight = make_update()
    view = sight.view

    def cut(tree):
        return tree | {"output": {"kernel": tree["output"]["kernel"]}}

    view = dataclasses.replace(view, params=cut(view.params), update=cut(view.update))
    attack = attacks.LabelCountLeastSquares(of="bias")
    with pytest.raises(ValueError, match="layer='output': must be a dense layer with"):
        attack(None, view, sight.known)
