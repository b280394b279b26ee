"""Rates of the trials of one setting: a mean over those that have it, with its ends."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from vfljax.reports.intervals import mean_interval

Row = Mapping[str, Any]

SCORES = ("accuracy", "top5", "f1", "fu_batch_f1")
"""What a completed model is judged by; which of them makes sense, the data say."""

READINGS = ("attack", "best_attack", "test_attack", "best_test_attack")
"""Training samples after the last epoch and at the best one; test samples likewise."""

_COMPLETION = tuple(f"{reading}_{score}" for score in SCORES for reading in READINGS)
FURTHER = (
    *_COMPLETION[1:],
    "main_top5",
    "main_f1",
    "alone_accuracy",
    "auc",
    "inferred_accuracy",
)
"""Rates that rows of some attacks have, beside `attack_accuracy`, which all have."""


class Rate(NamedTuple):
    """An interval over the trials that have a rate; fractions, not percent.

    Attributes:
        number: trials that have it.
        mean: mean over them, or None without any.
        low: lower end of the 95 % interval, None for fewer than two.
        high: upper end of it, None for fewer than two.
    """

    number: int
    mean: float | None
    low: float | None
    high: float | None


NO_RATE = Rate(number=0, mean=None, low=None, high=None)


def rate_of(group: Sequence[Row], name: str) -> Rate:
    """The rate in field `name` of the rows that have it.

    Raises:
        ValueError: if one is not in [0, 1].
    """
    values = present(group, name)
    if not values:
        return NO_RATE
    return Rate(len(values), *mean_interval(values))


def further_rates(group: Sequence[Row]) -> dict[str, Rate]:
    """Those of `FURTHER` that some row has, by the name of the row's field."""
    rates = {name: rate_of(group, name) for name in FURTHER}
    return {name: rate for name, rate in rates.items() if rate.number}


def present(group: Sequence[Row], name: str) -> list[Any]:
    """The values of one field that are not null."""
    return [row[name] for row in group if row.get(name) is not None]
