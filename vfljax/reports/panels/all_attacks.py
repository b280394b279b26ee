"""Every attack on messages in every setting."""

import polars as pl

from vfljax.reports.columns import SCENE
from vfljax.reports.frame import MESSAGE_ROWS, TRAINED_MODEL, Frame
from vfljax.reports.panels.base import Panel
from vfljax.reports.table import Table, explain, lay_out

_HERE = ~pl.col("view").is_in([TRAINED_MODEL, MESSAGE_ROWS])
_ATTACKER = ("attack", "known_per_class", "adversary_optimizer", "knowledge")
_RATES = (
    *("attack_accuracy", "chance_accuracy", "auc", "published_accuracy"),
    *("matched_accuracy", "mutual_information", "main_accuracy", "floor_accuracy"),
)


def _table(frame: Frame) -> Table:
    """A line per setting and attack."""
    names = (*SCENE, "defense_label", *_ATTACKER, "num_trials", "num_failed", *_RATES)
    return lay_out((*names, "seconds"), frame.summary.filter(_HERE).to_dicts())


ALL_ATTACKS = Panel(
    name="all_attacks",
    title="All attacks",
    wants=lambda frame: frame.summary.filter(_HERE).height > 0,
    table=_table,
    notes=lambda frame: explain(frame.only(_HERE), _RATES),
)
