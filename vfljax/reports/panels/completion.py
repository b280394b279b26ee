"""What an attacker with a trained bottom model of its own and a few labels finds."""

import polars as pl

from vfljax.reports.columns import COMPLETION, SCENE, TRAINED_MODEL
from vfljax.reports.frame import Frame, varying
from vfljax.reports.panels.base import Panel
from vfljax.reports.table import explain, table_of

_ATTACKER = ("attack", "known_per_class", "adversary_optimizer")
_LEVELS = ("alone_accuracy", "chance_accuracy", "floor_accuracy")
_MAIN = ("main_accuracy", "main_top5", "main_f1")
_COLUMNS = (
    *(name for name in SCENE if name != "view"),
    *("defense_label", *_ATTACKER, "num_trials", "num_failed"),
    *(*COMPLETION, *_LEVELS, *_MAIN),
)


def _notes(frame: Frame) -> list[str]:
    """What the columns mean, one note per idea that the rows need."""
    optimizers = varying(frame.summary, ("adversary_optimizer",))
    notes = [
        (
            "last: after the last epoch of the attack, which is what an attacker has. "
            "best: at the epoch that is best on training samples by their true labels, "
            "which no attacker can choose; published figures are these."
        ),
        (
            "train: the training samples whose labels the attacker does not know. "
            "test: samples that nobody trained on."
        ),
        *explain(frame, ("known_per_class", *optimizers, *_LEVELS)),
    ]
    if frame.has("attack_fu_batch_f1"):
        notes.append(
            "batch F1: as in the code of Fu et al. 2022, precision and recall "
            "averaged over mini-batches; to compare with what they publish."
        )
    return notes


COMPLETION_PANEL = Panel(
    name="completion",
    title="Model completion",
    about=pl.col("view") == TRAINED_MODEL,
    table=table_of(_COLUMNS, {"attack_accuracy": "train % last"}),
    notes=_notes,
)
