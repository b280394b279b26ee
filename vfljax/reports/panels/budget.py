"""What a privacy guarantee allows, beside what the attacks found."""

from collections.abc import Callable

import polars as pl

from vfljax.reports.columns import OF_UPDATES, POINT, names_of
from vfljax.reports.frame import Frame, strongest, varying
from vfljax.reports.panels.base import Panel
from vfljax.reports.table import Table, describe, explain, lay_out

_ACCOUNT = tuple(n for n in names_of("account") if n not in ("budget", *OF_UPDATES))
_GUARANTEE = OF_UPDATES[:-1]
_LIMITS = (
    "This does not bound attacks that see several messages about a sample, or that "
    "learn from samples that look alike: a measured rate above it is no contradiction."
)


_NO_PROPERTIES = (
    "This bounds what one more or one other of those who are protected changes, and "
    "neither properties that several of them share nor what is true of all."
)


def _table_of(account: tuple[str, ...]) -> Callable[[Frame], Table]:
    """A line per accounted model and view, with the strongest attack on it."""
    names = (*POINT, *account, "attack_accuracy", "attack", "chance_accuracy")
    headings = {"attack_accuracy": "best attack %", "attack": "by"}

    def table(frame):
        return lay_out(names, strongest(frame.summary).to_dicts(), headings)

    return table


def _notes_of(
    sentence: str, account: tuple[str, ...], limits: str
) -> Callable[[Frame], list[str]]:
    """What each setting of a defense buys, each sentence once; then the limits."""

    def notes(frame):
        rows = frame.summary.to_dicts()
        settings = ("batch_size", "num_classes")
        names = ("defense_label", *varying(frame.summary, settings))
        said = [f"{describe(row, names)}: {row[sentence]}" for row in rows]
        explained = explain(frame, [n for n in account if not n.endswith("delta")])
        return [*dict.fromkeys(said), *explained, limits]

    return notes


BUDGET = Panel(
    name="budget",
    title="Label privacy budget",
    about=pl.col("budget").is_not_null(),
    table=_table_of(_ACCOUNT),
    notes=_notes_of("budget", _ACCOUNT, _LIMITS),
)
UPDATE_BUDGET = Panel(
    name="update_budget",
    title="Privacy budget of updates",
    about=pl.col("guarantee").is_not_null(),
    table=_table_of(_GUARANTEE),
    notes=_notes_of("guarantee", _GUARANTEE, _NO_PROPERTIES),
)
