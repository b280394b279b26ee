"""What every defense owes its users; a new one is one more row of the table."""

from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import defenses

MESSAGE = jax.random.normal(jax.random.key(9), (12, 4)) / 12
LABELS = jnp.arange(12) % 4
BINARY_LABELS = jnp.array([0, 1, 1, 0, 1, 0, 0, 0, 1, 0, 1, 0])
PAIRS = MESSAGE[:, :1] * jnp.array([[1.0, -1.0]])  # gradients of two logits: (t, −t)
SAMPLES = jnp.array([3, 1, 4, 15, 9, 2, 6, 5, 35, 8, 97, 93])


class Row(NamedTuple):
    """A defense as a factory of its swept strength, and what it owes.

    Attributes:
        make: The factory.
        strength: Where it does something.
        nothing: Where it is exactly no defense; None if there is no such strength.
        message: What it perturbs.
        labels: The classes of the message's rows.
        perturbs: Whether it does, or only encodes labels.
        atol: Between compiled and eager results.
    """

    make: Callable[..., defenses.Defense]
    strength: float
    nothing: float | None
    message: jax.Array = MESSAGE
    labels: jax.Array = LABELS
    perturbs: bool = True
    atol: float = 1e-8


def shifting_autoencoder(doubt):
    """Class c is called c + 1, with some doubt; the decoder turns it back."""
    turned = jnp.roll(jnp.eye(4), 1, axis=1)
    decoder = {
        "hidden": {"kernel": jnp.eye(4), "bias": jnp.zeros((1, 4))},
        "output": {"kernel": 9 * turned.T, "bias": jnp.zeros((1, 4))},
    }
    codebook = (1 - doubt) * turned + doubt * (1 - jnp.eye(4)) / 3
    return defenses.Autoencoder(codebook=codebook, decoder=decoder)


INFINITY = float("inf")

DEFENSES = {
    "dp_gaussian": Row(
        lambda s: defenses.dp_gaussian(s, clip_norm=INFINITY), 0.01, nothing=0.0
    ),
    "dp_laplace": Row(
        lambda s: defenses.dp_laplace(s, clip_norm=INFINITY), 0.01, nothing=0.0
    ),
    "dp_laplace_released": Row(
        lambda s: defenses.dp_laplace(s, clip_norm=INFINITY, reading="released"),
        0.01,
        nothing=0.0,
    ),
    "sparsification": Row(defenses.sparsification, 0.25, nothing=1.0),
    "sparsification_by_sample": Row(
        lambda s: defenses.sparsification(
            s, residual="by_sample", memory_shape=(100, 4)
        ),
        0.25,
        nothing=1.0,
    ),
    "sparsification_by_row": Row(
        lambda s: defenses.sparsification(s, residual="by_row", memory_shape=(12, 4)),
        0.25,
        nothing=1.0,
    ),
    "gradient_compression": Row(defenses.gradient_compression, 0.25, nothing=1.0),
    "gradient_compression_released": Row(
        lambda s: defenses.gradient_compression(s, reading="released"),
        0.25,
        nothing=None,
    ),
    "discrete_sgd": Row(defenses.discrete_sgd, 6.0, nothing=None),
    "discrete_sgd_released": Row(
        lambda s: defenses.discrete_sgd(s, reading="released", bound=0.01),
        6.0,
        nothing=None,
    ),
    "ppdl": Row(defenses.ppdl, 0.5, nothing=None),
    "ppdl_without_noise": Row(
        lambda s: defenses.ppdl(s, epsilon=INFINITY, bound=INFINITY, threshold=0.0),
        0.5,
        nothing=1.0,
    ),
    "max_norm": Row(defenses.max_norm, 1.0, nothing=0.0),
    "isotropic": Row(defenses.isotropic, 0.3, nothing=0.0),
    "marvell": Row(
        defenses.marvell,
        1.0,
        nothing=0.0,
        message=PAIRS,
        labels=BINARY_LABELS,
        atol=1e-6,
    ),
    # The best noise is where a sum is smallest; that sum is flat there, so its place is
    # known to the root of float32's 1e-7, and entries of size .1 to some 1e-4.
    "marvell_of_any_width": Row(
        lambda s: defenses.marvell(s, zero_sum=False),
        1.0,
        nothing=0.0,
        labels=BINARY_LABELS,
        atol=2e-4,
    ),
    "cae": Row(
        lambda s: defenses.cae(shifting_autoencoder(s)),
        0.2,
        nothing=None,
        perturbs=False,
    ),
    "dcae": Row(
        lambda s: defenses.chain(
            defenses.cae(shifting_autoencoder(s)), defenses.discrete_sgd(12)
        ),
        0.2,
        nothing=None,
    ),
    "chain": Row(
        lambda s: defenses.chain(
            defenses.dp_gaussian(s, clip_norm=INFINITY),
            defenses.sparsification(1.0),
        ),
        0.01,
        nothing=0.0,
    ),
}


class Acts(NamedTuple):
    """Everything through which a defense acts, in one step."""

    targets: jax.Array
    sent: jax.Array
    state: object
    logits: jax.Array


def act(row, strength, message=None) -> Acts:
    defense = row.make(strength)
    message = row.message if message is None else message
    key = jax.random.key(0)
    sent, state = defense.perturb(key, defense.init(), message, row.labels, SAMPLES)
    return Acts(
        targets=defense.encode_labels(jax.nn.one_hot(LABELS, 4)),
        sent=sent,
        state=state,
        logits=defense.decode_logits(MESSAGE),
    )


@pytest.fixture(scope="module", params=DEFENSES)
def row(request) -> Row:
    return DEFENSES[request.param]


@pytest.fixture(scope="module")
def acts(row) -> Acts:
    """Eager, as in all tests but those of jit and vmap."""
    return act(row, row.strength)


def test_changes_the_message_and_keeps_its_shape(row, acts):
    chex.assert_equal_shape([acts.sent, row.message])
    assert jnp.all(jnp.isfinite(acts.sent))
    assert jnp.allclose(acts.sent, row.message) != row.perturbs


def test_state_keeps_its_structure(row, acts):
    before = row.make(row.strength).init()
    chex.assert_trees_all_equal_shapes_and_dtypes(acts.state, before)


def test_jit_with_a_traced_strength_equals_eager(row, acts):
    jitted = jax.jit(lambda strength: act(row, strength))(row.strength)
    chex.assert_trees_all_close(jitted, acts, rtol=1e-6, atol=row.atol)


def test_vmap_over_strengths_equals_loop(row, acts):
    strengths = jnp.array([row.strength, row.strength * 0.5])
    mapped = jax.jit(jax.vmap(lambda strength: act(row, strength)))(strengths)
    for place, alone in enumerate((acts, act(row, float(strengths[1])))):
        of_place = jax.tree.map(lambda leaf, i=place: leaf[i], mapped)
        chex.assert_trees_all_close(of_place, alone, rtol=1e-6, atol=row.atol)


def test_no_strength_is_exactly_no_defense(row):
    if row.nothing is None:
        pytest.skip("has no strength at which it does nothing")
    np.testing.assert_array_equal(act(row, row.nothing).sent, row.message)


def test_touches_labels_and_logits_only_if_it_says_so(row, acts):
    defense, one_hot = row.make(row.strength), jax.nn.one_hot(LABELS, 4)
    if not defense.encodes_labels:
        np.testing.assert_array_equal(acts.targets, one_hot)
        np.testing.assert_array_equal(acts.logits, MESSAGE)
        return
    np.testing.assert_allclose(acts.targets.sum(axis=1), 1.0, rtol=1e-6)
    assert not jnp.any(acts.targets.argmax(axis=1) == LABELS)
    decoded = defense.decode_logits(jnp.log(acts.targets))
    np.testing.assert_array_equal(decoded.argmax(axis=1), LABELS)


def test_says_whether_rows_still_sum_to_zero(row):
    message = row.message - row.message.mean(axis=1, keepdims=True)
    sent = act(row, row.strength, message).sent
    keeps = bool(jnp.allclose(sent.sum(axis=1), 0.0, atol=1e-6))
    assert row.make(row.strength).keeps_zero_sum == keeps
