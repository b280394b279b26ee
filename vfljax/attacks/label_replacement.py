"""Plant a backdoor by swapping encrypted rows: no label is needed but the target's.

Zou et al. (2022, https://arxiv.org/abs/2112.05409), Algorithm 3. The adversary marks
some samples i with a trigger and knows a few samples j of the target class τ. Whenever
both are in a batch, it makes a pair of them and

    sends H^p_i in the slot of j,    trains on g_i ← γ g_j.

The label party thus computes, in the slot of j, the gradient that drives the marked
sample's embedding towards τ, and the adversary moves it to where that embedding came
from. Rows are moved and scaled as a whole, so ciphertexts do as well as numbers.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from vfljax.protocol import Manipulation


def label_replacement(
    is_poisoned: Bool[Array, " samples"],
    is_target: Bool[Array, " samples"],
    amplification: int | float | Float[Array, ""] = 10.0,
    *,
    uses_targets: bool = False,
    is_stealthy: bool = False,
) -> Manipulation:
    """Returns what the adversary does to its messages; the trigger is not part of it.

    In a batch, the k-th poisoned sample makes a pair with the k-th target; those
    without a partner are left as they are. With no poisoned sample, nothing changes.

    Args:
        is_poisoned: Which training samples carry the trigger.
        is_target: Which are known to be of the target class; one is enough. No sample
            should be both.
        amplification: γ >= 0; may be traced. The published value is 10, where each
            batch holds one pair.
        uses_targets: Whether the adversary trains on the target's own row too. That row
            is the answer to another sample's embedding; the released code leaves it
            out, and so does the default.
        is_stealthy: Whether random numbers take the place of the poisoned sample's own
            embedding, normal with the batch's standard deviation in each entry, so
            that the label party can't learn the marked sample's true label.
            The released code has a flag for it, but nothing reads it.

    Returns:
        For `manipulations` of a protocol.

    Example:
        >>> marked, of_class = jnp.array([True, False]), jnp.array([False, True])
        >>> swap = label_replacement(marked, of_class, 10.0)
        >>> swap.receive(jnp.array([[0.5, -0.5], [-0.1, 0.1]]), jnp.array([0, 1]))
        Array([[-1.,  1.],
               [ 0.,  0.]], dtype=float32)
    """

    def send(key, embedding, sample_ids):
        pairs = _pairs(is_poisoned[sample_ids], is_target[sample_ids])
        of_partner = embedding[pairs.partner]
        sent = jnp.where(pairs.is_paired_target[:, None], of_partner, embedding)
        if not is_stealthy:
            return sent
        noise = jax.random.normal(key, embedding.shape, embedding.dtype)
        noise = noise * jnp.std(embedding, axis=0)[None]
        return jnp.where(pairs.is_paired_poison[:, None], noise, sent)

    def receive(gradient, sample_ids):
        pairs = _pairs(is_poisoned[sample_ids], is_target[sample_ids])
        replaced = amplification * gradient[pairs.partner]
        used = jnp.where(pairs.is_paired_poison[:, None], replaced, gradient)
        if uses_targets:
            return used
        return jnp.where(pairs.is_paired_target[:, None], 0.0, used)

    return Manipulation(send=send, receive=receive)


class _Pairs(NamedTuple):
    """Who makes a pair with whom in a batch."""

    partner: Int[Array, " batch"]
    is_paired_poison: Bool[Array, " batch"]
    is_paired_target: Bool[Array, " batch"]


def _pairs(is_poison, is_target):
    """The k-th poisoned sample of a batch and its k-th target."""
    rank_of_poison = jnp.cumsum(is_poison) - 1
    rank_of_target = jnp.cumsum(is_target) - 1
    num_pairs = jnp.minimum(jnp.sum(is_poison), jnp.sum(is_target))
    poisons = jnp.argsort(~is_poison)  # stable: positions in ascending order
    targets = jnp.argsort(~is_target)
    last = len(is_poison) - 1
    partner = jnp.where(
        is_poison,
        targets[jnp.clip(rank_of_poison, 0, last)],
        poisons[jnp.clip(rank_of_target, 0, last)],
    )
    return _Pairs(
        partner=partner,
        is_paired_poison=is_poison & (rank_of_poison < num_pairs),
        is_paired_target=is_target & (rank_of_target < num_pairs),
    )
