"""From labels to what the active party encrypts, with its defense, in both modes."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PyTree

from vfljax import losses
from vfljax.defenses import Defense

_PROBE_TOLERANCE = 1e-4  # relative to the probe


class ExactAnswer(NamedTuple):
    """dL/dH of a batch, in the clear.

    Attributes:
        sent: As sent to passive parties, after the defense.
        own: As the active party uses it.
        loss: Mean cross-entropy in nats.
        state: The defense's, afterwards.
    """

    sent: Float[Array, "batch classes"]
    own: Float[Array, "batch classes"]
    loss: Float[Array, ""]
    state: PyTree[Any]


@functools.partial(jax.jit, static_argnums=0)
def exact_answer(
    defense: Defense,
    key: Key[Array, ""],
    state: PyTree[Any],
    logits: Float[Array, "batch classes"],
    labels: Int[Array, " batch"],
    sample_ids: Int[Array, " batch"],
) -> ExactAnswer:
    """The plain protocol's softmax - y, and the defense on it."""
    targets = defense.encode_labels(jax.nn.one_hot(labels, logits.shape[1]))
    clean = losses.logit_gradient(logits, targets)
    sent, state = defense.perturb(key, state, clean, labels, sample_ids)
    own = sent if defense.covers_label_party else clean
    return ExactAnswer(sent, own, losses.cross_entropy(logits, targets), state)


class TaylorTerms(NamedTuple):
    """What is added to the encrypted logits, in units of 1/(C·B).

    The softmax's first-order expansion at zero is (1 + H)/C for centered H, so that
    C·B·dL/dH = H + 1 - C·y.

    Attributes:
        labels: 1 - C·y.
        noise: The defense's.
        state: The defense's, afterwards.
    """

    labels: Float[Array, "batch classes"]
    noise: Float[Array, "batch classes"]
    state: PyTree[Any]


@functools.partial(jax.jit, static_argnums=(0, 1))
def taylor_terms(
    defense: Defense,
    num_classes: int,
    key: Key[Array, ""],
    state: PyTree[Any],
    labels: Int[Array, " batch"],
    sample_ids: Int[Array, " batch"],
) -> TaylorTerms:
    """Of a batch, for a defense that `check_additive` lets pass."""
    targets = defense.encode_labels(jax.nn.one_hot(labels, num_classes))
    nothing = jnp.zeros_like(targets)
    noise, state = defense.perturb(key, state, nothing, labels, sample_ids)
    factor = num_classes * len(labels)
    return TaylorTerms(1 - num_classes * targets, factor * noise, state)


def check_additive(defense: Defense, num_classes: int, batch_size: int) -> None:
    """Refuses a defense that does more than encode labels and add noise.

    In taylor mode the active party has no dL/dH in the clear. Whether what `perturb`
    adds depends on the gradient is tried with gradients of very different size.

    Raises:
        ValueError: If it does.
    """
    labels = jnp.arange(batch_size) % num_classes
    shape = (batch_size, num_classes)
    gradient = np.random.default_rng(0).normal(size=shape).astype(np.float32)

    def added(scale):
        probe = jnp.asarray(scale * gradient)
        key, ids = jax.random.key(0), jnp.arange(batch_size)
        sent, _ = defense.perturb(key, defense.init(), probe, labels, ids)
        return np.asarray(sent - probe)

    noise = added(0.0)
    for scale in (1e-2, 100.0):
        if not np.abs(added(scale) - noise).max() <= _PROBE_TOLERANCE * scale:
            raise ValueError(
                "make_defense: what this defense sends depends on the gradient, which "
                "the active party doesn't know in mode 'taylor'; allowed are defenses "
                "that encode labels or add noise without clipping, or mode 'exact'"
            )
