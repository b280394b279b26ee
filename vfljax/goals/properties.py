"""Which watched rounds had samples with a property, and how many."""

from typing import Any

import numpy as np

from vfljax._checks import require
from vfljax.goals import metrics
from vfljax.goals.base import Goal, Truth

_MOST_TELLING = 10


def score_property(answer: Any, truth: Truth, with_confusion: bool) -> dict[str, Any]:
    """How well rounds with the property are told from others, and counted.

    The truth's `labels` are the numbers of the target's samples with the property in
    each round; its fact `batch_size` is how many samples the target has in a round.

    `auc` is over rounds, those with any such sample against those with none; None where
    all rounds are alike. `attack_accuracy` is the mean of two shares: of the rounds
    with the property those that score above .5, and of the others those that do not;
    where all rounds are alike, the one share that there is. Chance is one half.
    `mean_score` is the mean of all scores, cut to [0, 1], by which a property of the
    whole training is told. `count_error` is the mean absolute error of the count as a
    share of the target's samples, and `count_error_chance` that of always answering the
    mean count; None of a method that does not count. A round without an answer counts
    as told wrongly, and as an error of all samples.

    With `with_confusion` also scores and counts round by round: `score_series`,
    `count_series`, and `true_series`, what they should have been; and where the answer
    has an `info` with weights of features, `telling_features`: the numbers of those
    that speak most for the property, the ten with the largest weights in order.
    """
    given, expected = np.shape(answer.scores), np.shape(truth.labels)
    allowed = f"{expected}, one score for each watched round"
    require(given == expected, "scores.shape of the attack's answer", given, allowed)
    scores, counts = np.asarray(answer.scores), np.asarray(answer.counts)
    true, size = np.asarray(truth.labels), float(truth.facts["batch_size"])
    is_there = true > 0
    is_right = np.where(is_there, scores > 0.5, scores <= 0.5)  # NaN is never right
    kinds = [is_right[is_there == kind] for kind in (True, False)]
    is_mixed = 0 < is_there.sum() < len(is_there)
    errors = np.abs(counts - true)
    is_counted = not np.all(np.isnan(counts))
    scored: dict[str, Any] = {
        "attack_accuracy": float(np.mean([kind.mean() for kind in kinds if kind.size])),
        "chance_accuracy": 0.5,
        "auc": metrics.auc(scores, is_there.astype(int)) if is_mixed else None,
        "mean_score": float(np.mean(np.clip(scores, 0.0, 1.0))),
        "count_error": None,
        "count_error_chance": None,
    }
    if is_counted:
        errors = np.where(np.isnan(errors), size, errors)
        scored["count_error"] = float(errors.mean() / size)
        spread = np.abs(true.mean() - true).mean()
        scored["count_error_chance"] = float(spread / size)
    if with_confusion:
        scored["score_series"] = _series(scores)
        scored["count_series"] = _series(counts) if is_counted else None
        scored["true_series"] = true.tolist()
        weights = np.asarray(getattr(answer.info, "weights", np.nan))
        if np.all(np.isfinite(weights)):
            largest = np.argsort(-weights, kind="stable")[:_MOST_TELLING]
            scored["telling_features"] = largest.tolist()
    return scored


def _series(values: np.ndarray) -> list[float | None]:
    """Numbers of each round, None where there is none."""
    return [float(value) if np.isfinite(value) else None for value in values]


_WORDS = "rounds with the property and of those without, in the mean"
PROPERTY = Goal(
    *("property", score_property, _WORDS, "scores"),
    wants=("property_counts",),
)
