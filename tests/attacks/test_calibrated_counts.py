"""Calibrated counts: the simulation's parts, and what it makes of a defense."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import attacks
from vfljax.attacks.calibrated_counts import (
    _draw_labels,
    _regress,
)
from vfljax.data import draw_rows_of, rows_of_classes
from vfljax.goals.label_counts import overlap


def test_rows_have_the_class_that_was_drawn():
    """Classes 0, 1 and 3; each of a class's rows comes up."""
    labels = np.array([3, 1, 1, 0, 3, 3, 1, 0, 3])
    table = rows_of_classes(jnp.asarray(labels), 4)
    np.testing.assert_array_equal(table.counts, [2, 3, 0, 4])
    wanted = jnp.array([0, 1, 3] * 100).reshape(3, 100)
    rows = draw_rows_of(jax.random.key(0), table, wanted)
    np.testing.assert_array_equal(labels[rows], wanted)
    assert set(np.asarray(rows).ravel().tolist()) == set(range(9))


def test_label_sets_are_broad_and_skip_classes_without_samples(make_update):
    """Of 400 sets of eight some have one class alone, some all that there are."""
    view = make_update(classes=4).view
    table = rows_of_classes(jnp.array([0, 1, 1, 3]), 4)
    keys = jax.random.split(jax.random.key(1), 400)
    draw = jax.jit(jax.vmap(lambda key: _draw_labels(key, view, table)))
    labels = np.asarray(draw(keys)).reshape(400, 8)
    counts = np.stack([(labels == c).sum(axis=1) for c in range(4)], axis=1)
    assert counts[:, 2].sum() == 0
    assert (counts.max(axis=1) == 8).sum() > 40
    assert ((counts[:, [0, 1, 3]] > 1).all(axis=1)).sum() > 40
    np.testing.assert_allclose(counts[:, [0, 1, 3]].mean(axis=0), 8 / 3, atol=0.5)


def test_the_ridge_is_the_one_with_least_error_on_what_is_left_out():
    """Against NumPy: 30 fits, each without one of 30 points."""
    generator = np.random.default_rng(2)
    features = generator.normal(size=(30, 6)).astype("f")
    shares = features @ generator.normal(size=(6, 2)) / 3
    shares = (shares + 0.4 * generator.normal(size=(30, 2))).astype("f")
    found = generator.normal(size=6).astype("f")
    estimates, info = jax.jit(_regress)(features, shares, found)
    x = (features - features.mean(axis=0)) / features.std(axis=0)
    strength = 30 * float(info.strength)

    def fit(x, y, at):
        matrix = np.column_stack([np.ones(len(x)), x])
        penalty = strength * np.diag([0.0] + 6 * [1.0])
        weights = np.linalg.solve(matrix.T @ matrix + penalty, matrix.T @ y)
        return np.concatenate([[1.0], at]) @ weights

    rest = [np.delete(np.arange(30), i) for i in range(30)]
    left_out = [fit(x[keep], shares[keep], x[i]) for i, keep in enumerate(rest)]
    error = np.sqrt(np.mean((np.array(left_out) - shares) ** 2))
    np.testing.assert_allclose(info.error, error, rtol=1e-3)
    there = (found - features.mean(axis=0)) / features.std(axis=0)
    np.testing.assert_allclose(estimates, fit(x, shares, there), atol=1e-4)


def test_a_defense_in_the_simulation_is_undone(make_update):
    """Updates with the sign turned and half the size: known from simulation alone."""
    sight = make_update(classes=4)

    def halve(simulate, key, features, labels):
        update = simulate(key, features, labels)
        return jax.tree.map(lambda leaf: -0.5 * leaf, update)

    simulate = jax.tree_util.Partial(halve, sight.known.simulate)
    halved = jax.tree.map(lambda leaf: -0.5 * leaf, sight.view.update)
    view = dataclasses.replace(sight.view, update=halved)
    true = np.bincount(sight.truth, minlength=4)
    run = jax.jit(attacks.CalibratedCounts(num_simulations=200))
    aware = run(jax.random.key(0), view, sight.known.replace(simulate=simulate))
    blind = run(jax.random.key(0), view, sight.known)
    assert overlap(np.asarray(aware.counts), true) == 1.0
    assert overlap(np.asarray(blind.counts), true) < 1.0
    far = np.abs(blind.scores - true).max()
    assert np.abs(aware.scores - true).max() < 0.4 < 1.0 < far


def test_local_steps_are_simulated(make_update):
    """Four steps of three: twelve labels, counted through the steps."""
    sight = make_update(batch=3, classes=4, num_steps=4)
    run = jax.jit(attacks.CalibratedCounts(num_simulations=200))
    found = run(jax.random.key(0), sight.view, sight.known)
    assert found.counts.sum() == 12
    true = np.bincount(sight.truth, minlength=4)
    assert overlap(np.asarray(found.counts), true) >= 0.75
    assert found.info.error < 0.1


def test_how_many_are_simulated_at_once_does_not_matter(make_update):
    sight = make_update(classes=4)
    first, second = (
        jax.jit(
            attacks.CalibratedCounts(num_simulations=60, simulations_at_once=at_once)
        )(jax.random.key(0), sight.view, sight.known)
        for at_once in (60, 7)
    )
    np.testing.assert_allclose(first.scores, second.scores, atol=1e-2)


def test_bad_options_are_refused():
    with pytest.raises(ValueError, match=r"num_simulations=5: must be in \[10, inf\]"):
        attacks.CalibratedCounts(num_simulations=5)
