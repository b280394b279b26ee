"""From one row per trial to one summary per setting."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

CONFIDENCE = 0.95

# What tells one setting from another. Two rows of one setting differ in their trial.
SETTINGS = (
    "dataset",
    "num_parties",
    "protocol",
    "view",
    "train_step",
    "batch_size",
    "num_classes",
    "defense",
    "strength_name",
    "defense_strength",
    "attack",
)
_REQUIRED = (
    "dataset",
    "view",
    "train_step",
    "batch_size",
    "num_classes",
    "defense",
    "attack",
    "trial",
    "attack_accuracy",
    "chance_accuracy",
    "status",
)

Row = Mapping[str, Any]


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


class Summary(NamedTuple):
    """What the trials of one setting say; rates are fractions, not percent.

    Attributes:
        dataset: name of the data set.
        num_parties: number of parties, or None if the rows do not say.
        protocol: the protocol's name, or None if the rows do not say.
        view: what the adversary sees.
        train_step: training step at which the view was taken.
        batch_size: samples in the attacked batch.
        num_classes: classes among which the attack decides.
        defense: the defense's label.
        strength_name: what the strength is, or None without one.
        defense_strength: the strength, or None without one.
        attack: the attack's label.
        num_trials: all trials, failed ones included.
        num_failed: trials whose status is not "ok".
        attack_mean: mean attack accuracy over all trials.
        attack_low: lower end of its interval, None for one trial.
        attack_high: upper end of its interval, None for one trial.
        below_chance: no trial failed and the whole interval lies below
            1 / num_classes, what guessing blindly and uniformly gets. (`chance` is
            never lower than that, so an attack without any knowledge may well be
            below `chance`; but not, on balanced classes, below this.)
        num_published: trials that have a published readout.
        published_mean: mean accuracy of the published readout over them, or None.
        chance: mean accuracy of always guessing the most frequent class.
        num_main: trials that have a main-task accuracy.
        main_mean: mean main-task accuracy over them, or None.
        main_low: lower end of its interval, None for fewer than two.
        main_high: upper end of its interval, None for fewer than two.
        seconds: median seconds per trial, or None if the rows do not say.
    """

    dataset: str
    num_parties: int | None
    protocol: str | None
    view: str
    train_step: int
    batch_size: int
    num_classes: int
    defense: str
    strength_name: str | None
    defense_strength: float | None
    attack: str
    num_trials: int
    num_failed: int
    attack_mean: float
    attack_low: float | None
    attack_high: float | None
    below_chance: bool
    num_published: int
    published_mean: float | None
    chance: float
    num_main: int
    main_mean: float | None
    main_low: float | None
    main_high: float | None
    seconds: float | None

    @property
    def defense_label(self) -> str:
        """The defense with its strength: `dp_gaussian noise_std=0.001`."""
        if self.defense_strength is None:
            return self.defense
        return f"{self.defense} {self.strength_name}={self.defense_strength:g}"


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


def summarize(rows: Sequence[Row]) -> list[Summary]:
    """Summarizes the trials of every setting, in order of first appearance.

    Failed trials stay in every mean and in the denominator, with the accuracy they
    have: a mean over the trials that went well would flatter the defense or the attack,
    whichever makes trials fail.

    Args:
        rows: one per trial, as in `trials.jsonl`; keys it does not know are ignored.

    Returns:
        One summary per distinct value of `SETTINGS`.

    Raises:
        ValueError: if a row lacks a field, if an accuracy is not in [0, 1], or if two
            rows of one setting have the same trial number. Counting one trial twice,
            or pooling a swept value that is no part of `SETTINGS`, would make the
            interval too narrow.
    """
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for index, row in enumerate(rows):
        missing = [name for name in _REQUIRED if row.get(name) is None]
        if missing:
            raise ValueError(f"rows[{index}] lacks {missing}; required: {_REQUIRED}")
        groups.setdefault(tuple(row.get(name) for name in SETTINGS), []).append(row)
    return [
        _summarize_setting(dict(zip(SETTINGS, setting, strict=True)), group)
        for setting, group in groups.items()
    ]


def _summarize_setting(setting: dict[str, Any], group: list[Row]) -> Summary:
    """One summary of the rows that share a setting."""
    if len({row["trial"] for row in group}) < len(group):
        raise ValueError(
            f"rows contains a trial twice in setting {setting}; allowed: each trial "
            "once, and attacks or defenses that differ in another value under "
            "different labels"
        )
    num_failed = sum(row["status"] != "ok" for row in group)
    attack = mean_interval([row["attack_accuracy"] for row in group])
    chance = mean_interval([row["chance_accuracy"] for row in group]).mean
    published = _present(group, "published_accuracy")
    main = _present(group, "main_accuracy")
    main_interval = mean_interval(main) if main else None
    seconds = _present(group, "seconds")
    return Summary(
        **setting,
        num_trials=len(group),
        num_failed=num_failed,
        attack_mean=attack.mean,
        attack_low=attack.low,
        attack_high=attack.high,
        below_chance=(
            num_failed == 0
            and attack.high is not None
            and attack.high < 1 / setting["num_classes"]
        ),
        num_published=len(published),
        published_mean=mean_interval(published).mean if published else None,
        chance=chance,
        num_main=len(main),
        main_mean=main_interval.mean if main_interval else None,
        main_low=main_interval.low if main_interval else None,
        main_high=main_interval.high if main_interval else None,
        seconds=float(np.median(seconds)) if seconds else None,
    )


def _present(group: list[Row], name: str) -> list[float | int]:
    """The values of one field that are not null."""
    return [row[name] for row in group if row.get(name) is not None]
