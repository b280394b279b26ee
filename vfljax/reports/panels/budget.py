"""What a label-privacy guarantee allows, beside what the attacks found."""

import polars as pl

from vfljax.reports.columns import POINT, names_of
from vfljax.reports.frame import Frame, strongest, varying
from vfljax.reports.panels.base import Panel
from vfljax.reports.table import Table, describe, explain, lay_out

_ACCOUNT = tuple(name for name in names_of("account") if name != "budget")
_LIMITS = (
    "This does not bound attacks that see several messages about a sample, or that "
    "learn from samples that look alike: a measured rate above it is no contradiction."
)


def _table(frame: Frame) -> Table:
    """A line per accounted model and view, with the strongest attack on it."""
    names = (*POINT, *_ACCOUNT, "attack_accuracy", "attack", "chance_accuracy")
    headings = {"attack_accuracy": "best attack %", "attack": "by"}
    return lay_out(names, strongest(frame.summary).to_dicts(), headings)


def _notes(frame: Frame) -> list[str]:
    """What each setting of a defense buys, each sentence once; then the limits."""
    rows = frame.summary.to_dicts()
    names = ("defense_label", *varying(frame.summary, ("batch_size", "num_classes")))
    said = [f"{describe(row, names)}: {row['budget']}" for row in rows]
    explained = explain(frame, [name for name in _ACCOUNT if name != "label_delta"])
    return [*dict.fromkeys(said), *explained, _LIMITS]


BUDGET = Panel(
    name="budget",
    title="Label privacy budget",
    about=pl.col("budget").is_not_null(),
    table=_table,
    notes=_notes,
)
