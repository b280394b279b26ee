"""The answer in words: what was tried, what leaks, and which defense to take if any."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import polars as pl

from vfljax.reports.columns import BY_NAME, SCENE, View, view_of
from vfljax.reports.frame import (
    UNDEFENDED,
    Frame,
    distinct,
    matching,
    strongest,
    varying,
)
from vfljax.reports.table import NOTHING, knows

MOST_LOST = 0.05
"""Main-task accuracy that a defense may cost at most."""
MOST_LEFT = 0.5
"""Share of the leakage above chance that a defense may leave at most."""
RULE = (
    "The rule: against the strongest attack that was tried, one that knows the "
    "defense included, a defense at one strength must leave at most half of what is "
    "found above chance without a defense. Its main task must be at most 5 points "
    "below that without a defense, and above what the label party reaches alone where "
    "that is known. Failed trials, an interval that says nothing, rates below chance "
    "and names that are only exchanged do not count as protection. Of the strengths "
    "that are left the one that leaks least is named; if there is none, none is worth "
    "its price."
)
_REASONS = {
    "failed": "trials failed",
    "says nothing": "the interval says nothing",
    "names": "only names are hidden, or the rate is below chance",
    "leaks": "more than half of the leakage above chance is left",
    "costs": "the main task loses more than 5 points",
    "floor": "the model is no better than the label party alone",
}

Row = Mapping[str, Any]


class Scene(NamedTuple):
    """One setting under one threat model: what to compare defenses in.

    Attributes:
        setting: the values of `columns.SCENE`.
        undefended: what the strongest attack finds without a defense, or None.
        defended: the same for each defense and strength that was tried.
    """

    setting: dict[str, Any]
    undefended: Row | None
    defended: list[Row]

    @property
    def unjudged(self) -> str:
        """Why no defense can be chosen, as a sentence, or ""."""
        if not self.defended:
            return "No defense was tried, so there is none to choose."
        if self.undefended is None:
            return (
                "Which defense to take cannot be said: nothing was tried without a "
                "defense, to compare with."
            )
        rows = (self.undefended, *self.defended)
        if any(row["main_accuracy"] is None for row in rows):
            return (
                "Which defense to take cannot be said: what they cost the main task "
                "was not recorded."
            )
        if self.undefended["says_nothing"] or self.undefended["any_failed"]:
            return (
                "Which defense to take cannot be said: without a defense, trials "
                "failed or their interval says nothing."
            )
        if _leakage(self.undefended) <= 0:
            return (
                "Which defense to take cannot be said: not even without a defense do "
                "these attacks find more than chance."
            )
        return ""

    def why_not(self, row: Row) -> str:
        """The key in `_REASONS` of why a defense is not worth its price, or ""."""
        base = self.undefended or row
        floor = row["floor_accuracy"]
        checks = {
            "failed": row["any_failed"],
            "says nothing": row["says_nothing"],
            "names": row["below_chance"] or row["hides_names_only"],
            "leaks": _leakage(row) > MOST_LEFT * _leakage(base),
            "costs": row["main_accuracy"] < base["main_accuracy"] - MOST_LOST,
            "floor": floor is not None and row["main_accuracy"] <= floor,
        }
        return next((reason for reason, holds in checks.items() if holds), "")

    @property
    def chosen(self) -> Row | None:
        """The defense to take by `RULE`, the first on a tie."""
        worth = [row for row in self.defended if not self.why_not(row)]
        return min(worth, key=lambda row: row["attack_accuracy"], default=None)


class Finding(NamedTuple):
    """What is found under one threat model, in words.

    Attributes:
        title: what the attacker sees.
        found: what leaks without a defense, against chance.
        verdict: which defense to take, or that none is worth its price.
        reasons: why, or "".
        rate: what the strongest attack finds without a defense, or None.
        chance: what chance finds there, or None.
        kind: "take" where a defense is named, "none" where none is worth its price in
            any setting, "open" where it cannot be said.
    """

    title: str
    found: str
    verdict: str
    reasons: str
    rate: float | None
    chance: float | None
    kind: Literal["take", "none", "open"]


def scenes(summary: pl.DataFrame) -> list[Scene]:
    """The settings in which defenses are compared, in order of first appearance."""
    best = strongest(summary)
    found = []
    for setting in distinct(best, SCENE):
        rows = matching(best, SCENE, setting).to_dicts()
        bare = [row for row in rows if row["defense"] == UNDEFENDED]
        found.append(
            Scene(
                setting=dict(zip(SCENE, setting, strict=True)),
                undefended=bare[0] if bare else None,
                defended=[row for row in rows if row["defense"] != UNDEFENDED],
            )
        )
    return found


def has_defenses(frame: Frame) -> bool:
    """Whether any defense was tried."""
    return frame.summary.filter(pl.col("defense") != UNDEFENDED).height > 0


def opening(frame: Frame) -> str:
    """Which settings were tried."""
    summary = frame.summary
    first = summary.row(0, named=True)
    same = [name for name in SCENE if name not in varying(summary, SCENE)]
    data = ", ".join(distinct_values(summary, "dataset"))
    if "num_classes" in same:
        data += f", {first['num_classes']} classes"
    if "num_parties" in same and first["num_parties"]:
        data += f", {first['num_parties']} parties"
    defended = summary.filter(pl.col("defense") != UNDEFENDED)
    defenses = count(defended["defense"].n_unique(), "defense")
    if defended["defense_label"].n_unique() > defended["defense"].n_unique():
        defenses += f" at {defended['defense_label'].n_unique()} strengths in all"
    attacks = count(summary["attack"].n_unique(), "attack")
    views = count(summary["view"].n_unique(), "threat model")
    low, high = summary["num_trials"].min(), summary["num_trials"].max()
    trials = count(high, "trial") if low == high else f"{low} to {high} trials"
    return (
        f"{attacks} under {views} and {defenses if defended.height else 'no defense'} "
        f"were tried on {data}: {count(summary.height, 'setting')}, {trials} each."
    )


def findings(summary: pl.DataFrame) -> list[Finding]:
    """One per threat model, in order of first appearance."""
    found: dict[str, list[Scene]] = {}
    for scene in scenes(summary):
        found.setdefault(scene.setting["view"], []).append(scene)
    return [_finding(view_of(view), of_view) for view, of_view in found.items()]


def _finding(view: View, some: Sequence[Scene]) -> Finding:
    """What the settings of one threat model say together."""
    bare = [scene.undefended for scene in some if scene.undefended is not None]
    most = max(bare, key=lambda row: row["attack_accuracy"], default=None)
    verdict, reasons = _verdict(some)
    judged = [scene.chosen for scene in some if not scene.unjudged]
    kind = "none" if judged and not any(judged) else "open"
    if any(row and row["is_knowing_tried"] for row in judged):
        kind = "take"
    return Finding(
        title=capital(view.name),
        found=_found(some, view),
        verdict=verdict,
        reasons=reasons,
        rate=most and most["attack_accuracy"],
        chance=most and most["chance_accuracy"],
        kind=kind,
    )


def caveats(frame: Frame) -> list[str]:
    """What the numbers do not say: failed trials, intervals too wide, single trials."""
    summary, said = frame.summary, []
    failed, trials = summary["num_failed"].sum(), summary["num_trials"].sum()
    if failed:
        why = sorted(set(" ".join(summary["failures"]).split()))
        said.append(
            f"{failed} of {trials} trials failed ({', '.join(why)}). They are counted "
            "in every mean."
        )
        if "sent_unprotected" in why:
            said.append(
                "sent_unprotected: the defense was on and could do nothing for the "
                "batch attacked, which was sent as it was. Its rate is no rate of the "
                "defense."
            )
    silent = summary["says_nothing"].sum()
    if silent:
        said.append(
            f"{silent} of {summary.height} settings say nothing either way, as their "
            "interval is too wide. More trials would tell."
        )
    if summary["num_trials"].min() == 1:
        said.append("A single trial has no interval: the next one may differ.")
    return said


def describe(row: Row, names: Iterable[str]) -> str:
    """Some settings in words: `batch 16, classes 4`."""
    parts = []
    for name in names:
        if row[name] not in (None, ""):
            heading = "" if name == "variant" else f"{BY_NAME[name].heading} "
            parts.append(f"{heading}{row[name]}")
    return ", ".join(parts)


def distinct_values(summary: pl.DataFrame, name: str) -> list[str]:
    """The values of one column as texts."""
    return [str(value) for (value,) in distinct(summary, (name,))]


def count(number: Any, noun: str) -> str:
    """A number with its noun: `1 trial`, `3 trials`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def percent(rate: float) -> str:
    """A fraction in percent."""
    return f"{100 * rate:.1f} %"


def capital(text: str) -> str:
    """With a capital letter in front."""
    return text[:1].upper() + text[1:]


def _leakage(row: Row) -> float:
    """What is found above chance."""
    return row["attack_accuracy"] - row["chance_accuracy"]


def _found(some: Sequence[Scene], view: View) -> str:
    """What leaks without a defense, of one setting or as a range over several."""
    rows = [scene.undefended for scene in some if scene.undefended is not None]
    if not rows:
        return "Nothing was tried without a defense."
    rows.sort(key=lambda row: row["attack_accuracy"])
    low, high = rows[0], rows[-1]
    chances = sorted(row["chance_accuracy"] for row in rows)
    chance = percent(chances[-1])
    if percent(chances[0]) != chance:
        chance = f"{100 * chances[0]:.1f} to {chance}"
    chance = view.chance.format(chance)
    if len(rows) == 1:
        known = knows(high)
        who = high["attack"] + ("" if known == NOTHING else f", with {known}")
        does = view.finds.format(percent(high["attack_accuracy"]))
        return f"Without a defense the strongest attack ({who}) {does}; {chance}." + (
            _doubt(high)
        )
    names = varying(pl.DataFrame([scene.setting for scene in some]), SCENE)
    least, most = percent(low["attack_accuracy"]), percent(high["attack_accuracy"])
    if least != most:
        most = f"{least} ({describe(low, names)}) to {most} ({describe(high, names)})"
    silent = sum(row["says_nothing"] for row in rows)
    doubt = f" In {silent} of them the interval says nothing." if silent else ""
    return (
        f"In {len(rows)} settings without a defense the strongest attack "
        f"{view.finds.format(most)}; {chance}.{doubt}"
    )


def _doubt(row: Row) -> str:
    """What must be said beside one rate."""
    if row["num_failed"]:
        return f" {row['num_failed']} of {count(row['num_trials'], 'trial')} failed."
    if row["says_nothing"]:
        return " Its interval is so wide that this says nothing either way."
    if row["below_chance"] or row["hides_names_only"]:
        return " That is no protection: the labels are found under other names."
    return ""


def _verdict(some: Sequence[Scene]) -> tuple[str, str]:
    """Which defense to take in which of the settings, and why."""
    said: dict[tuple[str, str], list[Scene]] = {}
    for scene in some:
        said.setdefault(_verdict_of(scene), []).append(scene)
    if len(said) == 1:
        return next(iter(said))
    names = varying(pl.DataFrame([scene.setting for scene in some]), SCENE)
    verdicts, whys = {}, []
    for (verdict, reasons), of_verdict in said.items():
        where = "; ".join(describe(scene.setting, names) for scene in of_verdict)
        verdicts.setdefault(verdict, []).append(where)
        if reasons:
            whys.append(f"{capital(where)}: {reasons}")
    lines = [
        f"{capital('; '.join(where))}: {verdict}" for verdict, where in verdicts.items()
    ]
    return " ".join(lines), " ".join(whys)


def _verdict_of(scene: Scene) -> tuple[str, str]:
    """The defense to take in one setting or that none is, and why."""
    if scene.unjudged or scene.undefended is None:
        return scene.unjudged, ""
    chosen, tried = scene.chosen, scene.defended
    if chosen is None:
        found = [scene.why_not(row) for row in tried]
        why = ", ".join(
            f"{words} ({found.count(reason)} of {len(found)})"
            for reason, words in _REASONS.items()
            if reason in found
        )
        return "None of the defenses tried is worth its price.", f"{capital(why)}."
    numbers = (
        f"The strongest attack on it ({chosen['attack']}) reaches "
        f"{percent(chosen['attack_accuracy'])} where chance is "
        f"{percent(chosen['chance_accuracy'])}, and the main task goes from "
        f"{percent(scene.undefended['main_accuracy'])} to "
        f"{percent(chosen['main_accuracy'])}."
    )
    if chosen["is_knowing_tried"]:
        return f"Take {chosen['defense_label']}.", numbers
    return (
        f"{chosen['defense_label']} meets the rule so far, but no attack that knows it "
        "was tried.",
        f"{numbers} More may leak to an attacker who knows it.",
    )
