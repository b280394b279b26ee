"""Cluster the recovered messages: class by class, whatever the labels are called.

A label encoder gives each class one fixed code ỹ (Zou et al. 2022,
https://arxiv.org/abs/2112.05409, section 6). It hides the names of the classes. But a
message is B·u = S − ỹ, so the rows of one class lie together once the softmax S, which
differs from sample to sample, is taken out as far as the adversary knows it:

    x_i = B·u_i − softmax(H^p_i).

k-means with one cluster per class finds the classes, and a single sample of known label
in each names them.
"""

import dataclasses
from typing import Any, ClassVar

import jax
from jaxtyping import Array, Float, Int, Key

from vfljax.attacks.base import GradientView, Inference, labels_in_words
from vfljax.attacks.clustering import ITERATIONS, RESTARTS, cluster_rows
from vfljax.attacks.reading import ReadsMessages, check_recovered
from vfljax.known import NOTHING, Known
from vfljax.protocol import own_embedding


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClusterMatching(ReadsMessages):
    """Cluster the recovered messages, name the clusters by a few known samples."""

    named_per_class: int = 1
    """Known samples of each class, at random in the batch, at least 0; none of them
    counts as inferred. 0 names nothing: only the rates up to a renaming of the classes
    mean something then."""
    restarts: int = RESTARTS
    """Number of random starts of k-means, at least 1."""
    iterations: int = ITERATIONS
    """Number of iterations of Lloyd's algorithm per start, at least 1."""
    reads = ("labels",)
    ranges: ClassVar = {
        "named_per_class": {"low": 0},
        "restarts": {"low": 1},
        "iterations": {"low": 1},
    }

    @property
    def knowledge(self) -> str | None:
        """What the attack uses besides its view."""
        if self.named_per_class == 0:
            return "that labels are encoded"
        return labels_in_words(self.named_per_class)

    def __call__(self, key, view, known: Known = NOTHING) -> Inference:
        """Infers from one view; clusters have no names where `labels` are not known."""
        options = {"restarts": self.restarts, "iterations": self.iterations}
        recovered = self.recover(key, view, known)
        return cluster_matching(key, view, recovered, known.get("labels"), **options)


def cluster_matching(
    key: Key[Array, ""],
    view: GradientView,
    recovered: Float[Array, "batch classes"],
    known_labels: Int[Array, " batch"] | None = None,
    **options: Any,
) -> Inference:
    """Infers labels by clustering recovered messages.

    Args:
        key: For the starts.
        view: Of either protocol.
        recovered: −B·u, the scores of `linear_recovery` or `direct_inference`.
        known_labels: As in `cluster_rows`.
        options: `restarts` and `iterations` of `cluster_rows`.

    Returns:
        As `cluster_rows`, of the rows x_i.
    """
    check_recovered(view, recovered)
    own = jax.nn.softmax(own_embedding(view))
    return cluster_rows(key, -recovered - own, known_labels, **options)
