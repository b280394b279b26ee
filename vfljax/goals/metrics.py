"""Comparisons of an inference with the truth; only metrics see both.

An accuracy of 0 % can be full disclosure: a defense that renames the classes makes the
adversary call every sample wrongly and all samples of a class alike. So an inference
is judged by identity (`accuracy`), up to a renaming of the classes
(`matched_accuracy`), and by what it tells about the truth in bits
(`mutual_information`). The last two are above zero for blind guesses too, the more so
the smaller the batch: `chance_levels` says how far.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

from vfljax._checks import require

Classes = Int[np.ndarray, " batch"]
_NUM_GUESSES = 32  # per batch


class ChanceLevels(NamedTuple):
    """What blind guesses get on one batch, on average; each in [0, 1]."""

    matched_accuracy: float
    mutual_information: float


def accuracy(
    labels: Int[Array, " batch"], truth: Int[Array, " batch"]
) -> Float[Array, ""]:
    """Share of equal entries, in [0, 1]. A label of −1 ("no answer") never counts."""
    return jnp.mean((labels == truth).astype(jnp.float32))


def top_k_accuracy(
    scores: Float[Array, "batch classes"], truth: Int[Array, " batch"], k: int
) -> Float[Array, ""]:
    """Share of samples whose class is among the k of highest score, in [0, 1].

    Of equal scores the lower class comes first, as in an arg-max. A row with a NaN or
    infinity is no answer and never counts.

    Raises:
        ValueError: If `k` is not in [1, C].

    Example:
        >>> scores = jnp.array([[0.1, 0.7, 0.2], [0.1, 0.7, 0.2]])
        >>> float(top_k_accuracy(scores, jnp.array([2, 0]), k=2))
        0.5
    """
    classes = scores.shape[1]
    require(1 <= k <= classes, "k", k, f"in [1, {classes}]")
    own = jnp.take_along_axis(scores, truth[:, None], axis=1)
    is_lower = jnp.arange(classes)[None] < truth[:, None]
    num_before = jnp.sum((scores > own) | ((scores == own) & is_lower), axis=1)
    has_answer = jnp.all(jnp.isfinite(scores), axis=1)
    return jnp.mean((has_answer & (num_before < k)).astype(jnp.float32))


def auc(scores: Float[np.ndarray, " batch"], truth: Classes) -> float:
    """Chance that a sample of class 1 scores above one of another class, in [0, 1].

    Mann and Whitney (1947): from the sum of ranks, where equal scores share the mean of
    theirs and so count one half. Li et al. (ICLR 2022) report its mean over batches.

    Returns:
        NaN for a batch without samples of class 1 or with no others, which a mean over
        batches leaves out; NaN too if a score is NaN, which it must not leave out.

    Example:
        >>> auc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([0, 0, 1, 1]))
        0.875
    """
    is_positive = truth == 1
    positives, negatives = is_positive.sum(), (~is_positive).sum()
    if positives == 0 or negatives == 0:
        return float("nan")
    excess = rankdata(scores)[is_positive].sum() - positives * (positives + 1) / 2
    return float(excess / (positives * negatives))


def binary_auc(
    scores: Float[Array, " samples"], is_positive: Bool[Array, " samples"]
) -> Float[Array, ""]:
    """As `auc`, of a task with two classes and as a pure function of JAX.

    Returns:
        NaN without samples of both kinds, or if a score is NaN.

    Example:
        >>> scores = jnp.array([0.1, 0.4, 0.4, 0.9])
        >>> float(binary_auc(scores, jnp.array([False, False, True, True])))
        0.875
    """
    ordered = jnp.sort(scores)
    below = jnp.searchsorted(ordered, scores, side="left")
    not_above = jnp.searchsorted(ordered, scores, side="right")
    ranks = (below + not_above + 1) / 2
    positives = jnp.sum(is_positive)
    pairs = positives * (len(scores) - positives)
    excess = jnp.sum(jnp.where(is_positive, ranks, 0.0))
    excess = excess - positives * (positives + 1) / 2
    is_fit = (pairs > 0) & ~jnp.any(jnp.isnan(scores))
    return jnp.where(is_fit, excess / jnp.maximum(pairs, 1), jnp.nan)


def f1(labels: Classes, truth: Classes, positive: int = 1) -> float:
    """Harmonic mean of precision and recall of class `positive`, in [0, 1].

    0 where no sample is of that class and none is inferred to be. "No answer" (−1) is
    an answer for another class.

    Example:
        >>> f1(np.array([1, 1, 0, 0]), np.array([1, 0, 1, 0]))
        0.5
    """
    hits = np.sum((labels == positive) & (truth == positive))
    named = np.sum(labels == positive) + np.sum(truth == positive)
    return float(2 * hits / max(named, 1))


def fu_batch_f1(labels: Classes, truth: Classes, batch_size: int) -> float:
    """F1 of class 1 as the released code of Fu et al. (2022) computes it, in [0, 1].

    To compare with what they publish, not to judge by. Precision and recall are taken
    on mini-batches in the given order, as 0 where they are 0/0, averaged with the sizes
    of the batches as weights, and put together only then. In a batch where nothing is
    inferred to be of class 1, everything is taken to be: always answering 0 has the F1
    of always answering 1. Classes are 0 and 1; −1, "no answer", is as good as 0.

    Args:
        labels: Inferred classes.
        truth: True classes.
        batch_size: At evaluation, >= 1; the last batch may be smaller.

    Raises:
        ValueError: If `batch_size` is smaller.

    Example:
        >>> fu_batch_f1(np.array([0, 0, 0, 0]), np.array([1, 0, 0, 1]), batch_size=4)
        0.6666666666666666
    """
    require(batch_size >= 1, "batch_size", batch_size, ">= 1")
    precision, recall = 0.0, 0.0
    for start in range(0, len(truth), batch_size):
        is_positive = truth[start : start + batch_size] == 1
        is_named = labels[start : start + batch_size] == 1
        if not is_named.any():
            is_named = np.ones_like(is_named)
        hits = np.sum(is_positive & is_named)
        share = len(is_positive) / len(truth)
        precision += share * hits / is_named.sum()
        recall += share * hits / max(is_positive.sum(), 1)
    if precision + recall == 0:
        return 0.0
    return float(2 * precision * recall / (precision + recall))


def chance_accuracy(class_counts: Int[Array, " classes"]) -> Float[Array, ""]:
    """Accuracy to expect from always naming the most frequent class, in [1/C, 1].

    What an adversary reaches who knows how frequent the classes are among all samples
    and sees nothing of the batch. Counts are those of the training set.

    It bounds an attack that clusters and is given some samples per class to name the
    clusters by, too (`attacks.cluster_matching`; the given samples are not counted). If
    the messages say nothing, a cluster is a random part of the other samples whatever
    its name is. Named c, it is right in a share q_c, the frequency of class c, and with
    shares s_c of the samples in the clusters Σ s_c·q_c <= max_c q_c are right. That is
    1/C where classes are equally frequent, so no simulation is needed.
    """
    return jnp.max(class_counts) / jnp.sum(class_counts)


def confusion(
    labels: Classes, truth: Classes, num_classes: int
) -> Int[np.ndarray, "classes classes"]:
    """Counts by true class (row) and inferred class; "no answer" (−1) is left out.

    Example:
        >>> confusion(np.array([1, 1, -1]), np.array([1, 0, 0]), num_classes=2)
        array([[0, 1],
               [0, 1]])
    """
    has_answer = labels >= 0
    flat = truth[has_answer] * num_classes + labels[has_answer]
    counts = np.bincount(flat, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def matched_accuracy(labels: Classes, truth: Classes, num_classes: int) -> float:
    """Accuracy after the best one-to-one renaming of the inferred classes, in [0, 1].

    Kuhn (1955), the Hungarian method, on the confusion matrix. 1 means that the classes
    are found and only their names are not. "No answer" never counts.

    Example:
        >>> matched_accuracy(np.array([1, 1, 0]), np.array([0, 0, 1]), num_classes=2)
        1.0
    """
    counts = confusion(labels, truth, num_classes)
    return float(counts[linear_sum_assignment(-counts)].sum() / len(truth))


def mutual_information(labels: Classes, truth: Classes, num_classes: int) -> float:
    """Mutual information over the mean of the two entropies, in [0, 1].

    1 if each is a function of the other, 0 if they are independent in the batch or one
    of them is constant; also 1 if both are constant, like scikit-learn's
    `normalized_mutual_info_score`. "No answer" counts as a class of its own.
    """
    counts = confusion(labels + 1, truth + 1, num_classes + 1)
    joint = counts / counts.sum()
    of_truth, of_labels = joint.sum(axis=1), joint.sum(axis=0)
    total = _entropy(of_truth) + _entropy(of_labels)
    if total == 0:
        return 1.0
    shared = total - _entropy(joint.reshape(-1))
    return float(np.clip(2.0 * shared / total, 0.0, 1.0))


def chance_levels(truth: Classes, num_classes: int, seed: int = 0) -> ChanceLevels:
    """Simulates blind guesses about a batch: uniform ones, 32 times.

    Always naming one class is another blind guess, and the better one under a renaming
    where a class has most of the batch: the matched level is the higher of the two.
    """
    rng = np.random.default_rng(seed)
    guesses = rng.integers(0, num_classes, (_NUM_GUESSES, len(truth)))
    matched = [matched_accuracy(guess, truth, num_classes) for guess in guesses]
    shared = [mutual_information(guess, truth, num_classes) for guess in guesses]
    constant = np.bincount(truth).max() / len(truth)
    return ChanceLevels(
        matched_accuracy=float(max(np.mean(matched), constant)),
        mutual_information=float(np.mean(shared)),
    )


def _entropy(probabilities):
    positive = probabilities[probabilities > 0]
    return float(-np.sum(positive * np.log(positive)))
