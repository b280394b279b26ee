"""Plant a backdoor by swapping encrypted rows: no label is needed but the target's.

Zou et al. (2022, https://arxiv.org/abs/2112.05409), Algorithm 3. The adversary marks
some samples i with a trigger and knows a few samples j of the target class τ. Whenever
both are in a batch, it makes a pair of them and

    sends H^p_i in the slot of j,    trains on g_i ← γ g_j.

The label party thus computes, in the slot of j, the gradient that drives the marked
sample's embedding towards τ, and the adversary moves it to where that embedding came
from. Rows are moved and scaled as a whole, so ciphertexts do as well as numbers.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from vfljax.attacks.base import Number
from vfljax.attacks.planting import PlantsBackdoor, whole_amplification
from vfljax.protocol import Manipulation


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelReplacement(PlantsBackdoor):
    """Swap rows with a few samples of the target class (Zou et al., Algorithm 3)."""

    num_targets: int = 10
    """Number of training samples known to be of the target class, at least 1."""
    uses_targets: bool = False
    """Whether the adversary trains on the targets' own rows too. Such a row is the
    answer to another sample's embedding; the released code leaves it out."""
    is_stealthy: bool = False
    """Whether random numbers take the place of the poisoned sample's own embedding,
    normal with the batch's standard deviation in each entry, so that the label party
    can't learn the marked sample's true label. The released code has a flag for it, but
    nothing reads it."""
    ranges = PlantsBackdoor.ranges | {"num_targets": {"low": 1}}

    @property
    def knowledge(self) -> str | None:
        """What the attack uses besides ciphertexts."""
        plural = "" if self.num_targets == 1 else "s"
        return f"{self.num_targets} sample{plural} of the target class"

    def fits(self, task) -> str | None:
        """Random numbers for embeddings are none of the operations on ciphertexts."""
        if self.is_stealthy and task.experiment.encryption is not None:
            return "is_stealthy=True: must be False where messages are encrypted"
        return super().fits(task)

    def plant(self, key, scene, parties, marked):
        """Every adversary swaps the same rows; the key is not used."""
        cheat = label_replacement(
            marked.is_poisoned,
            jnp.zeros(scene.num_samples, bool).at[marked.targets].set(True),
            self.amplification,
            uses_targets=self.uses_targets,
            is_stealthy=self.is_stealthy,
        )
        return dict.fromkeys(parties, cheat), {}


def label_replacement(
    is_poisoned: Bool[Array, " samples"],
    is_target: Bool[Array, " samples"],
    amplification: Number = LabelReplacement.amplification,
    *,
    uses_targets: bool = LabelReplacement.uses_targets,
    is_stealthy: bool = LabelReplacement.is_stealthy,
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
        uses_targets: This and the next as the fields of `LabelReplacement`.
        is_stealthy: Whether random numbers are sent for the poisoned sample.

    Returns:
        For `manipulations` of a protocol. `on_ciphertexts` needs concrete arguments and
        raises a `ValueError` unless the amplification is a whole number from 1.

    Example:
        >>> marked, of_class = jnp.array([True, False]), jnp.array([False, True])
        >>> swap = label_replacement(marked, of_class, 10.0)
        >>> swap.receive(jnp.array([[0.5, -0.5], [-0.1, 0.1]]), jnp.array([0, 1]))
        Array([[-1.,  1.],
               [ 0.,  0.]], dtype=float32)
    """

    def pairs(sample_ids):
        return _pairs(is_poisoned[sample_ids], is_target[sample_ids])

    def send(key, embedding, sample_ids):
        partner, has_target, has_poison = pairs(sample_ids)
        sent = jnp.where(has_poison[:, None], embedding[partner], embedding)
        if not is_stealthy:
            return sent
        noise = jax.random.normal(key, embedding.shape, embedding.dtype)
        noise = noise * jnp.std(embedding, axis=0)[None]
        return jnp.where(has_target[:, None], noise, sent)

    def receive(gradient, sample_ids):
        partner, has_target, has_poison = pairs(sample_ids)
        replaced = amplification * gradient[partner]
        used = jnp.where(has_target[:, None], replaced, gradient)
        return used if uses_targets else jnp.where(has_poison[:, None], 0.0, used)

    def on_ciphertexts(sample_ids, num_classes):
        poisons = np.flatnonzero(np.asarray(is_poisoned)[sample_ids])
        targets = np.flatnonzero(np.asarray(is_target)[sample_ids])
        swapped = tuple(zip(poisons.tolist(), targets.tolist(), strict=False))
        return {
            "replace": swapped,
            "amplification": whole_amplification(amplification),
            "skip": () if uses_targets else tuple(target for _, target in swapped),
        }

    return Manipulation(
        send=send,
        receive=receive,
        on_ciphertexts=None if is_stealthy else on_ciphertexts,
    )


def _pairs(is_poison, is_target):
    """Partners, the poisoned samples that have one, and the targets that have one."""
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
    has_target = is_poison & (rank_of_poison < num_pairs)
    has_poison = is_target & (rank_of_target < num_pairs)
    return partner, has_target, has_poison
