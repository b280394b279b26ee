"""What all defenses of an experiment have in common: how a trial uses their specs."""

import math
from collections.abc import Callable, Generator
from typing import Any, ClassVar, NamedTuple

from vfljax import label_dp
from vfljax.defenses import Defense
from vfljax.experiments.checks import require, require_all


class Shapes(NamedTuple):
    """Shapes a defense may need.

    Attributes:
        num_samples: Of the training set.
        batch_size: Of the messages that are perturbed in training.
        num_classes: C, or the width of the messages if they are no sums of logits.
        sums_logits: Whether the protocol is that without a top model, whose messages
            have rows that sum to zero.
    """

    num_samples: int
    batch_size: int
    num_classes: int
    sums_logits: bool = True


class Public(NamedTuple):
    """What is known about the perturbation of a message of one batch.

    Attributes:
        noise_std: Of what is added to an entry of B·dL/dH; 0 where rows of zero sum
            stay so. May be traced.
        keep_fraction: Share of the entries that are sent. May be traced.
        replaced_by: Absolute value of what is sent in place of entries, in units of
            dL/dH; 0 where none are replaced but by zero.
    """

    noise_std: Any = 0.0
    keep_fraction: Any = 1.0
    replaced_by: Any = 0.0


class Releases(NamedTuple):
    """The messages about one sample in a whole training.

    Attributes:
        number: At most.
        batch_size: Of theirs, which may differ from that of the message attacked.
    """

    number: int
    batch_size: int


def relabel(
    steps: Generator[Any, None, Any], words: Callable[[Any], Any]
) -> Generator[Any, None, Any]:
    """Yields `words(step)` for each step; returns what `steps` returns."""
    while True:
        try:
            step = next(steps)
        except StopIteration as stop:
            return stop.value
        yield words(step)


class BaseSpec:
    """What most defenses have in common."""

    strengths: Any
    strength_name: Any
    only_classes: ClassVar[int | None] = None  # where a defense is for so many only
    drops_entries: ClassVar[bool] = False

    def __post_init__(self):
        """Checks every strength by building the defense: its factory is the judge."""
        require(bool(self.strengths), "strengths", self.strengths, "not empty")
        require_all("strengths", self.strengths, math.isfinite, "finite")
        shapes = Shapes(num_samples=1, batch_size=1, num_classes=2)
        for strength in self.strengths:
            self.make(strength, shapes)

    def make(self, strength: Any, shapes: Shapes, trained: Any = ()) -> Defense:
        """Returns the defense at one, possibly traced, strength."""
        raise NotImplementedError

    def prepare(self, num_classes: int) -> Generator[str, None, Any]:
        """Trains what the defense needs, yielding what it is doing.

        Returns a tree with a leading axis that `place` counts, or an empty one.
        """
        yield from ()
        return ()

    def place(self, strength: Any, trial: int) -> int:
        """Which of the prepared ones a trial uses."""
        return 0

    def public(self, strength: Any, batch_size: int, num_classes: int) -> Public:
        """What the adversary knows of a message of `batch_size` samples."""
        return Public()

    def facts(self) -> tuple[bool, bool]:
        """Whether rows keep their zero sum, and whether entries are dropped."""
        shapes = Shapes(num_samples=1, batch_size=1, num_classes=2)
        defense = self.make(self.strengths[0], shapes)
        return defense.keeps_zero_sum, self.drops_entries

    def budget(
        self, strength: Any, batch_size: int, num_classes: int, releases: Releases
    ) -> tuple[label_dp.LabelBudget, str] | None:
        """The label-DP budget of a message and of all, in words; None without one."""
        return None
