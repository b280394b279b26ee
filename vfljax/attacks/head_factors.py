"""The equations that the gradient of a network's last dense layer leaves for its batch.

With δ_b = p_b − e_y and the layer's inputs h_b, its weights' gradient is
G = (1/B) Σ_b δ_b h_bᵀ and its bias' g = (1/B) Σ_b δ_b. A further input that is always t
makes one matrix of both, [G, t·g] = U S Vᵀ of rank B. Every sample has coordinates,
h_b = V a_b and δ_b = U x_b, of which follows for each sample, and each pair of them,

    (I − U Uᵀ) δ_b = 0,    (V a_b)_constant = t,    a_b S⁻¹ x_b' = B · [b = b'].

The first says that the message lies in the span of the gradient. The second removes one
unknown. The third, A S⁻¹ Xᵀ = B·I, is the factorization itself; for one sample it says
that its share in the gradient is 1/B, and it leaves no solution with δ = 0. A group of
k samples has k(n − 1 − B) + k² equations for k(B − 1) unknowns: one sample alone is
determined for 2B ≤ n + 1, the whole batch for B ≤ n.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from vfljax._checks import require
from vfljax.protocol import UpdateView, check_update, head_of

_LOUDER = 3.0  # than the loudest noise is a singular value of the batch
_PAIRING_WEIGHT = 0.1  # of the third equation: S⁻¹ makes it large far from a solution
_SOFTEST, _SHARPEST = -1.0, 2.0  # logarithm of the spread of logits drawn as starts
_START_RIDGE = 1e-3  # of the fit of coordinates to drawn logits, relative
FIRST_DAMPING, LESS_DAMPING, MORE_DAMPING = 1e-2, 0.25, 3.0


class HeadFactors(NamedTuple):
    """A gradient [G, t·g] in its own coordinates.

    Beyond its rank values are one, and columns of the other factors zero.

    Attributes:
        left: U.
        values: S.
        right: V, the constant input in the last row.
        logits: Logits of a sample are `logits @ a`.
        origin: The shortest a whose constant input is t.
        basis: Orthonormal directions that leave the constant input alone.
        is_live: Which columns are within the rank.
        noise: Standard deviation of what rounding or a defense added to an entry of the
            gradient, as measured where the batch itself has nothing.
        own_noise: The same within the span of V, where the rounding of messages, of the
            size of a probability's last digit, is seen as well.
        scale: t, the norm of a typical input.
        batch_size: B.
    """

    left: Float[Array, "n rank"]
    values: Float[Array, " rank"]
    right: Float[Array, "inputs rank"]
    logits: Float[Array, "n rank"]
    origin: Float[Array, " rank"]
    basis: Float[Array, "rank free"]
    is_live: Bool[Array, " rank"]
    noise: Float[Array, ""]
    own_noise: Float[Array, ""]
    scale: Float[Array, ""]
    batch_size: Float[Array, ""]


def check_head(view: UpdateView, layer: str) -> None:
    """Raises a `ValueError` for a view whose gradient these attacks can't factor."""
    check_update(view, layer)
    require(view.num_steps == 1, "num_steps", view.num_steps, "1, a single gradient")
    bias = head_of(view.params, layer)[1]
    allowed = "a dense layer with a bias, whose gradient the equations need"
    require(bias is not None, f"layer {layer!r}: bias", bias, allowed)


def factor_head(view: UpdateView, layer: str) -> HeadFactors:
    """Factors the gradient of the last dense layer, in float64 where that is enabled.

    The rank is the number of singular values, B at most, that are clearly above the
    noise, which all others measure: smaller than B where a sample is there twice.
    """
    wide = jnp.result_type(float)
    (weights, bias), (gradient, of_bias) = (
        [jnp.asarray(array, wide) for array in head_of(tree, layer)]
        for tree in (view.params, view.update)
    )
    batch, (n, d) = view.batch_size, gradient.shape
    scale = jnp.linalg.norm(of_bias @ gradient) / (of_bias @ of_bias)
    joined = jnp.concatenate([gradient, scale * of_bias[:, None]], axis=1)
    left, values, right = jnp.linalg.svd(joined, full_matrices=False)
    width = max(batch, 2)  # with one unknown more than needed for B = 1
    num_rest = (n - batch) * (d + 1 - batch)
    noise = jnp.sqrt(jnp.sum(values[batch:] ** 2) / num_rest)
    noise += jnp.finfo(wide).eps * values[0] / jnp.sqrt(d)
    sent = jnp.asarray(head_of(view.update, layer)[0]).dtype
    own_noise = jnp.finfo(sent).eps * scale / jnp.sqrt(batch)
    loudest = noise * (jnp.sqrt(n) + jnp.sqrt(d + 1))
    is_live = (values > _LOUDER * loudest) & (jnp.arange(len(values)) < batch)
    right = right[:width].T
    joined_weights = jnp.concatenate([weights, bias[:, None] / scale], axis=1)
    return with_frame(
        HeadFactors(
            left=left[:, :width],
            values=values[:width],
            right=right,
            logits=joined_weights @ right,
            origin=values[:width],
            basis=values[None],
            is_live=is_live[:width],
            noise=noise,
            own_noise=jnp.sqrt(noise**2 + own_noise**2),
            scale=scale,
            batch_size=jnp.asarray(batch, wide),
        )
    )


def with_frame(factors: HeadFactors) -> HeadFactors:
    """Clears what is beyond the rank, and solves for the constant input."""
    is_live = factors.is_live
    right = factors.right * is_live[None]
    constant = right[-1]
    length = jnp.linalg.norm(constant)
    # A reflection that takes the first axis to the constant's: its other columns.
    normal = constant / length
    normal = normal.at[0].add(jnp.where(normal[0] < 0, -1.0, 1.0))
    reflection = jnp.eye(len(normal)) - 2.0 * jnp.outer(normal, normal) / (
        normal @ normal
    )
    return factors._replace(
        left=factors.left * is_live[None],
        values=jnp.where(is_live, factors.values, 1.0),
        right=right,
        logits=factors.logits * is_live[None],
        origin=constant * (factors.scale / length**2),
        basis=reflection[:, 1:],
    )


def coordinates(free: Float[Array, "*k free"], factors: HeadFactors) -> Any:
    """The a of samples, given what the constant input leaves free of them."""
    offset = free @ factors.basis.T
    return jnp.broadcast_to(factors.origin, offset.shape) + offset


def messages(
    a: Float[Array, "*k rank"], labels: Int[Array, "*k"], factors: HeadFactors
) -> Float[Array, "*k n"]:
    """δ = p − e_y of samples with coordinates a."""
    logits = a @ factors.logits.T
    return jax.nn.softmax(logits) - jax.nn.one_hot(
        labels, logits.shape[-1], dtype=a.dtype
    )


def embeddings(a: Float[Array, "*k rank"], factors: HeadFactors) -> Any:
    """The layer's inputs of samples with coordinates a."""
    return a @ factors.right[:-1].T


def pairings(a: Any, delta: Any, factors: HeadFactors) -> Any:
    """a_i S⁻¹ x_j / B: the identity, for the samples of the batch."""
    return (a / factors.values[None]) @ (delta @ factors.left).T / factors.batch_size


def group_residual(
    free: Float[Array, "k free"],
    labels: Int[Array, " k"],
    copies: Float[Array, " k"],
    factors: HeadFactors,
) -> Float[Array, " equations"]:
    """What k samples miss of the equations; each is `copies` times in the batch."""
    a = coordinates(free, factors)
    delta = messages(a, labels, factors)
    outside = delta - (delta @ factors.left) @ factors.left.T
    outside /= jnp.linalg.norm(delta, axis=1, keepdims=True)
    linked = copies[None] * pairings(a, delta, factors) - jnp.eye(len(labels))
    return jnp.concatenate([outside.ravel(), _PAIRING_WEIGHT * linked.ravel()])


def noise_score(
    free: Float[Array, "k free"],
    labels: Int[Array, " k"],
    copies: Float[Array, " k"],
    factors: HeadFactors,
) -> Float[Array, ""]:
    """What k samples miss of the equations, each in units of its noise, mean squared.

    Below about one for samples of the batch, however small their messages are.
    """
    a = coordinates(free, factors)
    delta = messages(a, labels, factors)
    x = delta @ factors.left
    of_x = factors.own_noise * jnp.linalg.norm(x / factors.values[None], axis=1)
    of_a = jnp.linalg.norm(a / factors.values[None], axis=1) / factors.batch_size
    outside = (delta - x @ factors.left.T) / of_x[:, None]
    linked = copies[None] * pairings(a, delta, factors) - jnp.eye(len(labels))
    linked /= of_a[:, None] * of_x[None]
    n, rank = factors.left.shape[0], jnp.sum(factors.is_live)
    surplus = len(labels) * (n - 2 * rank + len(labels))
    total = jnp.sum(outside**2) + jnp.sum(linked**2)
    return total / jnp.maximum(surplus, 1)


def deflate(
    labels: Int[Array, " k"],
    free: Float[Array, "k free"],
    copies: Float[Array, " k"],
    factors: HeadFactors,
    width: int,
) -> tuple[HeadFactors, Float[Array, "rank width"]]:
    """The gradient without some samples, whose rank is smaller, in `width` coordinates.

    Those with `copies` 0 stay. Coordinates in the new frame times the transposed matrix
    are those in the old one.
    """
    a = coordinates(free, factors) * factors.is_live[None]
    x = messages(a, labels, factors) @ factors.left
    core = jnp.diag(factors.values * factors.is_live)
    core -= (x * copies[:, None]).T @ a / factors.batch_size
    left, values, right = jnp.linalg.svd(core)
    turn = right[:width].T
    rank = jnp.sum(factors.is_live) - jnp.sum(copies > 0)
    smaller = factors._replace(
        left=factors.left @ left[:, :width],
        values=values[:width],
        right=factors.right @ turn,
        logits=factors.logits @ turn,
        is_live=jnp.arange(width) < rank,
    )
    return with_frame(smaller), turn


class Descent(NamedTuple):
    """Levenberg–Marquardt: the best point so far, and what the next step needs."""

    point: Float[Array, " unknowns"]
    residual: Float[Array, " equations"]
    damping: Float[Array, ""]

    @property
    def loss(self) -> Float[Array, ""]:
        """Squared norm of the residual."""
        return self.residual @ self.residual


def descend(
    residual_fn: Callable[[Float[Array, " unknowns"]], Float[Array, " equations"]],
    start: Float[Array, " unknowns"],
    num_iterations: int,
) -> Descent:
    """Minimizes a sum of squares; a step that makes it larger is not taken."""
    jacobian_fn = jax.jacfwd(residual_fn)

    def step(state, _):
        jacobian = jacobian_fn(state.point)
        matrix = jacobian.T @ jacobian
        diagonal = jnp.diagonal(matrix)
        diagonal += 1e-12 * jnp.max(diagonal) + jnp.finfo(start.dtype).tiny
        move = jnp.linalg.solve(
            matrix + jnp.diag(state.damping * diagonal), jacobian.T @ state.residual
        )
        point = state.point - move
        residual = residual_fn(point)
        is_better = residual @ residual < state.loss  # not for a NaN
        factor = jnp.where(is_better, LESS_DAMPING, MORE_DAMPING)
        return Descent(
            jnp.where(is_better, point, state.point),
            jnp.where(is_better, residual, state.residual),
            state.damping * factor,
        ), None

    first = Descent(start, residual_fn(start), jnp.asarray(FIRST_DAMPING, start.dtype))
    return jax.lax.scan(step, first, length=num_iterations)[0]


def draw_starts(
    key: Key[Array, ""], labels: Int[Array, "*k"], factors: HeadFactors, spread: Any
) -> Float[Array, "*k free"]:
    """Points from which samples of given labels are searched.

    Half of them lie around the shortest typical input, at `spread` to e⁻² times as much
    of its norm. The others fit logits drawn in a wide range of confidence, as trained
    networks have.
    """
    rank, free = factors.basis.shape
    key_near, key_spread, key_logits, key_label, key_kind = jax.random.split(key, 5)
    near = jax.random.normal(key_near, (*labels.shape, free))
    key_near, key_logits_spread = jax.random.split(key_spread)
    narrower = jax.random.uniform(key_near, (*labels.shape[:-1], 1, 1), minval=-2.0)
    near *= spread * jnp.exp(narrower) * factors.scale / jnp.sqrt(rank)
    n = factors.logits.shape[0]
    exponent = jax.random.uniform(
        key_logits_spread, (*labels.shape, 1), minval=_SOFTEST, maxval=_SHARPEST
    )
    of_label = jax.random.uniform(
        key_label, (*labels.shape, 1), minval=2 * _SOFTEST, maxval=2 * _SHARPEST
    )
    drawn = jax.random.normal(key_logits, (*labels.shape, n))
    drawn += of_label * jax.nn.one_hot(labels, n)
    drawn *= jnp.exp(exponent)
    centered = factors.logits - jnp.mean(factors.logits, axis=0, keepdims=True)
    missing = drawn - jnp.mean(drawn, axis=-1, keepdims=True)
    missing -= jnp.broadcast_to(centered @ factors.origin, missing.shape)
    slopes = centered @ factors.basis
    matrix = slopes.T @ slopes
    matrix += _START_RIDGE * jnp.trace(matrix) / rank * jnp.eye(free)
    fitted = missing @ jnp.linalg.solve(matrix, slopes.T).T
    is_near = jax.random.bernoulli(key_kind, 0.5, (*labels.shape[:-1], 1, 1))
    return jnp.where(is_near, near, fitted)
