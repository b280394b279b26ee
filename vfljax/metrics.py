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
from jaxtyping import Array, Float, Int
from scipy.optimize import linear_sum_assignment

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


def chance_accuracy(class_counts: Int[Array, " classes"]) -> Float[Array, ""]:
    """Accuracy to expect from always naming the most frequent class, in [1/C, 1].

    What an adversary reaches who knows how frequent the classes are among all samples
    and sees nothing of the batch.

    Args:
        class_counts: How many samples of the training set each class in play has.
    """
    return jnp.max(class_counts) / jnp.sum(class_counts)


def confusion(
    labels: Int[np.ndarray, " batch"],
    truth: Int[np.ndarray, " batch"],
    num_classes: int,
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


def matched_accuracy(
    labels: Int[np.ndarray, " batch"],
    truth: Int[np.ndarray, " batch"],
    num_classes: int,
) -> float:
    """Accuracy after the best one-to-one renaming of the inferred classes, in [0, 1].

    Kuhn (1955), the Hungarian method, on the confusion matrix. 1 means that the classes
    are found and only their names are not. "No answer" never counts.

    Example:
        >>> matched_accuracy(np.array([1, 1, 0]), np.array([0, 0, 1]), num_classes=2)
        1.0
    """
    counts = confusion(labels, truth, num_classes)
    return float(counts[linear_sum_assignment(-counts)].sum() / len(truth))


def mutual_information(
    labels: Int[np.ndarray, " batch"],
    truth: Int[np.ndarray, " batch"],
    num_classes: int,
) -> float:
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


def chance_levels(
    truth: Int[np.ndarray, " batch"], num_classes: int, seed: int = 0
) -> ChanceLevels:
    """Simulates blind guesses about a batch: uniform ones, 32 times.

    Always naming one class is another blind guess, and the better one under a renaming
    where a class has most of the batch: the matched level is the higher of the two.

    Args:
        truth: Labels of the batch.
        num_classes: C.
        seed: Of the guesses.
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
