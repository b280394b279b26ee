"""Label and embedding of every single sample behind an update."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment

from vfljax.goals.base import Goal, Truth
from vfljax.goals.label_counts import score_label_counts

_TOLERANCE = 0.05  # relative error of an embedding that counts as recovered


def score_samples(answer: Any, truth: Truth, with_confusion: bool) -> dict[str, Any]:
    """As for label counts, and how many samples are recovered one by one.

    `recovered_accuracy` is the share of samples of which an answer has the label and
    the embedding, up to a twentieth of its norm, each answer used once.
    `certified_share` is the share of samples that the attack calls certain, and
    `wrongly_certified` the share of all samples that it calls certain and of which that
    is not true. The answer's `info` has `labels` (samples,), `embeddings` (samples, d)
    and `certified` (samples,); the facts have `head_inputs` (samples, d), the truth.
    """
    info = answer.info
    is_right = match(
        np.asarray(info.embeddings),
        np.asarray(info.labels),
        np.asarray(truth.facts["head_inputs"]),
        truth.labels,
    )
    certified = np.asarray(info.certified)
    return score_label_counts(answer, truth, with_confusion) | {
        "recovered_accuracy": float(is_right.sum() / len(truth.labels)),
        "certified_share": float(certified.sum() / len(truth.labels)),
        "wrongly_certified": float((certified & ~is_right).sum() / len(truth.labels)),
    }


def match(
    embeddings: Float[np.ndarray, "answers d"],
    labels: Int[np.ndarray, " answers"],
    true_embeddings: Float[np.ndarray, "samples d"],
    true_labels: Int[np.ndarray, " samples"],
) -> np.ndarray:
    """Which answers are right, in the best one-to-one assignment to true samples."""
    gaps = embeddings[:, None, :] - true_embeddings[None, :, :]
    errors = np.linalg.norm(gaps, axis=2) / np.linalg.norm(true_embeddings, axis=1)
    is_same = labels[:, None] == true_labels[None, :]
    fits = is_same & (np.nan_to_num(errors, nan=np.inf) < _TOLERANCE)
    answers, samples = linear_sum_assignment(~fits)
    is_right = np.zeros(len(labels), bool)
    is_right[answers] = fits[answers, samples]
    return is_right


SAMPLES = Goal(
    "samples", score_samples, "label counts", "counts", wants=("head_inputs",)
)
