"""What attacks that count labels have in common."""

import dataclasses
from typing import Any, ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from vfljax.attacks.base import Attack, CountInference
from vfljax.goals import LABEL_COUNTS, Goal
from vfljax.protocol import UpdateView


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
