"""k-means with named clusters, for attacks that know what a message looks like."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer
from jaxtyping import Array, Float, Int, Key

from vfljax._checks import check_number, require
from vfljax.attacks.base import Inference, inference_from_scores

RESTARTS, ITERATIONS = 8, 50  # defaults of every attack that clusters


class ClusterInfo(NamedTuple):
    """Diagnostics.

    Attributes:
        inertia: Mean squared distance of a row to its center, of the best start.
        centers: One row per cluster; cluster c has been named c.
    """

    inertia: Float[Array, ""]
    centers: Float[Array, "classes classes"]


def cluster_rows(
    key: Key[Array, ""],
    rows: Float[Array, "batch classes"],
    known_labels: Int[Array, " batch"] | None = None,
    *,
    restarts: int = RESTARTS,
    iterations: int = ITERATIONS,
) -> Inference:
    """Infers labels by clustering rows, one cluster per class.

    Args:
        key: For the starts.
        rows: Such as −B·u less what of it differs from sample to sample.
        known_labels: The labels that the adversary knows, −1 for the others. `None` or
            all −1: clusters keep arbitrary names, and only metrics up to a permutation
            of the classes apply (`metrics.matched_accuracy`). Clusters and classes are
            matched one to one, so that the known rows are nearest to the centers of
            their classes on the whole; a class without known row gets what is left,
            and loses a tie against a class with one.
        restarts: Starts of k-means by k-means++ (Arthur and Vassilvitskii 2007), >= 1.
            With known labels one more starts from the known rows' means.
        iterations: Of Lloyd's algorithm per start, >= 1.

    Returns:
        `scores` are negative squared distances to the named centers. Known rows have
        the label that is known. A row with a NaN has no part in the clusters and no
        answer, known or not. The `info` is a `ClusterInfo`.
    """
    check_number("restarts", restarts, low=1)
    check_number("iterations", iterations, low=1)
    classes = rows.shape[1]
    if known_labels is None:
        known_labels = jnp.full(len(rows), -1)
    _check_known(known_labels, rows)
    # A weight of 0 and not a NaN, which would be in every mean.
    weights = jnp.all(jnp.isfinite(rows), axis=1).astype(rows.dtype)
    finite_rows = jnp.where(weights[:, None] > 0, rows, 0.0)
    is_known = weights[:, None] * jax.nn.one_hot(known_labels, classes)  # 0 for −1
    starts = jax.vmap(lambda key: _spread_out(key, finite_rows, weights, classes))(
        jax.random.split(key, restarts)
    )
    from_known = _means(is_known, finite_rows, otherwise=starts[0])
    starts = jnp.concatenate([starts, from_known[None]])
    centers, inertia = jax.vmap(
        lambda start: _k_means(finite_rows, weights, start, iterations)
    )(starts)
    best = jnp.argmin(inertia)
    named = centers[best][_match(centers[best], finite_rows, is_known)]
    scores = -_squared_distances(rows, named)
    inference = inference_from_scores(scores, info=ClusterInfo(inertia[best], named))
    known_first = jnp.argsort(~jnp.any(is_known > 0, axis=0))
    nearest = known_first[jnp.argmax(scores[:, known_first], axis=1)]
    labels = jnp.where(known_labels >= 0, known_labels, nearest)
    return inference._replace(labels=jnp.where(inference.labels >= 0, labels, -1))


def _check_known(known_labels, rows):
    batch, last_class = len(rows), rows.shape[1] - 1
    if known_labels.shape != (batch,):
        shape = known_labels.shape
        raise ValueError(f"known_labels: shape {shape}, must be ({batch},)")
    if not isinstance(known_labels, Tracer):
        values = np.asarray(known_labels)
        is_allowed = np.all((values >= -1) & (values <= last_class))
        allowed = f"in [0, {last_class}], or -1 where not known"
        require(is_allowed, "known_labels", values.tolist(), allowed)


def _k_means(rows, weights, start, iterations):
    """Lloyd's algorithm; an empty cluster stays where it is."""

    def step(centers, _):
        nearest = jnp.argmin(_squared_distances(rows, centers), axis=1)
        memberships = weights[:, None] * jax.nn.one_hot(nearest, len(centers))
        return _means(memberships, rows, centers), None

    centers, _ = jax.lax.scan(step, start, length=iterations)
    closest = jnp.min(_squared_distances(rows, centers), axis=1)
    return centers, jnp.vdot(weights, closest) / jnp.maximum(jnp.sum(weights), 1.0)


def _spread_out(key, rows, weights, number):
    """k-means++: each center a row, drawn by its squared distance to those before."""
    # The arg-max of log chance + Gumbel noise is drawn with that chance.
    gumbel = jax.random.gumbel(key, (number, len(rows)))
    first = rows[jnp.argmax(jnp.log(weights) + gumbel[0])]

    def step(carry, noise):
        closest, last = carry
        closest = jnp.minimum(closest, jnp.sum((rows - last[None]) ** 2, axis=1))
        chance = weights * closest
        # Where all rows are centers already, any row will do.
        chance = jnp.where(jnp.sum(chance) > 0, chance, weights)
        new = rows[jnp.argmax(jnp.log(chance) + noise)]
        return (closest, new), new

    start = (jnp.full(len(rows), jnp.inf), first)
    _, others = jax.lax.scan(step, start, gumbel[1:])
    return jnp.concatenate([first[None], others])


def _match(centers, rows, is_known):
    """For each class the cluster that it is matched with, at least total distance."""
    distances = _squared_distances(rows, centers)
    cost = jnp.einsum("bc,bk->ck", is_known, distances)
    cost = cost / jnp.maximum(jnp.sum(is_known, axis=0), 1.0)[:, None]
    of_class, cluster = optax.assignment.hungarian_algorithm(cost)
    return cluster[jnp.argsort(of_class)]


def _means(memberships, rows, otherwise):
    """Mean row of each cluster (batch, clusters), or its old center if it is empty."""
    counts = jnp.sum(memberships, axis=0)[:, None]
    sums = jnp.matmul(memberships.T, rows, precision="highest")
    return jnp.where(counts > 0, sums / jnp.maximum(counts, 1.0), otherwise)


def _squared_distances(rows, centers):
    return jnp.sum((rows[:, None] - centers[None]) ** 2, axis=2)
