"""How often a trigger leads to the attacker's class, and what that costs the model."""

import polars as pl

from vfljax.reports.columns import MESSAGE_ROWS, SCENE
from vfljax.reports.panels.base import Panel
from vfljax.reports.table import table_of

_SETTINGS = [n for n in SCENE if n not in ("view", "train_step", "protocol")]
_COLUMNS = (
    *(*_SETTINGS, "defense_label", "attack", "amplification", "num_trials"),
    *("num_failed", "attack_accuracy", "published_accuracy", "chance_accuracy"),
    *("main_accuracy", "floor_accuracy", "inferred_accuracy"),
)
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


BACKDOORS = Panel(
    name="backdoors",
    title="Backdoors",
    about=pl.col("view") == MESSAGE_ROWS,
    table=table_of(_COLUMNS, _HEADINGS),
    notes=lambda frame: _NOTES,
)
