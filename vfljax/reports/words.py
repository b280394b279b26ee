"""The answer in words: what was tried, what leaks, and which defense to take if any."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from vfljax.reports.columns import SCENE, UNDEFENDED, view_of
from vfljax.reports.frame import Frame, groups, strongest, varying
from vfljax.reports.table import NOTHING, Row, cell, describe

MOST_LOST = 0.05  # main-task accuracy that a defense may cost
MOST_LEFT = 0.5  # share of the leakage above chance that it may leave
RULE = (
    "The rule: against the strongest attack that was tried, one that knows the "
    "defense included, a defense at one strength must leave at most half of what is "
    "found above chance without a defense. Its main task must be at most 5 points "
    "below that without a defense, and above what the label party or a participant "
    "reaches alone where that is known. Failed trials, an interval that says nothing,"
    " rates below chance and names that are only exchanged do not count as "
    "protection. Of the strengths that are left the one that leaks least is named; if"
    " there is none, none is worth its price."
)


def judge(best: pl.DataFrame) -> tuple[str, str, str]:
    """The defense to take by `RULE` in one setting, or that none is; why; and a kind.

    Of the rows of `strongest`. The kind is that of `Finding`, "" without a judgment.
    """
    is_bare = pl.col("defense") == UNDEFENDED
    base = next(best.filter(is_bare).iter_rows(named=True), None)
    defended = best.filter(~is_bare).to_dicts()
    if not defended:
        return "No defense was tried, so there is none to choose.", "", ""
    unjudged = _unjudged(base, defended)
    if base is None or unjudged:
        return f"Which defense to take cannot be said: {unjudged}.", "", ""
    reasons = [_why_not(row, base) for row in defended]
    worth = [row for row, why in zip(defended, reasons, strict=True) if not why]
    if not worth:
        counted = Counter(reasons).items()
        why = ", ".join(f"{why} ({n} of {len(reasons)})" for why, n in counted)
        none = "None of the defenses tried is worth its price."
        return none, f"{capital(why)}.", "none"
    chosen = min(worth, key=lambda row: row["attack_accuracy"])
    label = chosen["defense_label"]
    numbers = (
        f"The strongest attack on it ({chosen['attack']}) reaches "
        f"{_with_interval(chosen)} where chance is "
        f"{percent(chosen['chance_accuracy'])}, and the main task goes from "
        f"{percent(base['main_accuracy'])} to {percent(chosen['main_accuracy'])}."
    )
    limit = chosen["chance_accuracy"] + MOST_LEFT * _leakage(base)
    if (chosen["attack_accuracy_high"] or 0) > limit:
        numbers += (
            f" The interval crosses the rule's limit of {percent(limit)}, so more "
            "trials may turn this verdict."
        )
    if chosen["is_knowing_tried"]:
        return f"Take {label}.", numbers, "take"
    so_far = f"{label} meets the rule so far, but no attack that knows it was tried."
    return so_far, f"{numbers} More may leak to an attacker who knows it.", "open"


def _unjudged(base: Row | None, defended: Sequence[Row]) -> str:
    """Why no defense can be chosen, or ""."""
    if base is None:
        return "nothing was tried without one, to compare with"
    if any(row["main_accuracy"] is None for row in (base, *defended)):
        return "what they cost the main task was not recorded"
    if base["says_nothing"] or base["any_failed"]:
        return "without one, trials failed or the interval is too wide"
    if _leakage(base) <= 0:
        return "even without one no attack finds more than chance"
    return ""


def _why_not(row: Row, base: Row) -> str:
    """Why a defense is not worth its price, or ""."""
    main, floor = row["main_accuracy"], row["floor_accuracy"]
    if row["any_failed"]:
        return "trials failed"
    if row["says_nothing"]:
        return "the interval says nothing"
    if row["below_chance"] or row["hides_names_only"]:
        return "only names are hidden, or the rate is below chance"
    if _leakage(row) > MOST_LEFT * _leakage(base):
        return "more than half of the leakage above chance is left"
    if main < base["main_accuracy"] - MOST_LOST:
        return "the main task loses more than 5 points"
    if floor is not None and main <= floor:
        return "the model is no better than one party alone"
    return ""


class Finding(NamedTuple):
    """What is found under one threat model, in words, and its numbers for a bar.

    It is of kind "take" where a defense is named, "none" where none is worth its price
    in any setting, "open" where it cannot be said.
    """

    title: str
    found: str
    verdict: str
    reasons: str
    rate: float | None
    chance: float | None
    kind: str


def findings(summary: pl.DataFrame) -> list[Finding]:
    """One per threat model and goal, in order of first appearance."""
    return [_finding(best) for _, best in groups(strongest(summary), ["view", "goal"])]


def _finding(best: pl.DataFrame) -> Finding:
    """What the settings of one threat model say together of one goal."""
    names, settings = varying(best, SCENE), [part for _, part in groups(best, SCENE)]
    where = [describe(part.row(0, named=True), names) for part in settings]
    verdicts, reasons, kinds = zip(*map(judge, settings), strict=True)
    bare = best.filter(pl.col("defense") == UNDEFENDED)
    bare = bare.sort("attack_accuracy", maintain_order=True).to_dicts()
    most = bare[-1] if bare else {}
    is_none = {*kinds} - {""} == {"none"}
    is_one = len(set(verdicts)) == 1
    return Finding(
        title=capital(describe(best.row(0, named=True), ("view", "goal"))),
        found=_found(bare, names),
        verdict=verdicts[0] if is_one else _by_setting(where, verdicts),
        reasons=_by_setting(where, reasons),
        rate=most.get("attack_accuracy"),
        chance=most.get("chance_accuracy"),
        kind="take" if "take" in kinds else "none" if is_none else "open",
    )


def _found(rows: Sequence[Row], names: Sequence[str]) -> str:
    """What leaks without a defense, in one setting or as a range; weakest row first."""
    if not rows:
        return "Nothing was tried without a defense."
    if all(row["num_failed"] == row["num_trials"] for row in rows):
        return "All trials without a defense failed, so nothing can be said of it."
    low, high, view = rows[0], rows[-1], view_of(rows[0]["view"])
    least, most = percent(low["attack_accuracy"]), percent(high["attack_accuracy"])
    chances = sorted(row["chance_accuracy"] for row in rows)
    ends = dict.fromkeys(map(percent, (chances[0], chances[-1])))
    if len(rows) == 1:
        known = cell(high, "knowledge")
        who = high["attack"] + ("" if known == NOTHING else f", with {known}")
        start, doubt = f"Without a defense the strongest attack ({who})", _doubt(high)
    else:
        start = f"In {len(rows)} settings without a defense the strongest attack"
        silent = sum(row["says_nothing"] for row in rows)
        doubt = f" In {silent} of them the interval says nothing." if silent else ""
    if least != most:
        most = f"{least} ({describe(low, names)}) to {most} ({describe(high, names)})"
    chance = view.chance.format(" to ".join(ends))
    found = view.finds.format(most, low["goal"] or "labels")
    return f"{start} {found}; {chance}.{doubt}"


def _doubt(row: Row) -> str:
    """What must be said beside one rate."""
    if row["num_failed"]:
        return f" {row['num_failed']} of {count(row['num_trials'], 'trial')} failed."
    if row["says_nothing"]:
        return " Its interval is so wide that this says nothing either way."
    if row["below_chance"] or row["hides_names_only"]:
        return " That is no protection: the labels are found under other names."
    return ""


def _by_setting(settings: Sequence[str], texts: Sequence[str]) -> str:
    """Sentences, each once, after the settings of which it is said, if these differ."""
    said = []
    for text in dict.fromkeys(filter(None, texts)):
        at = "; ".join(s for s, t in zip(settings, texts, strict=True) if t == text)
        said.append(f"{capital(at)}: {text}" if at else text)
    return " ".join(said)


def has_defenses(frame: Frame) -> bool:
    """Whether any defense was tried."""
    return set(frame.summary["defense"]) != {UNDEFENDED}


def opening(frame: Frame) -> str:
    """Which settings were tried."""
    summary = frame.summary
    num = {name: summary[name].n_unique() for name in summary.columns}
    same = [name for name in ("num_classes", "num_parties") if num[name] == 1]
    on = [*summary["dataset"].unique(maintain_order=True)]
    on += filter(None, [describe(summary.row(0, named=True), same)])
    is_bare = UNDEFENDED in summary["defense"]
    number, strengths = (num[n] - is_bare for n in ("defense", "defense_label"))
    defenses = count(number, "defense") if number else "no defense"
    if strengths > number:
        defenses += f" at {strengths} strengths in all"
    ends = summary["num_trials"].sort()
    trials = count(ends[-1], "trial")
    if ends[0] < ends[-1]:
        trials = f"{ends[0]} to {trials}"
    return (
        f"{count(num['attack'], 'attack')} under {count(num['view'], 'threat model')} "
        f"and {defenses} were tried on {', '.join(on)}: "
        f"{count(summary.height, 'setting')}, {trials} each."
    )


def remarks(frame: Frame) -> list[str]:
    """The rule where a defense was tried; failed trials, wide or no intervals."""
    summary = frame.summary
    failed, trials = summary["num_failed"].sum(), summary["num_trials"].sum()
    why = sorted(set(" ".join(summary["failures"]).split()))
    silent = summary["says_nothing"].sum()
    unprotected, single = "sent_unprotected" in why, 1 in set(summary["num_trials"])
    said = {
        RULE: has_defenses(frame),
        f"{failed} of {trials} trials failed ({', '.join(why)}). They are counted in "
        "every mean.": failed,
        "sent_unprotected: the defense was on and could do nothing for the batch "
        "attacked, which was sent as it was. Its rate is no rate of the "
        "defense.": unprotected,
        f"{silent} of {summary.height} settings say nothing either way, as their "
        "interval is too wide. More trials would tell.": silent,
        "A single trial has no interval: the next one may differ.": single,
    }
    return [text for text, holds in said.items() if holds]


def count(number: int, noun: str) -> str:
    """A number with its noun: `1 trial`, `3 trials`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def percent(rate: float) -> str:
    """A fraction in percent."""
    return f"{100 * rate:.1f} %"


def _with_interval(row: Row) -> str:
    """The strongest attack's rate, with its interval where there is one."""
    low, high = row["attack_accuracy_low"], row["attack_accuracy_high"]
    rate = percent(row["attack_accuracy"])
    ends = "" if low is None else f" (95 % interval {100 * low:.1f} to {percent(high)})"
    return rate + ends


def capital(text: str) -> str:
    """With a capital letter in front."""
    return text[:1].upper() + text[1:]


def _leakage(row: Row) -> float:
    """What is found above chance."""
    return row["attack_accuracy"] - row["chance_accuracy"]
