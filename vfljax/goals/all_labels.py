"""The class of every training sample, from a trained model."""

from typing import Any

import numpy as np

from vfljax.goals import metrics
from vfljax.goals.base import Goal, Truth
from vfljax.goals.labels import score_labels

_FU_BATCH = 160  # of the released evaluation


def score_all_labels(answer: Any, truth: Truth, with_confusion: bool) -> dict[str, Any]:
    """As for the labels of a batch, and rates of test samples and of the best epoch.

    Of an answer whose `info` has `ranks` (epochs, samples, ranks) and `other_ranks`,
    those of test samples, best first: rates after the last epoch, and after the best
    one by the truth (`best_`), which is the published convention, an oracle. Samples
    with known labels count in none.
    """
    scored = score_labels(answer, truth, with_confusion)
    if not hasattr(answer.info, "ranks"):
        return scored
    counts = ~truth.is_known
    labels, ranks = truth.labels[counts], answer.info.ranks[:, counts]
    best = int(np.argmax(np.mean(ranks[:, :, 0] == labels, axis=1)))
    judged = [("", ranks, labels)]
    if answer.info.other_ranks.shape[1]:
        judged.append(("test_", answer.info.other_ranks, truth.test_labels))
    for prefix, of_epochs, true in judged:
        for when, epoch in (("", -1), ("best_", best)):
            rates = _rates(of_epochs[epoch], true, truth.num_classes)
            for name, value in rates.items():
                # The last epoch's is there: it is decided by scores, as any attack's.
                scored.setdefault(f"{when}{prefix}attack_{name}", value)
    return scored


def _rates(ranks, truth, num_classes):
    """Top-1, and what else is usual for so many classes."""
    rates = {"accuracy": float(np.mean(ranks[:, 0] == truth))}
    if num_classes > 5:
        rates["top5"] = float(np.mean(np.any(ranks[:, :5] == truth[:, None], axis=1)))
    if num_classes == 2:
        rates["f1"] = metrics.f1(ranks[:, 0], truth)
        rates["fu_batch_f1"] = metrics.fu_batch_f1(ranks[:, 0], truth, _FU_BATCH)
    return rates


ALL_LABELS = Goal("all_labels", score_all_labels, "labels of the training set")
