"""Backdoors as plain data: who is marked, how messages are manipulated."""

import dataclasses
from typing import ClassVar, Literal

from vfljax import data
from vfljax.experiments.attack_specs import ViewName
from vfljax.experiments.checks import require, require_choice


@dataclasses.dataclass(frozen=True, kw_only=True)
class _PlantsBackdoor:
    """What both routes to a backdoor have in common."""

    trigger: str = "mnist"
    """Name of a trigger: mnist, cifar, mnist_quadrants, cifar_quadrants, nus_wide;
    all of it must lie in the adversaries' features."""
    adversaries: Literal["one", "all"] = "one"
    """data.adversary, or every passive party on the same samples."""
    num_poisoned: int = 600
    """Training samples with the trigger, drawn from all classes; 0 trains cleanly."""
    num_poisoned_test: int = 100
    """Test samples that the trigger is tried on; they keep a copy without it."""
    target_class: int | None = None
    """The class that the trigger is to lead to; None: one drawn per trial."""
    batches: Literal["extended", "as_drawn"] = "extended"
    """extended: each batch gets one poisoned sample, and a target if there are such,
    on top of those drawn from all others; as_drawn: as they fall into it."""
    amplification: float = 10.0
    """Gamma, by which the poisoned sample's message is multiplied, >= 0."""
    view: ClassVar[ViewName] = "message_rows"
    depends_on: ClassVar[tuple[str, ...]] = ()
    is_adaptive: ClassVar[bool] = False
    named_per_class: ClassVar[int] = 0

    def __post_init__(self):
        """Checks the ranges."""
        require_choice("trigger", self.trigger, tuple(data.TRIGGERS))
        require_choice("adversaries", self.adversaries, ("one", "all"))
        require_choice("batches", self.batches, ("extended", "as_drawn"))
        require(self.num_poisoned >= 0, "num_poisoned", self.num_poisoned, ">= 0")
        number = self.num_poisoned_test
        require(number >= 1, "num_poisoned_test", number, ">= 1")
        target = self.target_class
        require(target is None or target >= 0, "target_class", target, ">= 0")
        require(self.amplification >= 0, "amplification", self.amplification, ">= 0")

    @property
    def extra_rows(self) -> int:
        """By how many samples each batch is extended."""
        if self.num_poisoned == 0 or self.batches == "as_drawn":
            return 0
        return 1 + (getattr(self, "num_targets", 0) > 0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelReplacement(_PlantsBackdoor):
    """Swap rows with a few samples of the target class (Zou et al., Algorithm 3)."""

    num_targets: int = 10
    """Training samples known to be of the target class, >= 1."""
    uses_targets: bool = False
    """Whether the adversary trains on the targets' rows too."""
    is_stealthy: bool = False
    """Whether random numbers are sent for the poisoned sample itself."""

    def __post_init__(self):
        """Checks the ranges."""
        super().__post_init__()
        require(self.num_targets >= 1, "num_targets", self.num_targets, ">= 1")

    @property
    def knowledge(self) -> str | None:
        """What the attack uses besides ciphertexts."""
        plural = "" if self.num_targets == 1 else "s"
        return f"{self.num_targets} sample{plural} of the target class"


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelFlip(_PlantsBackdoor):
    """Add the difference of two labels to rows, once labels are inferred (Eq. 13)."""

    of: str = "linear_recovery"
    """Label of the attack before this one that infers the poisoned samples' labels, on
    the untrained model, in batches of the attacked size."""
    is_adaptive: ClassVar[bool] = True

    @property
    def knowledge(self) -> str | None:
        """What the attack uses besides ciphertexts."""
        return f"labels inferred by {self.of}"


BackdoorSpec = LabelReplacement | LabelFlip
