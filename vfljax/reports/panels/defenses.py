"""Each defense under each threat model: what the strongest attackers find, the cost."""

from collections.abc import Iterator
from typing import Any

from vfljax.reports.columns import POINT, SCENE
from vfljax.reports.frame import (
    UNDEFENDED,
    Frame,
    matching,
    naive,
    up_to_names,
    varying,
)
from vfljax.reports.panels.base import Panel
from vfljax.reports.table import (
    NAMES_ONLY,
    NOTHING,
    Field,
    Row,
    Table,
    cell,
    field,
    knows,
    lay_out,
    with_chance,
)
from vfljax.reports.words import describe, scenes

NEAR_CHANCE = "≈ chance"
NOT_TRIED = "not tried"


def table(frame: Frame, *, is_short: bool = False) -> Table:
    """A line per model and threat model, with the strongest attacker of each kind.

    Args:
        frame: of any run.
        is_short: at most seven columns, for a terminal: no names of attacks, and the
            settings that vary in one column.
    """
    rows = list(_rows(frame, is_short=is_short))
    is_defended = any(row["defense"] != UNDEFENDED for row in rows)
    settings = [field(name) for name in (*SCENE, "defense_label")]
    if is_short:
        settings = [
            _text("setting", "setting"),
            field("view"),
            field("defense_label"),
        ]
    rates = [_text("found %", "knowing", True), _text("by", "knowing_by")]
    if is_defended:
        rates = [
            _text("ignores it %", "ignoring", True),
            _text("by", "ignoring_by"),
            _text("knows it %", "knowing", True),
            _text("by", "knowing_by"),
            Field("which knows", knows, is_number=False, is_result=True),
        ]
    if is_short:
        rates = [rate for rate in rates if rate.is_number]
    else:
        rates.append(_text("up to names % (chance)", "names", True))
    results = [
        *rates,
        field("chance_accuracy", with_ends=False),
        _text("main task % (change)" if is_defended else "main task %", "main", True),
    ]
    if not is_short:
        results.append(field("floor_accuracy", with_ends=False))
    laid = lay_out([*settings, *results], rows)
    if "defense" not in laid.headings:
        return laid
    return laid._replace(num_groups=laid.headings.index("defense"))


def _rows(frame: Frame, *, is_short: bool) -> Iterator[dict[str, Any]]:
    """The strongest attack on each model, with what else its line says."""
    summary = frame.summary
    ignoring = {_point(row): row for row in naive(summary).to_dicts()}
    names = [name for name in varying(summary, SCENE) if name != "view"]
    for scene in scenes(summary):
        for row in [scene.undefended, *scene.defended]:
            if row is None:
                continue
            of_naive = ignoring.get(_point(row))
            is_tried = row["is_knowing_tried"]
            yield {
                **row,
                "setting": describe(row, names) or NOTHING,
                "ignoring": cell(of_naive, "attack_accuracy")
                if of_naive
                else NOT_TRIED,
                "ignoring_by": of_naive["attack"] if of_naive else NOTHING,
                "knowing": cell(row, "attack_accuracy") if is_tried else NOT_TRIED,
                "knowing_by": row["attack"] if is_tried else NOTHING,
                "names": _names(frame, row),
                "main": _main(row, scene.undefended, with_ends=not is_short),
            }


def _main(row: Row, undefended: Row | None, *, with_ends: bool) -> str:
    """The main task, and in brackets its points above that without a defense."""
    text = cell(row, "main_accuracy", with_ends=with_ends)
    bare = undefended and undefended["main_accuracy"]
    if text == NOTHING or bare is None or row["defense"] == UNDEFENDED:
        return text
    change = 100 * (row["main_accuracy"] - bare)
    return f"{text} ({change:+.1f})"


def _names(frame: Frame, row: Row) -> str:
    """What is found up to a renaming, by whichever attack finds most."""
    found = up_to_names(matching(frame.summary, POINT, _point(row)))
    if found is None:
        return NOTHING
    if not found["finds_classes"]:
        return NEAR_CHANCE
    text = with_chance("matched_accuracy", "matched_chance")(found)
    return f"{text} {NAMES_ONLY}" if row["hides_names_only"] else text


def _text(heading: str, name: str, is_number: bool = False) -> Field:
    """A column of texts that `_rows` made."""
    return Field(heading, lambda row: row[name], is_number, name != "setting")


def _point(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in POINT)


def _notes(frame: Frame) -> list[str]:
    """How to read the columns."""
    summary, notes = frame.summary, []
    if set(summary["defense"]) != {UNDEFENDED}:
        notes += [
            (
                "ignores it %: found by the strongest attack that ignores the "
                "defense. knows it %: by the strongest of all, as an attacker who "
                "knows the defense may always use an attack that ignores it. Either "
                "may know some labels. Of several attacks, and of two readings of one, "
                "the one with the highest mean is shown, which slightly favors the "
                "attacks."
            ),
            "In brackets beside the main task: points gained or lost (-) against none.",
        ]
    if frame.has("matched_accuracy"):
        notes.append(
            "up to names: labels found after the best one-to-one renaming of the "
            "classes, by whichever attack finds most; in brackets what blind guesses "
            "get so."
        )
    return notes


DEFENSES = Panel(
    name="defenses",
    title="What each defense leaves and costs",
    wants=lambda frame: True,
    table=table,
    notes=_notes,
)
