"""Each defense under each threat model: what the strongest attackers find, the cost."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from vfljax.reports.columns import POINT, SCENE, UNDEFENDED
from vfljax.reports.frame import Frame, groups, naive, strongest, varying
from vfljax.reports.panels.base import Panel
from vfljax.reports.table import (
    NAMES_ONLY,
    NOTHING,
    Table,
    cell,
    describe,
    lay_out,
)
from vfljax.reports.words import capital, has_defenses

_NOT_TRIED = "not tried"
_KINDS = (
    "ignores it %: found by the strongest attack that ignores the defense. knows it %: "
    "by the strongest of all, as an attacker who knows the defense may always use an "
    "attack that ignores it. Either may know some labels. Of several attacks, and of "
    "two readings of one, the one with the highest mean is shown, which slightly "
    "favors the attacks."
)
_HEADINGS = {
    "setting": "setting",
    "ignoring": "ignores it %",
    "knowing": "knows it %",
    "main": "main task % (change)",
    "ignoring_by": "ignores it: by",
    "knowing_by": "knows it: by",
    "names": "up to names % (chance)",
}
_UNDEFENDED_HEADINGS = {"knowing": "found %", "knowing_by": "by", "main": "main task %"}
_CHANGE = "In brackets beside the main task: points gained or lost (-) against none."
_UP_TO_NAMES = (
    "up to names: labels found after the best one-to-one renaming of the classes, by "
    "whichever attack finds most; in brackets what blind guesses get so."
)


def table(frame: Frame, *, is_short: bool = False) -> Table:
    """A line per model and threat model, with the strongest attacker of each kind.

    The short one, for a terminal, has at most seven columns, without the names of
    attacks and what never varies.
    """
    is_defended = has_defenses(frame)
    names = ["setting", "defense_label", "ignoring", "knowing", "chance_accuracy"]
    names.append("main")
    if not is_short:
        same = [name for name in SCENE if frame.summary[name].n_unique() == 1]
        names = [*same, *names, "floor_accuracy", "ignoring_by", "knowing_by"]
        names += ["knowledge", "names"]
    if not is_defended:
        names = [name for name in names if not name.startswith("ignoring")]
    headings = _HEADINGS if is_defended else _HEADINGS | _UNDEFENDED_HEADINGS
    laid = lay_out(names, list(_rows(frame, is_short)), headings)
    if "defense" not in laid.headings:
        return laid
    return laid._replace(num_groups=laid.headings.index("defense"))


def _rows(frame: Frame, is_short: bool) -> Iterator[dict[str, Any]]:
    """The strongest attack on each model, with what else its line says."""
    ignoring = dict(groups(naive(frame.summary), POINT))
    names = varying(frame.summary, SCENE)
    is_defended = pl.col("defense") != UNDEFENDED
    for _, best in groups(strongest(frame.summary), SCENE):
        rows = best.sort(is_defended, maintain_order=True).to_dicts()
        bare = rows[0]["main_accuracy"] if rows[0]["defense"] == UNDEFENDED else None
        for row in rows:
            point, found = tuple(row[name] for name in POINT), "attack_accuracy"
            of_naive = ignoring[point].row(0, named=True) if point in ignoring else None
            is_tried = row["is_knowing_tried"]
            main = cell(row, "main_accuracy", has_ends=not is_short)
            if row is not rows[0] and None not in (bare, row["main_accuracy"]):
                main += f" ({100 * (row['main_accuracy'] - bare):+.1f})"
            matched = cell(row, "matched_accuracy")
            is_named = row["finds_classes"] or matched == NOTHING
            matched += f" {NAMES_ONLY}" * row["hides_names_only"]
            yield {
                **row,
                "setting": capital(describe(row, names)) or NOTHING,
                "ignoring": cell(of_naive, found) if of_naive else _NOT_TRIED,
                "ignoring_by": of_naive["attack"] if of_naive else NOTHING,
                "knowing": cell(row, found) if is_tried else _NOT_TRIED,
                "knowing_by": row["attack"] if is_tried else NOTHING,
                "main": main,
                "names": matched if is_named else "≈ chance",
            }


def _notes(frame: Frame) -> list[str]:
    """How to read the columns that there are."""
    notes = [_KINDS, _CHANGE] * has_defenses(frame)
    return notes + [_UP_TO_NAMES] * frame.has("matched_accuracy")


DEFENSES = Panel(
    name="defenses",
    title="What the strongest attackers find",
    table=table,
    notes=_notes,
)
