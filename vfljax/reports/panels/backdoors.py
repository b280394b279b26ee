"""How often a trigger leads to the attacker's class, and what that costs the model."""

import polars as pl

from vfljax.reports.columns import SCENE
from vfljax.reports.frame import Frame
from vfljax.reports.panels.base import Panel
from vfljax.reports.table import Table, field, lay_out

OF_MESSAGE_ROWS = pl.col("view") == "message_rows"


def _table(frame: Frame) -> Table:
    """A line per setting and backdoor."""
    left_out = ("view", "train_step", "protocol")
    fields = (
        *(field(name) for name in SCENE if name not in left_out),
        field("defense_label"),
        field("attack", heading="backdoor"),
        *map(field, ("amplification", "num_trials", "num_failed")),
        field("attack_accuracy", heading="backdoor %"),
        field("published_accuracy", heading="own class included %", with_ends=False),
        field("chance_accuracy", heading="without trigger %", with_ends=False),
        field("main_accuracy"),
        field("inferred_accuracy", with_ends=False),
    )
    return lay_out(fields, frame.summary.filter(OF_MESSAGE_ROWS).to_dicts())


def _notes(frame: Frame) -> list[str]:
    return [
        (
            "backdoor %: test samples of other classes that the trigger leads to the "
            "target class. own class included %: the same of all test samples tried, "
            "as published; those of the target class count as successes."
        ),
        (
            "without trigger %: the same samples of other classes without the trigger. "
            "main task %: all test samples without it, of the model with the backdoor; "
            "each backdoor has a training of its own."
        ),
    ]


BACKDOORS = Panel(
    name="backdoors",
    title="Backdoors",
    wants=lambda frame: frame.summary.filter(OF_MESSAGE_ROWS).height > 0,
    table=_table,
    notes=_notes,
)
