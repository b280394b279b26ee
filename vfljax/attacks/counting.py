"""What attacks that count labels have in common."""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from vfljax import models
from vfljax.attacks.base import Attack, CountInference
from vfljax.goals import LABEL_COUNTS, Goal
from vfljax.known import Known
from vfljax.protocol import UpdateView, inputs_of_head

_PART_SIZE = 250  # auxiliary samples that go through the network at once


@dataclasses.dataclass(frozen=True, kw_only=True)
class CountAttack(Attack):
    """An attack that counts the labels behind an update by the network's last layer."""

    layer: str = "output"
    """Name of the network's last dense layer, whose gradient is read."""
    sees: ClassVar[Any] = UpdateView
    goal: ClassVar[Goal] = LABEL_COUNTS


def count_inference(
    estimates: Float[Array, " classes"], total: int, info: Any = ()
) -> CountInference:
    """Rounds estimated counts to whole ones that sum to `total`.

    Without an answer, all zero, where an estimate is not finite.
    """
    is_finite = jnp.all(jnp.isfinite(estimates))
    counts = jnp.where(is_finite, round_counts(estimates, total), 0)
    return CountInference(counts, estimates, is_finite, info)


def round_counts(
    estimates: Float[Array, " classes"], total: int
) -> Int[Array, " classes"]:
    """Whole counts that sum to `total`, by the method of largest remainders.

    Negative estimates count as 0 and the others are scaled to the total first; of equal
    remainders the lowest class comes first. Without a positive estimate all classes
    are as likely.

    Example:
        >>> round_counts(jnp.array([2.6, -0.1, 1.4]), 4)
        Array([3, 0, 1], dtype=int32)
    """
    shares = jnp.maximum(estimates, 0.0)
    is_positive = jnp.sum(shares) > 0
    shares = jnp.where(is_positive, shares, 1.0)
    shares = shares * (total / jnp.sum(shares))
    whole = jnp.floor(shares).astype(jnp.int32)
    order = jnp.argsort(whole - shares, stable=True)  # largest remainder first
    rank = jnp.zeros_like(order).at[order].set(jnp.arange(len(order)))
    return whole + (rank < total - jnp.sum(whole)).astype(jnp.int32)


def sum_over_auxiliary(
    view: UpdateView, known: Known, layer: str, summands: Callable[..., PyTree[Any]]
) -> PyTree[Any]:
    """Sums over the adversary's own samples, a part at a time, so that memory suffices.

    No backward pass goes through the network.

    Args:
        view: The update, of which the network and its parameters are used.
        known: Has `auxiliary_features` and `auxiliary_labels`.
        layer: Name of the network's last dense layer.
        summands: `summands(one_hot, inputs, probabilities)` to a tree of sums over the
            rows of its arguments: the classes as (batch, classes), all zero in rows
            that don't count; what the last layer is given, (batch, d); the softmax of
            the logits, (batch, classes).

    Returns:
        The sums over all samples.
    """
    features = jnp.asarray(known.auxiliary_features)
    labels = jnp.asarray(known.auxiliary_labels)
    num_samples = len(labels)
    num_parts = -(-num_samples // _PART_SIZE)
    size = -(-num_samples // num_parts)
    rows = jnp.arange(num_parts * size)
    labels = jnp.where(rows < num_samples, labels[rows % num_samples], -1)

    def of_part(rows, labels):
        inputs, probabilities = run_head(view, features[rows % num_samples], layer)
        one_hot = jax.nn.one_hot(labels, view.num_classes)
        return summands(one_hot, inputs, probabilities)

    if num_parts == 1:
        return of_part(rows, labels)
    parts = rows.reshape(num_parts, size), labels.reshape(num_parts, size)
    shapes = jax.eval_shape(of_part, parts[0][0], parts[1][0])
    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

    def add(total, part):
        return jax.tree.map(jnp.add, total, of_part(*part)), None

    return jax.lax.scan(add, zero, parts)[0]


def run_head(
    view: UpdateView, features: Float[Array, "batch ..."], layer: str
) -> tuple[Float[Array, "batch d"], Float[Array, "batch classes"]]:
    """What the last layer is given for each sample, and the softmax of the logits."""
    logits = models.embed(view.model, view.params, features, view.forward)
    return inputs_of_head(view, features, layer), jax.nn.softmax(logits)
