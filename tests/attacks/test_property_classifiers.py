"""Classifiers of features: against NumPy and scikit-learn, and across devices."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from vfljax.attacks.property_classifiers import _STRENGTHS, classify, logistic, ridge
from vfljax.goals import metrics

KINDS = ("ridge", "logistic", "forest", "boosting", "released_forest")
JITTED = jax.jit(classify, static_argnums=0)


def judge(kind, key, *given):
    """Compiled where that can be."""
    run = JITTED if kind in ("ridge", "logistic") else classify
    return run(kind, key, *map(jnp.asarray, given))


def draw(rows=120, width=10, seed=0):
    """Rows whose share is a noisy sum of the first two columns, and rows to judge."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(rows + 60, width)).astype("f")
    shares = np.clip(
        x[:, 0] - 0.5 * x[:, 1] + 0.3 * generator.normal(size=len(x)), 0, 1
    )
    scale = 10.0 ** generator.uniform(-3, 3, width).astype("f")
    x = (x * scale + scale).astype("f")
    halves = np.arange(rows) % 2
    return x[:rows], shares[:rows].astype("f"), halves, x[rows:], shares[rows:]


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_told_apart(kind):
    """Standard error of the AUC is about .03; columns have all kinds of scales."""
    rows, shares, halves, asked, truth = draw()
    found = judge(kind, jax.random.key(0), rows, shares, halves, asked)
    scores = np.asarray(found.scores)
    assert metrics.auc(scores, (truth > 0).astype(int)) > 0.9
    assert np.mean((scores > 0.5) == (truth > 0)) > 0.8
    if kind == "ridge":
        assert np.corrcoef(found.shares, truth)[0, 1] > 0.7
    else:
        assert np.isnan(found.shares).all()


@pytest.mark.parametrize(("rows", "width"), [(60, 12), (24, 40)])
def test_the_ridge_is_the_one_that_does_best_on_the_other_half(rows, width):
    """Against NumPy, in the equations that are not used: tall and wide."""
    x, shares, halves, asked, _ = draw(rows, width)
    x, asked = (v / np.abs(x).max(axis=0) for v in (x, asked))
    asked, x = asked - x.mean(axis=0), x - x.mean(axis=0)
    targets = np.stack([shares > 0, shares], axis=1).astype("f")
    found, _ = jax.jit(ridge)(x, targets, halves, asked)
    others = targets - targets.mean(axis=0)
    smaller = min(x.shape)

    def fit(x, y, strength):
        penalty = strength * np.sum(x.astype("d") ** 2) / smaller
        return np.linalg.solve(x.T @ x + penalty * np.eye(width), x.T @ y)

    def error(strength):
        return sum(
            np.sum(
                (
                    others[halves != half, 0]
                    - x[halves != half]
                    @ _fit_half(x, others[:, 0], halves == half, strength)
                )
                ** 2
            )
            for half in (0, 1)
        )

    def _fit_half(x, y, is_in, strength):
        penalty = strength * np.sum(x[is_in].astype("d") ** 2) / smaller
        matrix = x[is_in].T @ x[is_in] + penalty * np.eye(width)
        return np.linalg.solve(matrix, x[is_in].T @ y[is_in])

    best = min(_STRENGTHS, key=error)
    expected = targets.mean(axis=0) + asked @ fit(x, others, best)
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_logistic_regression_is_that_of_scikit_learn():
    """Its C is one over the number of rows times the penalty of the mean loss, .1."""
    x, shares, _, asked, _ = draw()
    asked = (asked - x.mean(axis=0)) / x.std(axis=0)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    found, _ = jax.jit(logistic)(x, shares > 0, asked)
    model = LogisticRegression(
        C=1 / (0.1 * len(x)), solver="newton-cholesky", tol=1e-10
    ).fit(x.astype("d"), shares > 0)
    np.testing.assert_allclose(found, model.predict_proba(asked)[:, 1], atol=1e-4)


def test_the_forest_is_that_of_scikit_learn():
    """Fifty trees, and a seed that is the key's."""
    rows, shares, halves, asked, _ = draw()
    found = judge("forest", jax.random.key(3), rows, shares, halves, asked)
    seed = int(jax.random.randint(jax.random.key(3), (), 0, np.iinfo(np.int32).max))
    x = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    there = (asked - rows.mean(axis=0)) / rows.std(axis=0)
    model = RandomForestClassifier(50, random_state=seed).fit(x, shares > 0)
    np.testing.assert_allclose(
        found.scores, model.predict_proba(there)[:, 1], atol=0.041
    )  # two trees, where rounding moves a threshold


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_finite_has_no_answer(kind):
    rows, shares, halves, asked, _ = draw()
    key = jax.random.key(0)
    broken = judge(
        kind, key, rows, shares, halves, asked.copy() * _nan_in_row(5, asked)
    )
    assert np.isnan(broken.scores[5])
    assert np.isfinite(np.delete(broken.scores, 5)).all()
    rows = rows * _nan_in_row(2, rows)
    all_broken = judge(kind, jax.random.key(0), rows, shares, halves, asked)
    assert np.isnan(all_broken.scores).all()


def _nan_in_row(row, like):
    return np.where(np.arange(len(like)) == row, np.nan, 1.0)[:, None].astype("f")


@pytest.mark.parametrize("kind", ["ridge", "logistic"])
def test_a_column_that_is_nearly_constant_sways_nothing(kind):
    """One training row differs by .01, half of the rows asked about by 1."""
    rows, shares, halves, asked, truth = draw()
    rare = 0.01 * (np.arange(len(rows)) == 7)
    far = np.arange(len(asked)) % 2
    rows, asked = (
        np.concatenate([x, column[:, None].astype("f")], axis=1)
        for x, column in ((rows, rare), (asked, far))
    )
    found = judge(kind, jax.random.key(0), rows, shares, halves, asked)
    assert metrics.auc(np.asarray(found.scores), (truth > 0).astype(int)) > 0.8


def test_a_constant_column_is_no_trouble():
    rows, shares, halves, asked, _ = draw()
    rows[:, 3] = 2.0
    for kind in ("ridge", "logistic"):
        found = judge(kind, jax.random.key(0), rows, shares, halves, asked)
        assert np.isfinite(found.scores).all()


TWO_DEVICES = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, PartitionSpec as P
from vfljax.attacks.property_classifiers import classify
x = np.random.default_rng(0).normal(size=(4, 90, 30)).astype("f")
shares = (x[:, :60, 0] > 0).astype("f")
keys = jax.random.split(jax.random.key(0), 4)
for kind in ("ridge", "logistic"):
    def one(key, x, shares):
        judged = classify(kind, key, x[:60], shares, jnp.arange(60) % 2, x[60:])
        return judged.scores
    mesh = Mesh(np.array(jax.devices()), ("trials",))
    parts = P("trials")
    split = jax.shard_map(
        jax.vmap(one), mesh=mesh, in_specs=(parts,) * 3, out_specs=parts,
        check_vma=False,
    )
    found = jax.jit(split)(keys, x, shares)
    alone = jax.jit(jax.vmap(one))(keys, x, shares)
    np.testing.assert_allclose(found, alone, atol=1e-3)
print(len(jax.devices()), "devices")
"""


def test_two_devices_do_not_wait_for_each_other():
    """Factorizations of two CPU devices at once, in a process of its own.

    It takes seconds; a minute means that it hangs.
    """
    flags = "--xla_force_host_platform_device_count=2"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.strip() == "2 devices", done.stderr[-2000:]


def test_trees_are_refused_inside_a_program():
    rows, shares, halves, asked, _ = draw()
    with pytest.raises(ValueError, match="classifier='forest'"):
        JITTED("forest", jax.random.key(0), rows, shares, halves, asked)
