"""The mean of per-trial rates, and how far it can be trusted."""

from collections.abc import Sequence
from math import isfinite
from typing import NamedTuple

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A mean over trials and its 95 % confidence interval.

    Attributes:
        mean: the mean over trials.
        low: lower end, or None where one trial gives no interval.
        high: upper end, or None where one trial gives no interval.
    """

    mean: float
    low: float | None
    high: float | None


def mean_interval(values: Sequence[float | int]) -> Interval:
    """The mean of per-trial rates and its 95 % Student-t interval.

    The interval is `mean ± t(0.975, n - 1) s / sqrt(n)` with the sample standard
    deviation s of the n per-trial rates, clipped to [0, 1]. It describes the spread
    between trials, so samples of one batch, which share a model and are not
    independent, do not count as n. Edge cases: one trial has no interval; trials that
    all agree have one of zero width, which does not mean that a further trial could not
    differ.

    Args:
        values: one rate in [0, 1] per trial.

    Returns:
        The mean, and the ends of the interval or None.

    Raises:
        ValueError: without values, or if one is not in [0, 1].

    >>> interval = mean_interval([0.5, 0.7, 0.9])
    >>> round(interval.mean, 3), round(interval.low, 3), interval.high
    (0.7, 0.203, 1.0)
    """
    if not values:
        raise ValueError("values is empty; allowed: at least one rate")
    for value in values:
        if not (isfinite(value) and 0 <= value <= 1):
            raise ValueError(f"values contains {value}; allowed: rates from 0 to 1")
    if min(values) == max(values):
        # Exactly: a rounded mean would give agreeing trials a tiny width.
        mean = float(values[0])
        end = mean if len(values) > 1 else None
        return Interval(mean=mean, low=end, high=end)
    mean = float(np.mean(values))
    quantile = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)
    half_width = quantile * np.std(values, ddof=1) / np.sqrt(len(values))
    return Interval(
        mean=mean,
        low=max(0.0, float(mean - half_width)),
        high=min(1.0, float(mean + half_width)),
    )
