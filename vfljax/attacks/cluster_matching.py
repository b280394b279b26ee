"""Cluster the recovered messages: class by class, whatever the labels are called.

A label encoder gives each class one fixed code ỹ (Zou et al. 2022,
https://arxiv.org/abs/2112.05409, section 6). It hides the names of the classes. But a
message is B·u = S − ỹ, so the rows of one class lie together once the softmax S, which
differs from sample to sample, is taken out as far as the adversary knows it:

    x_i = B·u_i − softmax(H^p_i).

k-means with one cluster per class finds the classes, and a single sample of known label
in each names them.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from vfljax.attacks.base import Inference, inference_from_scores
from vfljax.protocol import BatchGradientView, SampleGradientView, check_view


class ClusterInfo(NamedTuple):
    """Diagnostics.

    Attributes:
        inertia: Mean squared distance of a row to its center, of the best start.
        centers: One row per cluster; cluster c has been named c.
    """

    inertia: Float[Array, ""]
    centers: Float[Array, "classes classes"]


def cluster_matching(
    key: Key[Array, ""],
    view: BatchGradientView | SampleGradientView,
    recovered: Float[Array, "batch classes"],
    known_labels: Int[Array, " batch"] | None = None,
    *,
    restarts: int = 8,
    iterations: int = 50,
) -> Inference:
    """Infers labels by clustering recovered messages.

    Args:
        key: For the starts.
        view: Of either protocol.
        recovered: −B·u, the scores of `linear_recovery` or `direct_inference`.
        known_labels: The labels that the adversary knows, −1 for the others. `None` or
            all −1: clusters keep arbitrary names, and only metrics up to a permutation
            of the classes apply (`metrics.matched_accuracy`). Clusters and classes are
            matched one to one, so that the known rows are nearest to the centers of
            their classes on the whole; a class without known row gets what is left.
        restarts: Starts of k-means by k-means++ (Arthur and Vassilvitskii 2007), >= 1.
            With known labels one more starts from the known rows' means.
        iterations: Of Lloyd's algorithm per start, >= 1.

    Returns:
        `scores` are negative squared distances to the named centers. Known rows have
        the label that is known. The `info` is a `ClusterInfo`.

    Raises:
        ValueError: For an argument outside its range, or shapes that do not fit.
    """
    check_view(view)
    own = jax.nn.softmax(view.model.apply(view.params, view.features))
    if recovered.shape != own.shape:
        raise ValueError(f"recovered: shape {recovered.shape}, must be {own.shape}")
    return cluster_rows(
        key, -recovered - own, known_labels, restarts=restarts, iterations=iterations
    )


def cluster_rows(
    key: Key[Array, ""],
    rows: Float[Array, "batch classes"],
    known_labels: Int[Array, " batch"] | None = None,
    *,
    restarts: int = 8,
    iterations: int = 50,
) -> Inference:
    """The same with the rows x_i in hand; arguments and results as above."""
    for name, value in (("restarts", restarts), ("iterations", iterations)):
        if value < 1:
            raise ValueError(f"{name}={value}: must be >= 1")
    classes = rows.shape[1]
    if known_labels is None:
        known_labels = jnp.full(len(rows), -1)
    is_known = jax.nn.one_hot(known_labels, classes)  # a row of zeros for −1
    starts = jax.vmap(lambda start_key: _spread_out(start_key, rows, classes))(
        jax.random.split(key, restarts)
    )
    from_known = _means(is_known, rows, otherwise=starts[0])
    starts = jnp.concatenate([starts, from_known[None]])
    centers, inertia = jax.vmap(lambda start: _k_means(rows, start, iterations))(starts)
    best = jnp.argmin(jnp.where(jnp.isfinite(inertia), inertia, jnp.inf))
    named = centers[best][_match(centers[best], rows, is_known)]
    scores = -_squared_distances(rows, named)
    inference = inference_from_scores(scores, info=ClusterInfo(inertia[best], named))
    answered = (known_labels >= 0) & (inference.labels >= 0)
    return inference._replace(
        labels=jnp.where(answered, known_labels, inference.labels)
    )


def _k_means(rows, start, iterations):
    """Lloyd's algorithm; an empty cluster stays where it is."""

    def step(centers, _):
        nearest = jnp.argmin(_squared_distances(rows, centers), axis=1)
        return _means(jax.nn.one_hot(nearest, len(centers)), rows, centers), None

    centers, _ = jax.lax.scan(step, start, length=iterations)
    return centers, jnp.mean(jnp.min(_squared_distances(rows, centers), axis=1))


def _spread_out(key, rows, number):
    """k-means++: each center a row, drawn by its squared distance to those before."""
    keys = jax.random.split(key, number)
    first = rows[jax.random.randint(keys[0], (), 0, len(rows))]

    def step(carry, step_key):
        closest, last = carry
        closest = jnp.minimum(closest, jnp.sum((rows - last[None]) ** 2, axis=1))
        # Where all rows are centers already, any row will do.
        log_weight = jnp.log(jnp.where(jnp.sum(closest) > 0, closest, 1.0))
        new = rows[jax.random.categorical(step_key, log_weight)]
        return (closest, new), new

    start = (jnp.full(len(rows), jnp.inf), first)
    _, others = jax.lax.scan(step, start, keys[1:])
    return jnp.concatenate([first[None], others])


def _match(centers, rows, is_known):
    """For each class the cluster that it is matched with, at least total distance."""
    distances = _squared_distances(rows, centers)
    cost = jnp.einsum("bc,bk->ck", is_known, distances)
    cost = cost / jnp.maximum(jnp.sum(is_known, axis=0), 1.0)[:, None]
    of_class, cluster = optax.assignment.hungarian_algorithm(
        jnp.where(jnp.isfinite(cost), cost, 0.0)
    )
    return cluster[jnp.argsort(of_class)]


def _means(memberships, rows, otherwise):
    """Mean row of each cluster (batch, clusters), or its old center if it is empty."""
    counts = jnp.sum(memberships, axis=0)[:, None]
    sums = jnp.matmul(memberships.T, rows, precision="highest")
    return jnp.where(counts > 0, sums / jnp.maximum(counts, 1.0), otherwise)


def _squared_distances(rows, centers):
    return jnp.sum((rows[:, None] - centers[None]) ** 2, axis=2)
