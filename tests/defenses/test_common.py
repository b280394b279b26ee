"""What every defense owes its users; a new one is one more row of the table."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import defenses

MESSAGE = jax.random.normal(jax.random.key(9), (12, 4)) / 12
LABELS = jnp.arange(12) % 4
SAMPLES = jnp.array([3, 1, 4, 15, 9, 2, 6, 5, 35, 8, 97, 93])

# A factory of the swept strength, and a strength that is exactly no defense.
DEFENSES = {
    "dp_gaussian": (
        lambda s: defenses.dp_gaussian(s, clip_norm=float("inf")),
        0.01,
        0.0,
    ),
    "dp_laplace": (
        lambda s: defenses.dp_laplace(s, clip_norm=float("inf")),
        0.01,
        0.0,
    ),
    "dp_laplace_released": (
        lambda s: defenses.dp_laplace(s, clip_norm=float("inf"), reading="released"),
        0.01,
        0.0,
    ),
    "sparsification": (defenses.sparsification, 0.25, 1.0),
    "sparsification_by_sample": (
        lambda s: defenses.sparsification(
            s, residual="by_sample", memory_shape=(100, 4)
        ),
        0.25,
        1.0,
    ),
    "sparsification_by_row": (
        lambda s: defenses.sparsification(s, residual="by_row", memory_shape=(12, 4)),
        0.25,
        1.0,
    ),
    "discrete_sgd": (defenses.discrete_sgd, 6.0, None),
    "discrete_sgd_released": (
        lambda s: defenses.discrete_sgd(s, reading="released", bound=0.01),
        6.0,
        None,
    ),
    "chain": (
        lambda s: defenses.chain(
            defenses.dp_gaussian(s, clip_norm=float("inf")),
            defenses.sparsification(1.0),
        ),
        0.01,
        0.0,
    ),
}


@pytest.fixture(params=DEFENSES)
def case(request):
    return DEFENSES[request.param]


def perturb(defense, key, message=MESSAGE):
    return defense.perturb(key, defense.init(), message, LABELS, SAMPLES)


def test_changes_the_message_and_keeps_its_shape(case):
    make, strength, _ = case
    sent, _ = perturb(make(strength), jax.random.key(0))
    chex.assert_equal_shape([sent, MESSAGE])
    assert jnp.all(jnp.isfinite(sent))
    assert not jnp.allclose(sent, MESSAGE)


def test_state_keeps_its_structure(case):
    make, strength, _ = case
    defense = make(strength)
    _, state = perturb(defense, jax.random.key(0))
    chex.assert_trees_all_equal_shapes_and_dtypes(state, defense.init())


def test_jit_with_a_traced_strength_equals_eager(case):
    make, strength, _ = case
    jitted = jax.jit(lambda s, key: perturb(make(s), key))
    for seed in (0, 1):
        chex.assert_trees_all_close(
            jitted(strength, jax.random.key(seed)),
            perturb(make(strength), jax.random.key(seed)),
            rtol=1e-6,
            atol=1e-8,
        )


def test_vmap_over_strengths_equals_loop(case):
    make, strength, _ = case
    strengths = jnp.array([strength, strength * 0.5])
    mapped = jax.vmap(lambda s: perturb(make(s), jax.random.key(0))[0])(strengths)
    for place in range(2):
        alone = perturb(make(float(strengths[place])), jax.random.key(0))[0]
        np.testing.assert_allclose(mapped[place], alone, rtol=1e-6, atol=1e-8)


def test_no_strength_is_exactly_no_defense(case):
    make, _, nothing = case
    if nothing is None:
        pytest.skip("has no strength at which it does nothing")
    sent, _ = perturb(make(nothing), jax.random.key(0))
    np.testing.assert_array_equal(sent, MESSAGE)


def test_labels_and_logits_are_left_alone(case):
    make, strength, _ = case
    defense = make(strength)
    one_hot = jax.nn.one_hot(LABELS, 4)
    np.testing.assert_array_equal(defense.encode_labels(one_hot), one_hot)
    np.testing.assert_array_equal(defense.decode_logits(MESSAGE), MESSAGE)


def test_says_whether_rows_still_sum_to_zero(case):
    make, strength, _ = case
    defense = make(strength)
    message = MESSAGE - MESSAGE.mean(axis=1, keepdims=True)
    sent, _ = perturb(defense, jax.random.key(0), message)
    keeps = bool(jnp.allclose(sent.sum(axis=1), 0.0, atol=1e-6))
    assert defense.keeps_zero_sum == keeps
