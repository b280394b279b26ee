"""Every attack in every setting: on messages, on a trained model, for a backdoor."""

import polars as pl

from vfljax.reports.columns import COMPLETION, MESSAGE_ROWS, POINT, SCENE, TRAINED_MODEL
from vfljax.reports.frame import Frame, varying
from vfljax.reports.panels.base import Panel
from vfljax.reports.table import explain, table_of

_VIEW, _ATTACKER = pl.col("view"), ("attack", "known_per_class", "adversary_optimizer")
_TRIALS, _OF_VIEW = ("num_trials", "num_failed"), ("view", "train_step", "protocol")
_LEVELS = ("alone_accuracy", "chance_accuracy", "floor_accuracy")
_RATES = (
    *("attack_accuracy", "chance_accuracy", "auc", "published_accuracy"),
    *("presence_accuracy", "count_accuracy", "matched_accuracy"),
    *("recovered_accuracy", "certified_share", "wrongly_certified"),
    *("precision", "recall", "mean_score", "count_error"),
    *("negative_present", "present_negative", "raw_explained", "corrected_explained"),
    *("mutual_information", "main_accuracy", "main_auc", "floor_accuracy"),
)
_OF_MESSAGES = (*POINT, *_ATTACKER, "knowledge", *_TRIALS, *_RATES)
_OF_MODELS = (
    *(name for name in SCENE if name != "view"),
    *("defense_label", *_ATTACKER, *_TRIALS, *COMPLETION, *_LEVELS),
    *("main_accuracy", "main_top5", "main_f1"),
)
_OF_BACKDOORS = (
    *(name for name in SCENE if name not in _OF_VIEW),
    *("defense_label", "attack", "amplification", *_TRIALS, "attack_accuracy"),
    *("published_accuracy", "chance_accuracy", "main_accuracy", "floor_accuracy"),
    "inferred_accuracy",
)
_HEADINGS = {
    "attack": "backdoor",
    "attack_accuracy": "backdoor %",
    "published_accuracy": "own class included %",
    "chance_accuracy": "without trigger %",
}
_ON_BACKDOORS = [
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
_ON_MODELS = [
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
_BATCH_F1 = (
    "batch F1: as in the code of Fu et al. 2022, precision and recall averaged over "
    "mini-batches; to compare with what they publish."
)


def _of_messages(frame: Frame) -> list[str]:
    """What the columns mean; what is found and its chance, where these are labels."""
    names = _RATES if frame.summary["goal"].null_count() else _RATES[2:]
    return explain(frame, ("goal", *names))


def _of_models(frame: Frame) -> list[str]:
    """What the columns mean, one note per idea that the rows need."""
    optimizers = varying(frame.summary, ("adversary_optimizer",))
    explained = explain(frame, ("known_per_class", *optimizers, *_LEVELS))
    batch_f1 = [_BATCH_F1] * frame.has("attack_fu_batch_f1")
    return [*_ON_MODELS, *explained, *batch_f1]


ALL_ATTACKS = Panel(
    name="all_attacks",
    title="All attacks",
    about=~_VIEW.is_in([TRAINED_MODEL, MESSAGE_ROWS]),
    table=table_of((*_OF_MESSAGES, "seconds")),
    notes=_of_messages,
)
COMPLETION_PANEL = Panel(
    name="completion",
    title="Model completion",
    about=_VIEW == TRAINED_MODEL,
    table=table_of(_OF_MODELS, {"attack_accuracy": "train % last"}),
    notes=_of_models,
)
BACKDOORS = Panel(
    name="backdoors",
    title="Backdoors",
    about=_VIEW == MESSAGE_ROWS,
    table=table_of(_OF_BACKDOORS, _HEADINGS),
    notes=lambda frame: _ON_BACKDOORS,
)
