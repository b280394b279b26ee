"""From solutions for single samples, or groups of them, to a whole batch."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from vfljax.attacks.head_factors import (
    FIRST_DAMPING,
    LESS_DAMPING,
    MORE_DAMPING,
    HeadFactors,
    coordinates,
    deflate,
    descend,
    draw_starts,
    embeddings,
    group_residual,
    messages,
    noise_score,
    pairings,
)

EXPLAINED = 2.0  # mean squared residual, in units of the noise, of a right batch
_LIKELY = 3.0  # noise score of a sample that is taken for found
_SAME = 0.5  # pairing of two solutions from which on they are one sample
_NEAR = 1e-3  # distance of two solutions that are one, in typical norms
_CHUNK = 256  # descents at a time: bounds the memory


class Groups(NamedTuple):
    """Solutions for groups of k samples, the best first.

    Attributes:
        labels: Classes of the samples.
        free: What the constant input leaves free of their coordinates.
        copies: How often each is in the batch.
        loss: Squared norm of what they miss of the equations.
    """

    labels: Int[Array, "groups k"]
    free: Float[Array, "groups k free"]
    copies: Float[Array, "groups k"]
    loss: Float[Array, " groups"]


class Effort(NamedTuple):
    """How much is tried.

    Attributes:
        num_starts: From each label or set of labels.
        num_first: Iterations of all of them.
        num_iterations: Of those that go on, the first included.
        num_kept: Starts of each set that go on.
        spread: Of starts around the shortest typical input, in norms of it.
    """

    num_starts: int
    num_first: int
    num_iterations: int
    num_kept: int
    spread: float


def solve(
    key: Key[Array, ""],
    label_sets: Int[Array, "sets k"],
    factors: HeadFactors,
    effort: Effort,
) -> Groups:
    """Solves for each set of labels from several starts; the likeliest come first.

    After the first iterations the best starts of each set go on. Where the rank says
    that samples are there more than once, half of the starts count each twice.
    """
    num_starts = effort.num_starts
    labels = jnp.repeat(label_sets, num_starts, axis=0)
    num, k = labels.shape
    start = draw_starts(key, labels, factors, effort.spread)
    is_repeated = jnp.sum(factors.is_live) < factors.batch_size
    is_odd = jnp.arange(num) % 2 == 1
    copies = jnp.where(is_repeated & is_odd, 2.0, 1.0).astype(start.dtype)
    copies = jnp.repeat(copies[:, None], k, axis=1)

    def descend_all(labels, free, copies, num_iterations):
        def one(args):
            labels, free, copies = args

            def residual(flat):
                return group_residual(flat.reshape(free.shape), labels, copies, factors)

            found = descend(residual, free.ravel(), num_iterations)
            return found.point.reshape(free.shape), found.loss

        chunk = _chunk(len(labels))
        free, loss = jax.lax.map(one, (labels, free, copies), batch_size=chunk)
        return Groups(
            labels, free, copies, jnp.where(jnp.isfinite(loss), loss, jnp.inf)
        )

    first = descend_all(labels, start, copies, effort.num_first)
    of_sets = first.loss.reshape(-1, num_starts)
    points = first.free.reshape(*of_sets.shape, -1)
    again = jax.vmap(_is_again, (0, 0, None))(points, of_sets, _NEAR * factors.scale)
    best = jnp.argsort(jnp.where(again, jnp.inf, of_sets), axis=1)
    best = best[:, : effort.num_kept]
    best += num_starts * jnp.arange(len(best))[:, None]
    first = take(first, best.ravel())
    found = descend_all(*first[:3], effort.num_iterations - effort.num_first)
    return ranked(take(found, jnp.argsort(found.loss)), factors)


def _chunk(total):
    """The largest divisor of a number of descents that may be run at a time."""
    return max(size for size in range(1, _CHUNK + 1) if total % size == 0)


def _is_again(points, loss, distance):
    """Which points lie where a better one does."""
    squared = jnp.sum((points[:, None] - points[None]) ** 2, axis=-1)
    is_better = loss[None] < loss[:, None]
    return jnp.any((squared < distance**2) & is_better, axis=1)


def take(groups: Groups, places: Int[Array, " places"]) -> Groups:
    """Some of the groups."""
    return jax.tree.map(lambda leaf: leaf[places], groups)


class Batch(NamedTuple):
    """What is believed about all samples of a batch.

    Attributes:
        labels: Their classes.
        free: What the constant input leaves free of their coordinates.
        copies: How often each is in the batch; 0 for those that only fill up.
    """

    labels: Int[Array, " batch"]
    free: Float[Array, "batch free"]
    copies: Float[Array, " batch"]


def ranked(groups: Groups, factors: HeadFactors) -> Groups:
    """The groups by `noise_score`, which takes the place of their loss."""
    score = jax.vmap(noise_score, (0, 0, 0, None))(
        groups.free, groups.labels, groups.copies, factors
    )
    score = jnp.where(jnp.isfinite(score), score, jnp.inf)
    return take(groups._replace(loss=score), jnp.argsort(score))


def pick(singles: Groups, factors: HeadFactors, num_picks: int) -> Batch:
    """The first solutions for one sample that are not the same, `num_picks` in all.

    None fills up once as many samples are found as there are directions.
    """
    free, labels, copies = singles.free[:, 0], singles.labels[:, 0], singles.copies
    a = coordinates(free, factors)
    paired = pairings(a, messages(a, labels, factors), factors) * copies.T
    both = jnp.minimum(jnp.abs(paired), jnp.abs(paired.T))
    is_same = (both > _SAME) | jnp.eye(len(labels), dtype=bool)
    rank = jnp.sum(factors.is_live)

    def one(is_open, number):
        best = jnp.argmin(jnp.where(is_open, singles.loss, jnp.inf))
        is_found = is_open[best] & (number < rank)
        return is_open & ~is_same[best], (best, is_found)

    is_open = jnp.isfinite(singles.loss)
    _, (best, is_found) = jax.lax.scan(one, is_open, jnp.arange(num_picks))
    return Batch(labels[best], free[best], jnp.where(is_found, copies[best, 0], 0.0))


def believed(batch: Batch, factors: HeadFactors) -> Batch:
    """The samples that the noise explains, each on its own; of others `copies` is 0."""
    score = jax.vmap(noise_score, (0, 0, 0, None))(
        batch.free[:, None], batch.labels[:, None], batch.copies[:, None], factors
    )
    return batch._replace(copies=jnp.where(score < _LIKELY, batch.copies, 0.0))


class Fit(NamedTuple):
    """A batch fitted to its gradient.

    Attributes:
        batch: The samples.
        excess: Mean square of the residual in units of the noise; about 1 if all is
            right.
        residual: Norm of the residual, relative to the gradient's.
        error: Of each sample's embedding, what the noise lets expect, relative.
    """

    batch: Batch
    excess: Float[Array, ""]
    residual: Float[Array, ""]
    error: Float[Array, " batch"]


def misfit(batch: Batch, factors: HeadFactors) -> Float[Array, "n rank"]:
    """(1/B) Σ δ_b a_bᵀ − U S: the gradient's equation itself, in its coordinates."""
    a = coordinates(batch.free, factors)
    delta = messages(a, batch.labels, factors)
    made = (delta * batch.copies[:, None]).T @ a / factors.batch_size
    return (made - factors.left * factors.values[None]) * factors.is_live[None]


def normal_matrix(
    batch: Batch, factors: HeadFactors
) -> tuple[Float[Array, "unknowns unknowns"], Float[Array, " unknowns"]]:
    """JᵀJ and Jᵀr of `misfit`, whose derivative has two terms for each sample.

    With J_b = ∂δ_b/∂a_b, it is J_b da_b a_bᵀ + δ_b da_bᵀ: the products of all pairs of
    samples are one product of matrices.
    """
    a = coordinates(batch.free, factors) * factors.is_live[None]
    delta = messages(a, batch.labels, factors)
    share = batch.copies / factors.batch_size
    residual = misfit(batch, factors)
    basis = factors.basis * factors.is_live[:, None]
    slopes = factors.logits @ basis
    probabilities = delta + jax.nn.one_hot(
        batch.labels, delta.shape[1], dtype=delta.dtype
    )
    mean_slopes = probabilities @ slopes
    tangents = probabilities[:, :, None] * (slopes[None] - mean_slopes[:, None])
    tangents *= share[:, None, None]  # (batch, n, free)
    delta *= share[:, None]
    num, n, free = tangents.shape
    flat = tangents.transpose(1, 0, 2).reshape(n, num * free)
    products = (flat.T @ flat).reshape(num, free, num, free)
    products *= (a @ a.T)[:, None, :, None]
    crossed = jnp.einsum("bnf,cn->bcf", tangents, delta)
    along = a @ basis
    mixed = crossed[:, :, :, None] * along[:, None, None, :]  # b c f g
    products += mixed.transpose(0, 2, 1, 3)
    products += mixed.transpose(1, 3, 0, 2)
    within = basis.T @ basis
    products += (delta @ delta.T)[:, None, :, None] * within[None, :, None, :]
    right = jnp.einsum("bnf,bn->bf", tangents, a @ residual.T)
    right += delta @ residual @ basis
    return products.reshape(num * free, num * free), right.ravel()


def fit(batch: Batch, factors: HeadFactors, num_iterations: int) -> Fit:
    """Fits all samples together, from where they are, and says how well."""

    def step(state, _):
        free, loss, damping = state
        matrix, right = normal_matrix(batch._replace(free=free), factors)
        diagonal = jnp.diagonal(matrix)
        diagonal += 1e-12 * jnp.max(diagonal) + jnp.finfo(free.dtype).tiny
        damped = matrix + jnp.diag(damping * diagonal)
        factor = jax.scipy.linalg.cho_factor(damped, lower=True)
        move = jax.scipy.linalg.cho_solve(factor, right)
        moved = free - move.reshape(free.shape)
        new = jnp.sum(misfit(batch._replace(free=moved), factors) ** 2)
        is_better = new < loss
        return (
            jnp.where(is_better, moved, free),
            jnp.where(is_better, new, loss),
            damping * jnp.where(is_better, LESS_DAMPING, MORE_DAMPING),
        ), None

    loss = jnp.sum(misfit(batch, factors) ** 2)
    start = batch.free, loss, jnp.asarray(FIRST_DAMPING, loss.dtype)
    (free, loss, _), _ = jax.lax.scan(step, start, length=num_iterations)
    batch = batch._replace(free=free)
    return Fit(
        batch=batch,
        excess=loss
        / (factors.own_noise**2 * jnp.maximum(_degrees(batch, factors), 1.0)),
        residual=jnp.sqrt(loss) / jnp.linalg.norm(factors.values * factors.is_live),
        error=_expected_errors(batch, factors),
    )


def is_explained(fit: Fit) -> Bool[Array, ""]:
    """Whether a batch explains its gradient down to the noise."""
    return fit.excess < EXPLAINED


def fit_until_explained(
    key: Key[Array, ""],
    attempt: Callable[[Any, Any, Any], tuple[Any, Fit]],
    carry: Any,
    inputs: PyTree[Any],
) -> Fit:
    """Fits one batch after the other until one explains the gradient.

    Args:
        key: Of all attempts.
        attempt: `attempt(key, carry, input)` to the next attempt's carry and a fit.
        carry: Of the first attempt.
        inputs: One for each attempt, stacked.

    Returns:
        All fits, stacked; those that were not needed explain nothing.
    """

    def one(state, given):
        (is_done, carry), (bits, of_attempt) = state, given

        def run():
            key_here = jax.random.wrap_key_data(bits, impl=implementation)
            after, made = attempt(key_here, carry, of_attempt)
            return (is_explained(made), after), made

        shapes = jax.eval_shape(run)[1]
        return jax.lax.cond(is_done, lambda: (state, _not_made(shapes)), run)

    # Bits of keys: both branches of a mapped condition are given them.
    implementation, number = jax.random.key_impl(key), len(jax.tree.leaves(inputs)[0])
    bits = jax.random.key_data(jax.random.split(key, number))
    return jax.lax.scan(one, (jnp.array(False), carry), (bits, inputs))[1]


def _not_made(shapes):
    """A fit of these shapes by which nothing is explained."""

    def fill(leaf):
        is_number = jnp.issubdtype(leaf.dtype, jnp.floating)
        return jnp.full(leaf.shape, jnp.inf if is_number else 0, leaf.dtype)

    return jax.tree.map(fill, shapes)


def _degrees(batch, factors):
    """Equations less unknowns."""
    rank = jnp.sum(factors.is_live)
    n = factors.left.shape[0]
    return (n - 1) * rank - jnp.sum(batch.copies > 0) * (rank - 1)


def _expected_errors(batch, factors):
    """Relative error of each embedding: within the span of V, and of the span."""
    a = coordinates(batch.free, factors) * factors.is_live[None]
    matrix, _ = normal_matrix(batch, factors)
    diagonal = jnp.diagonal(matrix)
    is_idle = diagonal <= 1e-14 * jnp.max(diagonal)
    scale = jnp.where(is_idle, 1.0, jnp.sqrt(diagonal))
    scaled = matrix / scale[:, None] / scale[None] + jnp.diag(is_idle * 1.0)
    inverse = jnp.linalg.inv(scaled)
    variance = jnp.where(is_idle, 0.0, jnp.diagonal(inverse) / scale**2)
    within = jnp.sum(variance.reshape(batch.free.shape), axis=1)
    num_inputs = factors.right.shape[0]
    beyond = jnp.sum((factors.noise * a / factors.values[None]) ** 2, axis=1)
    length = jnp.linalg.norm(embeddings(a, factors), axis=1)
    within *= factors.own_noise**2
    return jnp.sqrt(within + num_inputs * beyond) / length


def extend(
    key: Key[Array, ""],
    known: Batch,
    factors: HeadFactors,
    effort: Effort,
    *,
    num_samples: int,
    width: int,
) -> Batch:
    """The batch that some samples are part of: solves for the others without them.

    Those of the known ones with `copies` 0 are not taken for known.
    """
    classes = jnp.arange(factors.left.shape[0], dtype=jnp.int32)[:, None]
    smaller, turn = deflate(*known, factors, width)
    singles = solve(key, classes, smaller, effort)
    others = pick(singles, smaller, min(num_samples, width))
    a = coordinates(others.free, smaller) @ turn.T
    offset = a - jnp.broadcast_to(factors.origin, a.shape)
    joined = Batch(
        jnp.concatenate([known.labels, others.labels]),
        jnp.concatenate([known.free, offset @ factors.basis]),
        jnp.concatenate([known.copies, others.copies]),
    )
    filled = jnp.argsort(joined.copies <= 0, stable=True)[:num_samples]
    joined = jax.tree.map(lambda leaf: leaf[filled], joined)
    free = jnp.where(joined.copies[:, None] > 0, joined.free, 0.0)
    return joined._replace(free=free)
