"""Which records were in the training data."""

from typing import Any

import numpy as np

from vfljax._checks import require
from vfljax.goals.base import Goal, Truth


def score_membership(answer: Any, truth: Truth, with_confusion: bool) -> dict[str, Any]:
    """How well members are told from others.

    The truth's `labels` are 1 for members and 0 for others. `precision` is the share of
    members among the records that are called so, None where none is;
    `chance_precision` that among all records, what calling all of them members has.
    `recall` is the share of the members that are called so, None where there is none.
    `attack_accuracy` is the share of records of which the answer is right; chance is
    always giving the more frequent one.
    """
    given, expected = np.shape(answer.is_member), np.shape(truth.labels)
    allowed = f"{expected}, one answer for each record"
    require(given == expected, "is_member.shape of the attack's answer", given, allowed)
    called, true = np.asarray(answer.is_member), np.asarray(truth.labels) == 1
    hits, share = float(np.sum(called & true)), float(np.mean(true))
    return {
        "attack_accuracy": float(np.mean(called == true)),
        "chance_accuracy": max(share, 1 - share),
        "precision": float(hits / called.sum()) if called.any() else None,
        "chance_precision": share,
        "recall": float(hits / true.sum()) if true.any() else None,
    }


MEMBERSHIP = Goal(
    *("membership", score_membership, "memberships", "is_member"), wants=("members",)
)
