"""How many samples of each class are behind an update."""

import functools
from typing import Any

import numpy as np
from scipy.stats import binom

from vfljax._checks import require
from vfljax.goals.base import Goal, Truth


def score_label_counts(
    answer: Any, truth: Truth, with_confusion: bool
) -> dict[str, Any]:
    """How well inferred label counts agree with the true ones.

    `attack_accuracy` is the attack success rate of Wainakh et al. (2022), the overlap
    of the two histograms; `chance_accuracy` what as many uniform guesses get of it.
    `presence_accuracy` is the share of classes whose presence is told rightly (LeAcc
    of iLRG, ICLR 2023), `count_accuracy` that of classes whose count is (LnAcc).

    Of an answer whose `info` has row sums, `raw` and `corrected` for their offset, also
    what these say about the two properties that LLG rests on: see `_evidence`.
    """
    given, num_classes = np.shape(answer.counts), truth.num_classes
    allowed = f"({num_classes},), one count for each class"
    is_fit = given == (num_classes,)
    require(is_fit, "counts.shape of the attack's answer", given, allowed)
    is_fit, allowed = bool(np.all(answer.counts >= 0)), "whole numbers >= 0"
    require(is_fit, "counts of the attack's answer", answer.counts.tolist(), allowed)
    true = np.bincount(truth.labels, minlength=num_classes)
    return {
        "attack_accuracy": overlap(answer.counts, true),
        "chance_accuracy": guessed_overlap(tuple(true.tolist())),
        "presence_accuracy": float(np.mean((answer.counts > 0) == (true > 0))),
        "count_accuracy": float(np.mean(answer.counts == true)),
        **_evidence(answer.info, true),
    }


def _evidence(info: Any, true: np.ndarray) -> dict[str, Any]:
    """Signs and sizes of row sums against the true counts, as shares in [0, 1].

    `negative_present`: of the classes with a negative sum those that are present, all
    by property 1; `present_negative`: of the present classes those with a negative sum.
    `raw_explained` and `corrected_explained`: squared correlation of counts and sums,
    property 2. None where there is no such class, or a variance is zero.
    """
    if not hasattr(info, "corrected"):
        return {}
    is_negative, is_present = np.asarray(info.raw) < 0, true > 0
    both = float(np.sum(is_negative & is_present))
    return {
        "negative_present": both / is_negative.sum() if is_negative.any() else None,
        "present_negative": both / is_present.sum(),
        "raw_explained": _explained(info.raw, true),
        "corrected_explained": _explained(info.corrected, true),
    }


def _explained(sums: np.ndarray, true: np.ndarray) -> float | None:
    """Squared correlation, or None."""
    if np.ptp(true) == 0 or not np.all(np.isfinite(sums)) or np.ptp(sums) == 0:
        return None
    return float(np.corrcoef(sums, true)[0, 1] ** 2)


def overlap(counts: np.ndarray, true: np.ndarray) -> float:
    """Σ_i min(λ_i, λ̂_i)/N in [0, 1]; N is the longer one's number of labels.

    Wainakh et al. (2022), attack success rate; symmetric, and 1 for equal counts alone.

    Example:
        >>> overlap(np.array([2, 0, 2]), np.array([1, 1, 2]))
        0.75
    """
    total = max(int(np.sum(counts)), int(np.sum(true)))
    return float(np.minimum(counts, true).sum() / total)


@functools.lru_cache(maxsize=4096)
def guessed_overlap(true: tuple[int, ...]) -> float:
    """The overlap to expect from N labels drawn uniformly over the classes, exactly.

    The number of guesses for a class is binomial, and E min(λ, X) = Σ_t P(X ≥ t) for
    t = 1, ..., λ.

    Example:
        >>> guessed_overlap((1, 1))  # two guesses in four hit both
        0.75
    """
    total = sum(true)
    tails = binom.sf(np.arange(max(true)), total, 1.0 / len(true))  # P(X > t)
    return float(sum(tails[:count].sum() for count in true) / total)


LABEL_COUNTS = Goal("label_counts", score_label_counts, "label counts", "counts")
