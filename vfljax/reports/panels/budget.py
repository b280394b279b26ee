"""What a label-privacy guarantee allows, beside what the attacks found."""

import polars as pl

from vfljax.reports.columns import BY_NAME, SCENE
from vfljax.reports.frame import Frame, strongest, varying
from vfljax.reports.panels.base import Panel
from vfljax.reports.table import Table, field, lay_out
from vfljax.reports.words import describe

_ACCOUNTED = pl.col("budget").is_not_null()


def _table(frame: Frame) -> Table:
    """A line per accounted model and view, with the strongest attack on it."""
    fields = (
        *map(field, (*SCENE, "defense_label", "label_delta", "label_epsilon")),
        *map(field, ("label_epsilon_training", "allowed_accuracy")),
        field("attack_accuracy", heading="best attack %"),
        field("attack", heading="by"),
        field("chance_accuracy", with_ends=False),
    )
    return lay_out(fields, strongest(frame.summary.filter(_ACCOUNTED)).to_dicts())


def _notes(frame: Frame) -> list[str]:
    """What each setting of a defense buys, each sentence once; then the limits."""
    accounted = frame.summary.filter(_ACCOUNTED)
    names = varying(accounted, ("batch_size", "num_classes"))
    sentences = []
    for row in accounted.to_dicts():
        setting = [row["defense_label"], describe(row, names)]
        sentences.append(f"{', '.join(filter(None, setting))}: {row['budget']}")
    return [
        *dict.fromkeys(sentences),
        *(
            f"{BY_NAME[name].heading}: {BY_NAME[name].words}"
            for name in ("label_epsilon", "label_epsilon_training", "allowed_accuracy")
        ),
        (
            "This does not bound attacks that see several messages about a sample, or "
            "that learn from samples that look alike: a measured rate above it is no "
            "contradiction."
        ),
    ]


BUDGET = Panel(
    name="budget",
    title="Label privacy budget",
    wants=lambda frame: frame.has("budget"),
    table=_table,
    notes=_notes,
)
