"""What attacks have in common that read the messages another attack recovers."""

import dataclasses
from typing import ClassVar

import jax
from jaxtyping import Array, Float, Key

from vfljax._checks import require
from vfljax.attacks.base import Attack, GradientView
from vfljax.attacks.linear_recovery import LinearRecovery
from vfljax.known import Known
from vfljax.protocol import check_view


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReadsMessages(Attack):
    """An attack on top of one that recovers messages −B·u, which it reads its own way.

    What it sees is what that one sees, and it knows what that one knows besides what it
    `reads` itself, fields of `Known`. It is adaptive: what is recovered is no clean
    message to it, but a noisy one, or that of encoded labels.
    """

    of: Attack = dataclasses.field(default_factory=LinearRecovery)
    """Attack whose scores are the messages that are read: one on a batch gradient, such
    as LinearRecovery, or DirectInference, which takes them as received."""
    is_adaptive = True
    needs_sum_of_logits = True
    reads: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self):
        """Checks words, ranges, and that there are messages to read."""
        super().__post_init__()
        require(
            isinstance(self.of, Attack) and self.of.recovers_messages,
            "of",
            self.of,
            "an attack that recovers messages, such as DirectInference()",
        )

    @property
    def sees(self):
        """The view of the attack that recovers messages."""
        return self.of.sees

    @property
    def uses(self) -> tuple[str, ...]:
        """What both know."""
        return tuple(dict.fromkeys((*self.of.uses, *self.reads)))

    @property
    def source(self) -> Attack | None:
        """Itself where its scores are messages too, else the attack it reads."""
        return self if self.recovers_messages else self.of

    def fits(self, task) -> str | None:
        """Why the attack that recovers messages can't run there."""
        reason = self.of.fits(task)
        return None if reason is None else f"of.{reason}"

    def recover(
        self, key: Key[Array, ""], view, known: Known
    ) -> Float[Array, "batch classes"]:
        """Messages −B·u; the key stays fresh for what is done with them."""
        of = self.of
        return of(jax.random.fold_in(key, 0), view, known.only(of.uses)).scores


def check_recovered(view: GradientView, recovered: Float[Array, "..."]) -> None:
    """Raises a `ValueError` for a bad view, or messages that can't be of its batch."""
    check_view(view)
    expected = (view.features.shape[0], view.num_classes)
    if recovered.shape != expected:
        raise ValueError(f"recovered: shape {recovered.shape}, must be {expected}")
