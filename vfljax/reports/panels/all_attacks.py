"""Every attack on messages in every setting."""

import polars as pl

from vfljax.reports.columns import MESSAGE_ROWS, SCENE, TRAINED_MODEL
from vfljax.reports.panels.base import Panel
from vfljax.reports.table import explain, table_of

_ATTACKER = ("attack", "known_per_class", "adversary_optimizer", "knowledge")
_RATES = (
    *("attack_accuracy", "chance_accuracy", "auc", "published_accuracy"),
    *("matched_accuracy", "mutual_information", "main_accuracy", "floor_accuracy"),
)
_COLUMNS = (*SCENE, "defense_label", *_ATTACKER, "num_trials", "num_failed", *_RATES)

ALL_ATTACKS = Panel(
    name="all_attacks",
    title="All attacks",
    about=~pl.col("view").is_in([TRAINED_MODEL, MESSAGE_ROWS]),
    table=table_of((*_COLUMNS, "seconds")),
    notes=lambda frame: explain(frame, _RATES),
)
