"""From one row per trial to one summary per setting."""

from collections.abc import Sequence
from math import inf
from typing import Any, NamedTuple

import numpy as np

from vfljax.reports.intervals import Interval, mean_interval
from vfljax.reports.rates import (
    NO_RATE,
    Rate,
    Row,
    further_rates,
    present,
    rate_of,
)

# What tells one setting from another. Two rows of one setting differ in their trial.
SETTINGS = (
    "dataset",
    "num_parties",
    "variant",
    "protocol",
    "view",
    "train_step",
    "batch_size",
    "num_classes",
    "defense",
    "strength_name",
    "defense_strength",
    "attack",
    "known_per_class",
    "adversary_optimizer",
    "amplification",
)
POINT = (
    "view",
    "dataset",
    "num_parties",
    "variant",
    "protocol",
    "train_step",
    "batch_size",
    "num_classes",
    "defense_label",
)
"""One attacked model under one threat model: a defense of one strength, one view."""
BENIGN = "benign"
TRAINED_MODEL = "trained_model"
MESSAGE_ROWS = "message_rows"
_DEFAULTS = {"variant": "", "adversary_optimizer": BENIGN}
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

_CLEAR_MARGIN = 0.05  # of a rate above its chance level


class Summary(NamedTuple):
    """What the trials of one setting say; rates are fractions, not percent.

    Attributes:
        dataset: name of the data set.
        num_parties: number of parties, or None if the rows do not say.
        variant: what else than defense or attack tells this setting from others of the
            experiment, or "".
        protocol: the protocol's name, or None if the rows do not say.
        view: what the adversary sees.
        train_step: training step at which the view was taken.
        batch_size: samples in the attacked batch.
        num_classes: classes among which the attack decides.
        defense: the defense's label.
        strength_name: what the strength is, or None without one.
        defense_strength: the strength, or None without one.
        attack: the attack's label.
        known_per_class: labels of training samples that the attacker knows, for each
            class; 0.2 is one in every fifth class, None is no such knowledge.
        adversary_optimizer: "benign"; "malicious", in a training for this attack alone;
            "all_malicious", in the one that all attacks are on.
        amplification: of a backdoor's messages, or None for other attacks.
        attack_family: the same for attacks that differ in `known_per_class` alone.
        is_adaptive: the attack knows the defense. To know labels alone is not that.
        knowledge: what it knows beyond its view, or None; several if trials differ.
        num_trials: all trials, failed ones included.
        num_failed: trials whose status is not "ok".
        failures: their statuses, each once, separated by blanks.
        attack_mean: mean attack accuracy over all trials.
        attack_low: lower end of its interval, None for one trial.
        attack_high: upper end of its interval, None for one trial.
        below_chance: no trial failed and the attack is below 1 / num_classes, what
            guessing blindly and uniformly gets: with its whole interval, or with its
            mean if `labels_are_found`. (`chance` is never lower than that, so an attack
            without any knowledge may well be below `chance`; but not, on balanced
            classes, below this.)
        labels_are_found: `finds_classes`, or an attack that knows the defense finds
            labels of the same model under the same threat model, as clearly.
        num_published: trials that have a published readout.
        published_mean: mean accuracy of the published readout over them, or None.
        published_low: lower end of its interval, None for fewer than two.
        published_high: upper end of its interval, None for fewer than two.
        chance: mean accuracy of always guessing the most frequent class.
        num_matched: trials that have an accuracy up to a renaming of the classes.
        matched_mean: its mean over them, or None: the best one-to-one renaming.
        matched_low: lower end of its interval, None for fewer than two.
        matched_high: upper end of its interval, None for fewer than two.
        matched_chance: what blind guesses get after such a renaming, or None.
        finds_classes: the matched accuracy is clearly above its chance level: by 0.05,
            and its whole interval; or its mean is more than halfway from there to 1.
        hides_names_only: `finds_classes`, and identity shows less than half of it: the
            labels leak up to the names of the classes, whatever `attack_mean` says.
        information_mean: mean normalized mutual information, or None.
        information_chance: what blind guesses get of it, or None.
        num_main: trials that have a main-task accuracy.
        main_mean: mean main-task accuracy over them, or None.
        main_low: lower end of its interval, None for fewer than two.
        main_high: upper end of its interval, None for fewer than two.
        seconds: median seconds per trial, or None if the rows do not say.
        label_epsilon: label differential privacy of one message; infinite where the
            defense is accounted for and bounds nothing, None without an account.
        label_delta: its delta, or None.
        label_epsilon_training: the same of all messages about a sample.
        allowed_accuracy: share of the labels that any attack on one message may find.
        budget: the account in a sentence, or None.
        further: those of `rates.FURTHER` that some trial has.
    """

    dataset: str
    num_parties: int | None
    variant: str
    protocol: str | None
    view: str
    train_step: int
    batch_size: int
    num_classes: int
    defense: str
    strength_name: str | None
    defense_strength: float | None
    attack: str
    known_per_class: int | float | None
    adversary_optimizer: str
    amplification: float | None
    attack_family: str
    is_adaptive: bool
    knowledge: str | None
    num_trials: int
    num_failed: int
    failures: str
    attack_mean: float
    attack_low: float | None
    attack_high: float | None
    below_chance: bool
    labels_are_found: bool
    num_published: int
    published_mean: float | None
    published_low: float | None
    published_high: float | None
    chance: float
    num_matched: int
    matched_mean: float | None
    matched_low: float | None
    matched_high: float | None
    matched_chance: float | None
    finds_classes: bool
    hides_names_only: bool
    information_mean: float | None
    information_chance: float | None
    num_main: int
    main_mean: float | None
    main_low: float | None
    main_high: float | None
    seconds: float | None
    label_epsilon: float | None
    label_delta: float | None
    label_epsilon_training: float | None
    allowed_accuracy: float | None
    budget: str | None
    further: dict[str, Rate]

    @property
    def leaks_nonetheless(self) -> bool:
        """Whether a low `attack_mean` would be misread as protection."""
        return self.below_chance or self.hides_names_only

    def rate(self, name: str) -> Rate:
        """One of the further rates, or `attack_accuracy`; empty if no trial has it."""
        if name == "attack_accuracy":
            return Rate(
                self.num_trials, self.attack_mean, self.attack_low, self.attack_high
            )
        return self.further.get(name, NO_RATE)

    @property
    def defense_label(self) -> str:
        """The defense with its strength: `dp_gaussian noise_std=0.001`."""
        if self.defense_strength is None:
            return self.defense
        return f"{self.defense} {self.strength_name}={self.defense_strength:g}"


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
        groups.setdefault(setting_of(row), []).append(row)
    return _beside_each_other(
        [
            _summarize_setting(dict(zip(SETTINGS, setting, strict=True)), group)
            for setting, group in groups.items()
        ]
    )


def setting_of(row: Row) -> tuple[Any, ...]:
    """The values of `SETTINGS` in a row, where it has none that of `_DEFAULTS`."""
    values = {name: row.get(name) for name in SETTINGS}
    for name, default in _DEFAULTS.items():
        values[name] = values[name] or default
    return tuple(values.values())


def _summarize_setting(setting: dict[str, Any], group: list[Row]) -> Summary:
    """One summary of the rows that share a setting."""
    if len({row["trial"] for row in group}) < len(group):
        raise ValueError(
            f"rows contains a trial twice in setting {setting}; allowed: each trial "
            "once, and attacks or defenses that differ in another value under "
            "different labels"
        )
    failed = [row["status"] for row in group if row["status"] != "ok"]
    num_failed = len(failed)
    attack = mean_interval([row["attack_accuracy"] for row in group])
    chance = mean_interval([row["chance_accuracy"] for row in group]).mean
    published = rate_of(group, "published_accuracy")
    matched = rate_of(group, "matched_accuracy")
    matched_chance = rate_of(group, "matched_chance").mean
    finds_classes = _is_clearly_above(matched, matched_chance)
    main = rate_of(group, "main_accuracy")
    seconds = present(group, "seconds")
    known = dict.fromkeys(present(group, "knowledge"))
    return Summary(
        **setting,
        attack_family=group[0].get("attack_family") or setting["attack"],
        is_adaptive=any(row.get("is_adaptive") for row in group),
        knowledge=" or ".join(known) or None,
        num_trials=len(group),
        num_failed=num_failed,
        failures=" ".join(sorted(set(failed))),
        attack_mean=attack.mean,
        attack_low=attack.low,
        attack_high=attack.high,
        below_chance=is_below_chance(
            attack, setting["num_classes"], num_failed, finds_classes
        ),
        labels_are_found=finds_classes,
        num_published=published.number,
        published_mean=published.mean,
        published_low=published.low,
        published_high=published.high,
        chance=chance,
        num_matched=matched.number,
        matched_mean=matched.mean,
        matched_low=matched.low,
        matched_high=matched.high,
        matched_chance=matched_chance,
        finds_classes=finds_classes,
        hides_names_only=(
            finds_classes
            and attack.mean - chance
            < ((matched.mean or 0.0) - (matched_chance or 0.0)) / 2
        ),
        information_mean=rate_of(group, "mutual_information").mean,
        information_chance=rate_of(group, "mutual_information_chance").mean,
        num_main=main.number,
        main_mean=main.mean,
        main_low=main.low,
        main_high=main.high,
        seconds=float(np.median(seconds)) if seconds else None,
        **_account(group),
        further=further_rates(group),
    )


def _beside_each_other(summaries: list[Summary]) -> list[Summary]:
    """What attacks that know a defense say of the others on the same model."""
    found = {
        _point_of(summary)
        for summary in summaries
        if summary.is_adaptive
        and _is_clearly_above(summary.rate("attack_accuracy"), summary.chance)
    }
    return [
        summary._replace(
            labels_are_found=True,
            below_chance=is_below_chance(
                Interval(summary.attack_mean, summary.attack_low, summary.attack_high),
                summary.num_classes,
                summary.num_failed,
                labels_are_found=True,
            ),
        )
        if _point_of(summary) in found
        else summary
        for summary in summaries
    ]


def _point_of(summary: Summary) -> tuple[Any, ...]:
    return tuple(getattr(summary, name) for name in POINT)


def is_below_chance(
    attack: Interval, num_classes: int, num_failed: int, labels_are_found: bool
) -> bool:
    """Whether no trial failed and the attack is below blind uniform guessing.

    Its whole interval must be, or its mean where something else shows that the labels
    are not protected: an interval over two trials is too wide to say so.
    """
    end = attack.mean if labels_are_found else attack.high
    return num_failed == 0 and end is not None and end < 1 / num_classes


def _is_clearly_above(rate: Rate, chance: float | None) -> bool:
    """Whether a rate is above its chance level beyond doubt and by a relevant margin.

    With its whole interval, which one trial does not have and of two is wide; or its
    mean is more than halfway from chance to 1.
    """
    if rate.mean is None or chance is None:
        return False
    if rate.mean > (1 + chance) / 2:
        return True
    is_above = rate.low is not None and rate.low > chance
    return is_above and rate.mean >= chance + _CLEAR_MARGIN


def _account(group: list[Row]) -> dict[str, Any]:
    """The privacy account, the same in every trial; no field of it without a sentence.

    JSON has no infinity, so an epsilon that is null beside a sentence is infinite.
    """
    row = next((row for row in group if row.get("budget") is not None), {})
    epsilons = ("label_epsilon", "label_epsilon_training")
    account = {name: row.get(name) for name in (*epsilons, "label_delta")}
    for name in epsilons if row else ():
        account[name] = inf if account[name] is None else account[name]
    return account | {
        "allowed_accuracy": row.get("allowed_accuracy"),
        "budget": row.get("budget"),
    }
