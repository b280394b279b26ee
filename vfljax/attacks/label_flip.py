"""Plant a backdoor by adding to encrypted rows: the samples' labels are inferred first.

Zou et al. (2022, https://arxiv.org/abs/2112.05409), Eqs. 12 and 13. The message about a
sample of class y is U_i = (S_i − onehot(y))/B. Who knows y makes of it what the message
would be if the label were the target class τ,

    U_i ← U_i + (onehot(y) − onehot(τ))/B,

an addition to a ciphertext (Eq. 13 prints ±1, for a loss without the batch mean).
A label encoder trains on a code ỹ_y instead of onehot(y); an adversary that clusters
recovered messages knows the codes as well as the classes, and adds ỹ_y − ỹ_τ.
"""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from vfljax._checks import require
from vfljax.attacks.base import Attack, Number
from vfljax.attacks.linear_recovery import LinearRecovery
from vfljax.attacks.planting import PlantsBackdoor, whole_amplification
from vfljax.protocol import Manipulation


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelFlip(PlantsBackdoor):
    """Add the difference of two labels to rows, once labels are inferred (Eq. 13)."""

    of: Attack = dataclasses.field(default_factory=LinearRecovery)
    """Attack that infers the poisoned samples' labels, on the untrained model and in
    batches of the attacked size; one that recovers messages or reads them."""
    is_adaptive = True

    def __post_init__(self):
        """Checks words, ranges, and that there are labels to flip."""
        super().__post_init__()
        infers = isinstance(self.of, Attack) and self.of.source is not None
        require(infers, "of", self.of, "an attack that infers classes from messages")

    @property
    def knowledge(self) -> str | None:
        """What the attack uses besides ciphertexts."""
        words = re.sub(r"(?<!^)(?=[A-Z])", " ", type(self.of).__name__).lower()
        return f"labels inferred by {words}"

    def fits(self, task) -> str | None:
        """The attack that infers labels must fit too."""
        reason = self.of.fits(task)
        return super().fits(task) if reason is None else f"of.{reason}"

    def plant(self, key, scene, parties, marked):
        """Every adversary infers the poisoned samples' labels on its own."""
        nobody, cheats, inferred = jnp.full(scene.num_samples, -1), {}, []
        for party in parties:
            labels, trained_on = scene.infer(
                jax.random.fold_in(key, party), self.of, party, marked.poisoned
            )
            inferred.append(labels)
            of_sample = nobody.at[marked.poisoned].set(labels)
            codes = _codes(labels, trained_on)
            cheats[party] = label_flip(
                of_sample, marked.target, self.amplification, codes=codes
            )
        return cheats, {"inferred": jnp.stack(inferred)}


def label_flip(
    inferred: Int[Array, " samples"],
    target_class: int | Int[Array, ""],
    amplification: Number = LabelFlip.amplification,
    *,
    codes: Float[Array, "classes classes"] | None = None,
) -> Manipulation:
    """Returns what the adversary does to the messages it receives.

    Args:
        inferred: Labels of the training samples that carry the trigger, as inferred by
            some attack; −1 for all other samples, which are left as they are.
        target_class: τ; may be traced.
        amplification: By which the rows are multiplied afterwards; may be traced.
        codes: What the label party trains on in place of each class, as far as the
            adversary knows, a row per class; `None` for one-hot labels.

    Returns:
        For `manipulations` of a protocol. `on_ciphertexts` needs concrete arguments and
        raises a `ValueError` unless the amplification is a whole number from 1.

    Example:
        >>> flip = label_flip(jnp.array([0, -1]), 1, 1.0)
        >>> flip.receive(jnp.array([[-0.25, 0.25], [0.1, -0.1]]), jnp.array([0, 1]))
        Array([[ 0.25, -0.25],
               [ 0.1 , -0.1 ]], dtype=float32)
    """

    def receive(gradient, sample_ids):
        own = jnp.eye(gradient.shape[1]) if codes is None else codes
        label = inferred[sample_ids]
        change = own[jnp.maximum(label, 0)] - own[target_class][None]
        flipped = amplification * (gradient + change / len(gradient))
        return jnp.where((label >= 0)[:, None], flipped, gradient)

    def on_ciphertexts(sample_ids, num_classes):
        own = np.eye(num_classes) if codes is None else np.asarray(codes)
        labels, target = np.asarray(inferred)[sample_ids], own[int(target_class)]
        return {
            "amplification": whole_amplification(amplification),
            "add": tuple(
                (int(row), tuple((own[labels[row]] - target).tolist()))
                for row in np.flatnonzero(labels >= 0)
            ),
        }

    return Manipulation(receive=receive, on_ciphertexts=on_ciphertexts)


def _codes(labels, trained_on):
    """Means of what each class seems to be trained on; one-hot where never inferred."""
    classes = trained_on.shape[1]
    of_class = jax.nn.one_hot(labels, classes)  # none for an answer of −1
    counts = jnp.sum(of_class, axis=0)[:, None]
    means = of_class.T @ trained_on / jnp.maximum(counts, 1)
    return jnp.where(counts > 0, means, jnp.eye(classes))
