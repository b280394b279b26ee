"""The verdict on each defense: what an attacker who knows it finds, beside a naive one.

One line per model and threat model; settings that never vary are said once above.
"""

from collections.abc import Callable, Sequence

from vfljax.reports.layout import (
    NAMES_ONLY,
    NOTHING,
    SETTING_COLUMNS,
    Column,
    Layout,
    attack_cell,
    choose_columns,
    footnotes,
    main_cell,
    percent,
)
from vfljax.reports.statistics import Summary
from vfljax.reports.strongest import Verdict, judge
from vfljax.reports.tables import knows, matched_cell

NEAR_CHANCE = "≈ chance"
NOTES = (
    (
        "naive: the strongest attack that ignores the defense, in its better readout. "
        "adaptive: the strongest that knows the defense. Either may know some labels. "
        "Of several attacks the one with the highest mean is shown, which slightly "
        "favors the attacks."
    ),
    (
        "up to names: labels found after the best one-to-one renaming of the classes, "
        "by whichever attack finds most; in brackets what blind guesses get so."
    ),
)


def has_verdict(summaries: Sequence[Summary]) -> bool:
    """Whether a run has an attack that knows the defense."""
    return any(summary.is_adaptive for summary in summaries)


def lay_out_verdict(summaries: Sequence[Summary]) -> Layout:
    """The table with the names of the attacks in columns, for Markdown."""
    return _lay_out(
        summaries,
        (
            Column("naive attack %", _rate_of("naive"), True, True),
            Column("by", _name_of("naive"), False, True),
            Column("adaptive attack %", _rate_of("adaptive"), True, True),
            Column("by", _name_of("adaptive"), False, True),
            Column("which knows", _knowledge, False, True),
            Column("up to names % (chance)", _up_to_names(matched_cell), True, True),
        ),
    )


def lay_out_short_verdict(summaries: Sequence[Summary]) -> tuple[Layout, list[str]]:
    """The table with a letter for each attack, for a terminal, and the letters' key."""
    attacks = [
        _describe(reading)
        for verdict in judge(summaries)
        for reading in (verdict.naive, verdict.adaptive)
        if reading is not None
    ]
    letters = dict(zip(dict.fromkeys(attacks), _letters(len(attacks)), strict=False))

    def with_letter(who: str) -> Callable[[Verdict], str]:
        rate = _rate_of(who)

        def cell(verdict: Verdict) -> str:
            reading: Summary | None = getattr(verdict, who)
            if reading is None:
                return NOTHING
            return f"{rate(verdict)} {letters[_describe(reading)]}"

        return cell

    layout = _lay_out(
        summaries,
        (
            Column("naive attack %", with_letter("naive"), True, True),
            Column("adaptive attack %", with_letter("adaptive"), True, True),
            Column("up to names % (chance)", _up_to_names(_short_matched), True, True),
        ),
    )
    return layout, [f"{letter}  {attack}" for attack, letter in letters.items()]


def _lay_out(summaries: Sequence[Summary], attacks: Sequence[Column]) -> Layout:
    """Settings, main task, attacks, chance."""
    columns = (
        *(_of_model(column) for column in SETTING_COLUMNS),
        Column("main task %", lambda verdict: main_cell(verdict.model), True, True),
        *attacks,
        Column("chance %", _chance, True, True),
    )
    layout = choose_columns(columns, judge(summaries), ())
    return layout._replace(
        footnotes=footnotes(cell for cells in layout.cells for cell in cells)
    )


def _of_model(column: Column) -> Column:
    """The column of a setting, for a verdict."""
    return column._replace(cell=lambda verdict: column.cell(verdict.model))


def _rate_of(who: str) -> Callable[[Verdict], str]:
    def cell(verdict: Verdict) -> str:
        reading: Summary | None = getattr(verdict, who)
        if reading is None:
            return NOTHING
        return attack_cell(reading)

    return cell


def _name_of(who: str) -> Callable[[Verdict], str]:
    def cell(verdict: Verdict) -> str:
        reading: Summary | None = getattr(verdict, who)
        return NOTHING if reading is None else reading.attack

    return cell


def _knowledge(verdict: Verdict) -> str:
    return NOTHING if verdict.adaptive is None else knows(verdict.adaptive)


def _describe(reading: Summary) -> str:
    """An attack and what it knows."""
    if not reading.is_adaptive:
        return reading.attack
    return f"{reading.attack}, knows {knows(reading)}"


def _up_to_names(matched: Callable[[Summary], str]) -> Callable[[Verdict], str]:
    def cell(verdict: Verdict) -> str:
        found = verdict.up_to_names
        if found is None:
            return NOTHING
        if not found.finds_classes:
            return NEAR_CHANCE
        text = matched(found)
        return f"{text} {NAMES_ONLY}" if verdict.hides_names_only else text

    return cell


def _short_matched(summary: Summary) -> str:
    """Without the interval."""
    return matched_cell(summary._replace(matched_low=None, matched_high=None))


def _chance(verdict: Verdict) -> str:
    return percent(verdict.model.chance, None, None)


def _letters(count: int) -> list[str]:
    """a, b, ..., z, aa, bb, ..."""
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    return [alphabet[index % 26] * (1 + index // 26) for index in range(count)]
