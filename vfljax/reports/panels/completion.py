"""What an attacker with a trained bottom model of its own and a few labels finds."""

import polars as pl

from vfljax.reports.columns import COMPLETION, SCENE
from vfljax.reports.frame import TRAINED_MODEL, Frame, varying
from vfljax.reports.panels.base import Panel
from vfljax.reports.table import Table, explain, lay_out

_HERE = pl.col("view") == TRAINED_MODEL
_ATTACKER = ("attack", "known_per_class", "adversary_optimizer")
_LEVELS = ("alone_accuracy", "chance_accuracy", "floor_accuracy")
_MAIN = ("main_accuracy", "main_top5", "main_f1")


def _table(frame: Frame) -> Table:
    """A line per setting and attack."""
    settings = [name for name in SCENE if name != "view"]
    scores = [column.name for column in COMPLETION]
    return lay_out(
        (
            *(*settings, "defense_label", *_ATTACKER, "num_trials", "num_failed"),
            *(*scores, *_LEVELS, *_MAIN),
        ),
        frame.summary.filter(_HERE).to_dicts(),
        headings={"attack_accuracy": COMPLETION[0].heading},
    )


def _notes(frame: Frame) -> list[str]:
    """What the columns mean, one note per idea that the rows need."""
    here = frame.only(_HERE)
    optimizers = varying(here.summary, ("adversary_optimizer",))
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
        *explain(here, ("known_per_class", *optimizers, *_LEVELS)),
    ]
    if here.has("attack_fu_batch_f1"):
        notes.append(
            "batch F1: as in the code of Fu et al. 2022, precision and recall "
            "averaged over mini-batches; to compare with what they publish."
        )
    return notes


COMPLETION_PANEL = Panel(
    name="completion",
    title="Model completion",
    wants=lambda frame: frame.summary.filter(_HERE).height > 0,
    table=_table,
    notes=_notes,
)
