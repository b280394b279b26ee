"""What an attacker with a trained bottom model of its own and a few labels finds."""

import polars as pl

from vfljax.reports.columns import BY_NAME, READINGS, SCENE, SCORES
from vfljax.reports.frame import Frame, varying
from vfljax.reports.panels.base import Panel
from vfljax.reports.table import Table, field, lay_out

OF_TRAINED_MODEL = pl.col("view") == "trained_model"


def _table(frame: Frame) -> Table:
    """A line per setting and attack."""
    settings = [name for name in SCENE if name != "view"]
    scores = [f"{reading}_{score}" for score in SCORES for reading in READINGS]
    fields = (
        *map(field, (*settings, "defense_label", "attack", "known_per_class")),
        *map(field, ("adversary_optimizer", "num_trials", "num_failed")),
        field("attack_accuracy", heading="train % last"),
        *(field(s, with_ends=s.startswith("attack")) for s in scores[1:]),
        *(
            field(name, with_ends=False)
            for name in ("alone_accuracy", "chance_accuracy", "floor_accuracy")
        ),
        field("main_accuracy"),
        *(field(name, with_ends=False) for name in ("main_top5", "main_f1")),
    )
    return lay_out(fields, frame.summary.filter(OF_TRAINED_MODEL).to_dicts())


def _notes(frame: Frame) -> list[str]:
    """What the columns mean, one note per idea that the rows need."""
    here = frame.only(OF_TRAINED_MODEL)
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
    ]
    names = [name for name in ("known_per_class",) if here.has(name)]
    names += varying(here.summary, ("adversary_optimizer",))
    names += [name for name in ("alone_accuracy", "floor_accuracy") if here.has(name)]
    notes += [f"{BY_NAME[name].heading}: {BY_NAME[name].words}" for name in names]
    if here.has("attack_fu_batch_f1"):
        notes.append(
            "batch F1: as in the code of Fu et al. 2022, precision and recall "
            "averaged over mini-batches; to compare with what they publish."
        )
    return notes


COMPLETION = Panel(
    name="completion",
    title="Model completion",
    wants=lambda frame: frame.summary.filter(OF_TRAINED_MODEL).height > 0,
    table=_table,
    notes=_notes,
)
