"""What every attack owes its users; a new one is one more row of the table."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import attacks, metrics


class Row(NamedTuple):
    """An attack as a function of (key, view), and what it owes.

    Attributes:
        view: Which of the two views it takes.
        attack: The function.
        finds: Labels of undefended samples, classes without their names, or neither:
            an attack that does not look at gradients.
    """

    view: Literal["sample", "batch"]
    attack: Callable
    finds: Literal["labels", "classes", "neither"] = "labels"


def cluster_matching(key, view):
    recovered = attacks.direct_inference(view).scores
    return attacks.cluster_matching(key, view, recovered, restarts=4, iterations=10)


def known_encoder(key, view):
    recovered = attacks.direct_inference(view).scores
    return attacks.known_encoder(view, recovered, jnp.eye(3))


def repeated_observation(key, view):
    recovered = attacks.direct_inference(view).scores
    return attacks.repeated_observation(jnp.stack([recovered, 0.5 * recovered]), 0.01)


ATTACKS = {
    "direct_inference": Row("sample", lambda key, view: attacks.direct_inference(view)),
    "entry_filtering": Row("sample", lambda key, view: attacks.entry_filtering(view)),
    "linear_recovery_cg": Row(
        "batch",
        lambda key, view: attacks.linear_recovery(view, solver="cg", iterations=60),
    ),
    "linear_recovery_exact": Row(
        "batch",
        lambda key, view: attacks.linear_recovery(view, solver="exact"),
    ),
    "gradient_inversion": Row(
        "batch",
        lambda key, view: attacks.gradient_inversion(key, view, steps=1500),
    ),
    "noise_aware_recovery_cg": Row(
        "batch",
        lambda key, view: attacks.noise_aware_recovery(
            view, keep_fraction=0.95, reweightings=2, solver="cg", iterations=40
        ),
    ),
    "noise_aware_recovery_exact": Row(
        "batch",
        lambda key, view: attacks.noise_aware_recovery(
            view, noise_std=0.01, solver="exact"
        ),
    ),
    "known_encoder": Row("sample", known_encoder),
    "repeated_observation": Row("sample", repeated_observation),
    "cluster_matching": Row("sample", cluster_matching, finds="classes"),
    "own_prediction_sample": Row(
        "sample", lambda key, view: attacks.own_prediction(view), finds="neither"
    ),
    "own_prediction_batch": Row(
        "batch", lambda key, view: attacks.own_prediction(view), finds="neither"
    ),
}


@pytest.fixture(params=ATTACKS)
def row(request):
    return ATTACKS[request.param]


@pytest.fixture
def case(row, make_exchange):
    exchanges = [make_exchange(seed=seed) for seed in range(3)]
    views = [getattr(exchange, row.view) for exchange in exchanges]
    return row.attack, views, [exchange.truth for exchange in exchanges]


def test_undefended_labels_are_found(row, case):
    attack, views, truths = case
    attack = jax.jit(attack)
    for seed, (view, truth) in enumerate(zip(views, truths, strict=True)):
        inference = attack(jax.random.key(seed), view)
        assert inference.finite
        assert inference.scores.shape == (8, 3)
        if row.finds != "neither":
            assert_same(row, inference.labels, truth)


def test_jit_equals_eager(case):
    attack, views, _ = case
    eager = attack(jax.random.key(0), views[0])
    jitted = jax.jit(attack)(jax.random.key(0), views[0])
    chex.assert_trees_all_close(eager, jitted, rtol=1e-3, atol=1e-3)


def test_vmap_equals_loop(case):
    attack, views, _ = case
    keys = jax.random.split(jax.random.key(0), 3)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *views)
    mapped = jax.jit(jax.vmap(attack))(keys, stacked)
    attack = jax.jit(attack)
    for place, view in enumerate(views):
        alone = attack(jax.random.split(jax.random.key(0), 3)[place], view)
        chex.assert_trees_all_equal(mapped.labels[place], alone.labels)
        chex.assert_trees_all_close(
            mapped.scores[place], alone.scores, rtol=1e-2, atol=1e-2
        )


def test_second_call_compiles_nothing(case):
    attack, views, _ = case
    traced = jax.jit(chex.assert_max_traces(attack, n=1))
    traced(jax.random.key(0), views[0])
    traced(jax.random.key(1), views[1])


def test_same_key_gives_the_same_result(case):
    attack, views, _ = case
    jitted = jax.jit(attack)
    chex.assert_trees_all_equal(
        jitted(jax.random.key(5), views[0]), jitted(jax.random.key(5), views[0])
    )


def test_permuting_the_batch_permutes_the_labels(row, case):
    attack, views, _ = case
    attack = jax.jit(attack)
    view, order = views[0], np.array([3, 1, 7, 0, 2, 6, 5, 4])
    changes = {"features": view.features[order]}
    if hasattr(view, "gradients"):
        changes["gradients"] = view.gradients[order]
    moved = attack(jax.random.key(0), _replace(view, changes))
    assert_same(row, moved.labels, attack(jax.random.key(0), view).labels[order])


def test_nan_gradient_is_a_result_not_an_error(row, case):
    attack, views, _ = case
    name = "gradients" if hasattr(views[0], "gradients") else "gradient"
    broken = jax.tree.map(
        lambda leaf: jnp.full_like(leaf, jnp.nan), getattr(views[0], name)
    )
    inference = jax.jit(attack)(jax.random.key(0), _replace(views[0], {name: broken}))
    if row.finds == "neither":
        chex.assert_trees_all_equal(inference, jax.jit(attack)(None, views[0]))
        return
    assert not inference.finite
    np.testing.assert_array_equal(inference.labels, -1)
    if inference.published_labels is not None:
        np.testing.assert_array_equal(inference.published_labels, -1)


def assert_same(row, labels, expected):
    """Equal labels, or equal up to their names where the attack can't know these."""
    if row.finds == "classes":
        matched = metrics.matched_accuracy(np.asarray(labels), np.asarray(expected), 3)
        assert matched == 1.0
    else:
        np.testing.assert_array_equal(labels, expected)


def _replace(view, changes):
    names = ("model", "params", "features", "gradients", "gradient", "num_classes")
    fields = {name: getattr(view, name) for name in names if hasattr(view, name)}
    return type(view)(**{**fields, **changes})
