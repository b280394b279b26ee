"""The class of each sample of a batch."""

import functools
from typing import Any

import numpy as np

from vfljax._checks import require
from vfljax.goals import metrics
from vfljax.goals.base import Goal, Truth


def score_labels(answer: Any, truth: Truth, with_confusion: bool) -> dict[str, Any]:
    """Rates over the samples whose labels the adversary was not given.

    `attack_accuracy` and `published_accuracy` by identity; `matched_accuracy` up to a
    renaming of the classes and `mutual_information`, each beside what blind guesses
    get; `auc` of two classes.
    """
    given, expected = np.shape(answer.labels), np.shape(truth.labels)
    allowed = f"{expected}, one label for each sample"
    require(given == expected, "labels.shape of the attack's answer", given, allowed)
    counts = ~truth.is_known
    labels, true = answer.labels[counts], truth.labels[counts]
    num_classes = truth.num_classes
    chance = _chance_levels(true.tobytes(), true.dtype.str, num_classes)
    margin = None
    if answer.scores.shape[1:] == (2,):
        margin = (answer.scores[:, 1] - answer.scores[:, 0])[counts]
    scored: dict[str, Any] = {
        "attack_accuracy": float(np.mean(labels == true)),
        "published_accuracy": None,
        "matched_accuracy": metrics.matched_accuracy(labels, true, num_classes),
        "matched_chance": chance.matched_accuracy,
        "mutual_information": metrics.mutual_information(labels, true, num_classes),
        "mutual_information_chance": chance.mutual_information,
        "auc": None if margin is None else metrics.auc(margin, true),
    }
    published = answer.published_labels
    if published is not None:
        published = published[counts]
        scored["published_accuracy"] = float(np.mean(published == true))
    if with_confusion:
        for name, found in (("confusion", labels), ("published_confusion", published)):
            if found is not None:
                matrix = metrics.confusion(found, true, num_classes)
                scored[name] = matrix.reshape(-1).tolist()
    return scored


@functools.lru_cache(maxsize=4096)
def _chance_levels(truth, dtype, num_classes):
    return metrics.chance_levels(np.frombuffer(truth, dtype), num_classes)


LABELS = Goal("labels", score_labels, "labels of the batch")
