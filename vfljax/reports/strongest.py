"""The strongest attack on a model: the only one that a defense is judged by."""

from collections.abc import Sequence
from typing import NamedTuple

from vfljax.reports.drawing import distinct, matching
from vfljax.reports.intervals import Interval
from vfljax.reports.statistics import BENIGN, POINT, Summary, is_below_chance

_MODEL = tuple(name for name in POINT if name != "view")


class Verdict(NamedTuple):
    """What the attacks on one model say together.

    Each is the summary of an attack. One that is read out as published is called so in
    its `attack`, and `attack_mean` is the rate of that readout.

    Attributes:
        model: any of the attacks, with the main-task accuracy of the model.
        naive: the strongest reading of an attack that ignores the defense, or None;
            `hides_names_only` by what any such attack finds up to a renaming.
        adaptive: the strongest reading of an attack that knows it, or None.
        up_to_names: the attack that finds most up to a renaming of the classes, or None
            where no attack has that rate.
    """

    model: Summary
    naive: Summary | None
    adaptive: Summary | None
    up_to_names: Summary | None

    @property
    def strongest(self) -> Summary:
        """The strongest reading of all; the naive one on a tie."""
        readings = [reading for reading in (self.naive, self.adaptive) if reading]
        return max(readings, key=_rate)

    @property
    def hides_names_only(self) -> bool:
        """Whether the labels leak up to names, to any attack, beyond the strongest."""
        return _hides_names_only(self.strongest, self.up_to_names)


def judge(summaries: Sequence[Summary]) -> list[Verdict]:
    """Brings together the attacks on each model under the same threat model.

    The strongest is chosen by its mean, the first on a tie; that choice among noisy
    means is slightly in the attacks' favor. A published readout counts as a reading of
    its own where every trial has it. The main-task accuracy is that of the model, from
    whichever attack's rows have it: see `main_of`.

    Args:
        summaries: from `summarize`.

    Returns:
        One verdict per distinct value of `POINT`, in order of first appearance.
    """
    verdicts = []
    for key in distinct(summaries, POINT):
        attacks = matching(summaries, POINT, key)
        readings = [reading for attack in attacks for reading in _readings(attack)]
        naive = _best([s for s in readings if not s.is_adaptive])
        if naive is not None:
            found = _best_up_to_names([s for s in attacks if not s.is_adaptive])
            naive = naive._replace(hides_names_only=_hides_names_only(naive, found))
        same_model = tuple(getattr(attacks[0], name) for name in _MODEL)
        main = main_of([*attacks, *matching(summaries, _MODEL, same_model)])
        verdicts.append(
            Verdict(
                model=with_main(attacks[0], main or attacks[0]),
                naive=naive,
                adaptive=_best([s for s in readings if s.is_adaptive]),
                up_to_names=_best_up_to_names(attacks),
            )
        )
    return verdicts


def main_of(attacks: Sequence[Summary]) -> Summary | None:
    """The first with a main-task accuracy, of a training by benign optimizers if any.

    An active attack has a training of its own, which is not what a defense costs.
    """
    trained = [attack for attack in attacks if attack.main_mean is not None]
    benign = (attack for attack in trained if attack.adversary_optimizer == BENIGN)
    return next(benign, trained[0] if trained else None)


def with_main(attack: Summary, main: Summary) -> Summary:
    """An attack with the main-task accuracy of another."""
    return attack._replace(
        num_main=main.num_main,
        main_mean=main.main_mean,
        main_low=main.main_low,
        main_high=main.main_high,
    )


def _readings(summary: Summary) -> list[Summary]:
    """An attack, and as another one its published readout."""
    readings = [summary]
    if summary.published_mean is not None:
        published = Interval(
            summary.published_mean, summary.published_low, summary.published_high
        )
        if summary.num_published == summary.num_trials:
            readings.append(
                summary._replace(
                    attack=f"{summary.attack} (published)",
                    attack_mean=published.mean,
                    attack_low=published.low,
                    attack_high=published.high,
                    below_chance=is_below_chance(
                        published,
                        summary.num_classes,
                        summary.num_failed,
                        summary.labels_are_found,
                    ),
                )
            )
    return readings


def _best(readings: Sequence[Summary]) -> Summary | None:
    """The strongest reading, the first on a tie."""
    return max(readings, key=_rate, default=None)


def _best_up_to_names(attacks: Sequence[Summary]) -> Summary | None:
    """The attack that finds most up to a renaming, one clearly above chance first."""
    return max(
        (attack for attack in attacks if attack.matched_mean is not None),
        key=lambda attack: (attack.finds_classes, attack.matched_mean or 0.0),
        default=None,
    )


def _hides_names_only(reading: Summary, found: Summary | None) -> bool:
    """Whether identity shows less than half of what is found up to a renaming."""
    if found is None or not found.finds_classes:
        return False
    beyond_chance = (found.matched_mean or 0.0) - (found.matched_chance or 0.0)
    return reading.attack_mean - reading.chance < beyond_chance / 2


def _rate(summary: Summary) -> float:
    return summary.attack_mean
