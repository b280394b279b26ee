"""Who holds which samples, as plain data, where participants hold different ones."""

import dataclasses
from typing import Literal

import numpy as np
from jaxtyping import Int32

from vfljax import data
from vfljax._checks import POSITIVE, check_fields, require

_MOST_AUXILIARY = 200  # samples, unless another number is asked for


@dataclasses.dataclass(frozen=True, kw_only=True)
class TargetProperty:
    """A property that some batches of the first participant, the target, have.

    Melis et al. (S&P 2019, https://arxiv.org/abs/1805.04049), section 4.2: only the
    target and the last participant hold samples with it, half of them each.
    """

    name: str
    """Name of a further label column of the data set, such as race."""
    values: tuple[int | str, ...] = (1,)
    """Numbers or names of the column's values that are the property, at least one."""
    fraction: float = 1.0
    """Share of the samples of a property batch that have the property, in [0, 1],
    rounded to whole samples; the others don't have it."""
    one_in: int = 2
    """On average one of so many rounds, at least 1, drawn at random, has a property
    batch of the target; in all other rounds its batch is free of the property."""
    windows: tuple[tuple[int, int, int | str], ...] = ()
    """Rounds in which all of the target's batches have a property, instead of random
    ones: first round, first round after them, and the value that they have."""
    joins_at: int = 0
    """Round from which the target takes part; before it there are only the others."""
    adversary_fraction: float | None = None
    """Share of the samples of the last participant's own training batches that have the
    property, in [0, 1]; None for batches drawn from all of its samples."""

    def __post_init__(self):
        """Checks the ranges."""
        unit = {"low": 0.0, "high": 1.0}
        check_fields(self, {"fraction": unit, "joins_at": {"low": 0}})
        require(self.one_in >= 1, "one_in", self.one_in, ">= 1")
        require(bool(self.values), "values", self.values, "not empty")
        share = self.adversary_fraction
        is_fit = share is None or 0 <= share <= 1
        require(is_fit, "adversary_fraction", share, "in [0, 1]")
        for window in self.windows:
            is_fit = len(window) == 3 and 0 <= window[0] < window[1]
            allowed = "first round, a later round, and a value"
            require(is_fit, "windows", window, allowed)

    def codes(
        self, dataset: data.Dataset, part: Literal["train", "test"] = "train"
    ) -> Int32[np.ndarray, " samples"]:
        """Which value each sample has.

        1 is the property, 2, 3, ... are other values that windows name, in their order,
        and 0 is anything else.

        Raises:
            ValueError: If the data set has no such column or value.
        """
        codes = self._code_of_numbers(dataset)
        column = getattr(dataset, f"{part}_properties")[self.name]
        found = np.zeros(len(column), np.int32)
        for number, code in codes.items():
            found[column == number] = code
        return found

    def window_codes(self, dataset: data.Dataset) -> tuple[int, ...]:
        """The code of the value of each window."""
        codes = self._code_of_numbers(dataset)
        return tuple(codes[number] for number in self._window_numbers(dataset))

    def _code_of_numbers(self, dataset) -> dict[int, int]:
        """The code of each value that is looked at, by the value's number."""
        own = [_number_of(value, self.name, dataset) for value in self.values]
        codes = dict.fromkeys(own, 1)
        for number in self._window_numbers(dataset):
            codes.setdefault(number, max(codes.values()) + 1)
        return codes

    def _window_numbers(self, dataset) -> list[int]:
        """Numbers of the values of the windows."""
        return [
            _number_of(value, self.name, dataset, field="windows")
            for *_, value in self.windows
        ]


def _number_of(
    value: int | str, name: str, dataset: data.Dataset, field: str = "values"
) -> int:
    """The number of a value of a property, which may be given by its name."""
    columns, prefix = dataset.train_properties, "data.horizontal.target"
    words = f"a property of {dataset.name} beside the task, {dataset.task_name}"
    allowed = f"{words}: {', '.join(columns) or 'it has none'}"
    require(name in columns, f"{prefix}.name", name, allowed)
    if not isinstance(value, str):
        return int(value)
    names = dataset.property_names.get(name, ())
    allowed = f"of {', '.join(names) or 'numbers, as its values have no names'}"
    require(value in names, f"{prefix}.{field}", value, allowed)
    return names.index(value)


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
    test samples, but at most 200; of the last participant's samples None is all."""
    auxiliary_from: Literal["test", "participant"] = "test"
    """Where an attacker has labeled samples from: of the test samples, or those that
    the last participant holds, which is then the adversary or works with it."""
    target: TargetProperty | None = None
    """A property of the first participant's batches, for attacks that watch the
    training to find out when it occurs; None for none."""
    records: int | None = None
    """How many of the first participant's training samples, and as many test samples,
    an attack is asked about whether they were trained on; None for all of the fewer of
    them, at most 1,000."""

    def __post_init__(self):
        """Checks the ranges."""
        check_fields(self, {"concentration": POSITIVE | {"high_excluded": True}})
        name, number = "data.horizontal.auxiliary_samples", self.auxiliary_samples
        require(number is None or number >= 0, name, number, ">= 0")
        name, number = "data.horizontal.records", self.records
        require(number is None or number >= 1, name, number, ">= 1")
        if self.target is not None:
            allowed = "None with a target, whose property says who holds which samples"
            require(self.rows is None, "data.horizontal.rows", self.rows, allowed)
            name, allowed = "data.horizontal.partition", "even with a target"
            require(self.partition == "even", name, self.partition, allowed)

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
