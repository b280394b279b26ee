"""What every attack owes its users; a new one is one more row of the table."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import attacks

ATTACKS = {
    "direct_inference": ("sample", lambda key, view: attacks.direct_inference(view)),
    "linear_recovery_cg": (
        "batch",
        lambda key, view: attacks.linear_recovery(view, solver="cg", iterations=60),
    ),
    "linear_recovery_exact": (
        "batch",
        lambda key, view: attacks.linear_recovery(view, solver="exact"),
    ),
    "gradient_inversion": (
        "batch",
        lambda key, view: attacks.gradient_inversion(key, view, steps=1500),
    ),
}


@pytest.fixture(params=ATTACKS)
def case(request, make_exchange):
    kind, attack = ATTACKS[request.param]
    exchanges = [make_exchange(seed=seed) for seed in range(3)]
    views = [getattr(exchange, kind) for exchange in exchanges]
    return attack, views, [exchange.truth for exchange in exchanges]


def test_undefended_labels_are_found(case):
    attack, views, truths = case
    attack = jax.jit(attack)
    for seed, (view, truth) in enumerate(zip(views, truths, strict=True)):
        inference = attack(jax.random.key(seed), view)
        np.testing.assert_array_equal(inference.labels, truth)
        assert inference.finite
        assert inference.scores.shape == (8, 3)


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


def test_permuting_the_batch_permutes_the_labels(case):
    attack, views, _ = case
    attack = jax.jit(attack)
    view, order = views[0], np.array([3, 1, 7, 0, 2, 6, 5, 4])
    changes = {"features": view.features[order]}
    if hasattr(view, "gradients"):
        changes["gradients"] = view.gradients[order]
    moved = attack(jax.random.key(0), _replace(view, changes))
    np.testing.assert_array_equal(
        moved.labels, attack(jax.random.key(0), view).labels[order]
    )


def test_nan_gradient_is_a_result_not_an_error(case):
    attack, views, _ = case
    name = "gradients" if hasattr(views[0], "gradients") else "gradient"
    broken = jax.tree.map(
        lambda leaf: jnp.full_like(leaf, jnp.nan), getattr(views[0], name)
    )
    inference = jax.jit(attack)(jax.random.key(0), _replace(views[0], {name: broken}))
    assert not inference.finite
    np.testing.assert_array_equal(inference.labels, -1)
    if inference.published_labels is not None:
        np.testing.assert_array_equal(inference.published_labels, -1)


def _replace(view, changes):
    names = ("model", "params", "features", "gradients", "gradient", "num_classes")
    fields = {name: getattr(view, name) for name in names if hasattr(view, name)}
    return type(view)(**{**fields, **changes})
