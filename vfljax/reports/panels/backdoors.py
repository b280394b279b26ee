"""How often a trigger leads to the attacker's class, and what that costs the model."""

import polars as pl

from vfljax.reports.columns import SCENE
from vfljax.reports.frame import MESSAGE_ROWS, Frame
from vfljax.reports.panels.base import Panel
from vfljax.reports.table import Table, lay_out

_HERE = pl.col("view") == MESSAGE_ROWS
_HEADINGS = {
    "attack": "backdoor",
    "attack_accuracy": "backdoor %",
    "published_accuracy": "own class included %",
    "chance_accuracy": "without trigger %",
}
_NOTES = [
    (
        "backdoor %: test samples of other classes that the trigger leads to the "
        "target class. own class included %: the same of all test samples tried, as "
        "published; those of the target class count as successes."
    ),
    (
        "without trigger %: the same samples of other classes without the trigger. "
        "main task %: all test samples without it, of the model with the backdoor; "
        "each backdoor has a training of its own."
    ),
]


def _table(frame: Frame) -> Table:
    """A line per setting and backdoor."""
    left_out = ("view", "train_step", "protocol")
    names = (
        *(*(name for name in SCENE if name not in left_out), "defense_label", "attack"),
        *("amplification", "num_trials", "num_failed", "attack_accuracy"),
        *("published_accuracy", "chance_accuracy", "main_accuracy"),
        *("floor_accuracy", "inferred_accuracy"),
    )
    return lay_out(names, frame.summary.filter(_HERE).to_dicts(), _HEADINGS)


BACKDOORS = Panel(
    name="backdoors",
    title="Backdoors",
    wants=lambda frame: frame.summary.filter(_HERE).height > 0,
    table=_table,
    notes=lambda frame: _NOTES,
)
