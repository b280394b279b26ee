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
    """
    given, num_classes = np.shape(answer.counts), truth.num_classes
    allowed = f"({num_classes},), one count for each class"
    is_fit = given == (num_classes,)
    require(is_fit, "counts.shape of the attack's answer", given, allowed)
    true = np.bincount(truth.labels, minlength=num_classes)
    return {
        "attack_accuracy": overlap(answer.counts, true),
        "chance_accuracy": guessed_overlap(tuple(true.tolist())),
        "presence_accuracy": float(np.mean((answer.counts > 0) == (true > 0))),
        "count_accuracy": float(np.mean(answer.counts == true)),
    }


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


LABEL_COUNTS = Goal("label_counts", score_label_counts, "label counts")
