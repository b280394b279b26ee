"""Who holds which samples, as plain data, where participants hold different ones."""

import dataclasses
from typing import Literal

import numpy as np

from vfljax import data
from vfljax._checks import POSITIVE, check_fields, require

_MOST_AUXILIARY = 200  # samples, unless another number is asked for


@dataclasses.dataclass(frozen=True, kw_only=True)
class Horizontal:
    """Who holds which samples in FederatedSGD and FederatedAveraging."""

    partition: Literal["even", "dirichlet"] = "even"
    """How training samples are divided between the participants: evenly at random, or
    each class in shares drawn from a Dirichlet distribution."""
    concentration: float = 0.5
    """Concentration of that Dirichlet distribution, above 0: the smaller, the fewer
    classes a participant has."""
    rows: tuple[tuple[int, ...], ...] | None = None
    """Numbers of the training samples that each participant holds, one line for each,
    instead of a drawn partition."""
    batch_labels: Literal["uniform", "skewed", "own"] = "uniform"
    """Labels of the samples whose update is attacked: uniform over the classes; skewed,
    half of one class and a quarter of another (the non-IID batches of LLG); or own,
    drawn from the samples of a participant. Of an aggregate all shares are equal."""
    auxiliary_samples: int | None = None
    """How many labeled samples of its own an attacker may have; they are taken from
    the test samples, and the main task is judged on the others. None for half of the
    test samples, but at most 200."""

    def __post_init__(self):
        """Checks the ranges."""
        check_fields(self, {"concentration": POSITIVE | {"high_excluded": True}})
        name, number = "data.horizontal.auxiliary_samples", self.auxiliary_samples
        require(number is None or number >= 0, name, number, ">= 0")

    def num_auxiliary(self, num_test: int) -> int:
        """How many of so many test samples are the attacker's."""
        if self.auxiliary_samples is None:
            return min(num_test // 2, _MOST_AUXILIARY)
        return self.auxiliary_samples

    def divide(
        self, labels: np.ndarray, num_participants: int, seed: int
    ) -> data.Partition:
        """Divides the training samples between the participants.

        Raises:
            ValueError: If there are too few samples, or rows are given for another
                number of participants or of samples that don't exist.
        """
        if self.rows is not None:
            name, number = "data.horizontal.rows", len(self.rows)
            allowed = f"one line for each of {num_participants} participants"
            require(number == num_participants, name, f"{number} lines", allowed)
            used = [row for own in self.rows for row in own]
            allowed = f"numbers in [0, {len(labels) - 1}]"
            is_fit = not used or (min(used) >= 0 and max(used) < len(labels))
            require(is_fit, name, "numbers of other rows", allowed)
            return data.partition_by_rows(self.rows)
        if self.partition == "even":
            return data.partition_evenly(len(labels), num_participants, seed)
        return data.partition_by_dirichlet(
            labels, num_participants, self.concentration, seed
        )
