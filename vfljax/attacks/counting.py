"""What attacks that count labels have in common."""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from vfljax._checks import require
from vfljax.attacks.base import Attack, CountInference
from vfljax.goals import LABEL_COUNTS, Goal
from vfljax.known import Known
from vfljax.protocol import UpdateView, check_update, head_of, inputs_of_head

_PART_SIZE = 50  # auxiliary samples at once, few enough for a processor's cache
_RIDGE = 1e-6  # relative to the longest column, so that equal columns are no trouble
_BLOCK_ROWS = 256  # of a QR decomposition
_GAIN = 1e-6  # below which a class stays out; gains are 1 at the start


@dataclasses.dataclass(frozen=True, kw_only=True)
class CountAttack(Attack):
    """An attack that counts the labels behind an update by the network's last layer."""

    layer: str = "output"
    """Name of the network's last dense layer, whose gradient is read."""
    sees: ClassVar[Any] = UpdateView
    goal: ClassVar[Goal] = LABEL_COUNTS


def count_inference(
    estimates: Float[Array, " classes"], total: int, info: Any = ()
) -> CountInference:
    """Rounds estimated counts to whole ones that sum to `total`.

    Without an answer, all zero, where an estimate is not finite.
    """
    is_finite = jnp.all(jnp.isfinite(estimates))
    counts = jnp.where(is_finite, round_counts(estimates, total), 0)
    return CountInference(counts, estimates, is_finite, info)


def round_counts(
    estimates: Float[Array, " classes"], total: int
) -> Int[Array, " classes"]:
    """Whole counts that sum to `total`, by the method of largest remainders.

    Negative estimates count as 0 and the others are scaled to the total first; of equal
    remainders the lowest class comes first. Without a positive estimate all classes
    are as likely.

    Example:
        >>> round_counts(jnp.array([2.6, -0.1, 1.4]), 4)
        Array([3, 0, 1], dtype=int32)
    """
    shares = jnp.maximum(estimates, 0.0)
    is_positive = jnp.sum(shares) > 0
    shares = jnp.where(is_positive, shares, 1.0)
    shares = shares * (total / jnp.sum(shares))
    whole = jnp.floor(shares).astype(jnp.int32)
    is_rounded_up = ranks(whole - shares) < total - jnp.sum(whole)  # largest remainders
    return whole + is_rounded_up.astype(jnp.int32)


def sum_over_auxiliary(
    view: UpdateView, known: Known, layer: str, summands: Callable[..., PyTree[Any]]
) -> PyTree[Any]:
    """Sums over the adversary's own samples, a part at a time, so that memory suffices.

    No backward pass goes through the network.

    Args:
        view: The update, of which the network and its parameters are used.
        known: Has `auxiliary_features` and `auxiliary_labels`.
        layer: Name of the network's last dense layer.
        summands: `summands(one_hot, inputs, probabilities)` to a tree of sums over the
            rows of its arguments: the classes as (batch, classes), all zero in rows
            that don't count; what the last layer is given, (batch, d); the softmax of
            the logits, (batch, classes).

    Returns:
        The sums over all samples.
    """
    features = jnp.asarray(known.auxiliary_features)
    labels = jnp.asarray(known.auxiliary_labels)
    num_samples = len(labels)
    num_parts = -(-num_samples // _PART_SIZE)
    size = -(-num_samples // num_parts)
    rows = jnp.arange(num_parts * size)
    labels = jnp.where(rows < num_samples, labels[rows % num_samples], -1)

    def of_part(rows, labels):
        inputs, probabilities = run_head(view, features[rows % num_samples], layer)
        one_hot = jax.nn.one_hot(labels, view.num_classes)
        return summands(one_hot, inputs, probabilities)

    if num_parts == 1:
        return of_part(rows, labels)
    parts = rows.reshape(num_parts, size), labels.reshape(num_parts, size)
    shapes = jax.eval_shape(of_part, parts[0][0], parts[1][0])
    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

    def add(total, part):
        return jax.tree.map(jnp.add, total, of_part(*part)), None

    return jax.lax.scan(add, zero, parts)[0]


def mean_messages(
    view: UpdateView, known: Known, layer: str, *, of_bias: bool
) -> Float[Array, "classes classes ..."]:
    """What a sample of each class adds on average to B times the gradient.

    Args:
        view: Of which the network and its parameters are used.
        known: Has `auxiliary_features` and `auxiliary_labels`.
        layer: Name of the network's last dense layer.
        of_bias: Whether to the bias's gradient, E[δ | y], or to the kernel's, M_y.

    Returns:
        One array for each class y along the first axis.
    """

    def summands(one_hot, inputs, probabilities):
        messages = probabilities - one_hot
        found = jnp.sum(one_hot, axis=0)
        if of_bias:
            return found, one_hot.T @ messages
        return found, jnp.einsum("by,bi,bk->yik", one_hot, messages, inputs)

    found, total = sum_over_auxiliary(view, known, layer, summands)
    return total / found.reshape(-1, *[1] * (total.ndim - 1))


def run_head(
    view: UpdateView, features: Float[Array, "batch ..."], layer: str
) -> tuple[Float[Array, "batch d"], Float[Array, "batch classes"]]:
    """What the last layer is given for each sample, and the softmax of the logits."""
    inputs = inputs_of_head(view, features, layer)
    kernel, bias = head_of(view.params, layer)
    logits = inputs @ kernel.T
    logits = logits if bias is None else logits + bias[None]
    return inputs, jax.nn.softmax(logits)


def row_sums(view: UpdateView, layer: str) -> Float[Array, " classes"]:
    """The sum of each class's row of the last layer's update."""
    check_update(view, layer)
    return jnp.sum(head_of(view.update, layer)[0], axis=1)


def ranks(values: Float[Array, " values"]) -> Int[Array, " values"]:
    """The place of each in ascending order, from 0; of equal ones the first is lower.

    Example:
        >>> ranks(jnp.array([0.3, 0.1, 0.3]))
        Array([1, 0, 2], dtype=int32)
    """
    return jnp.argsort(jnp.argsort(values, stable=True), stable=True)


def bias_of(view: UpdateView, layer: str) -> Float[Array, " classes"]:
    """The update of the last layer's bias.

    Raises:
        ValueError: If the layer has none.
    """
    bias = head_of(view.update, layer)[1]
    require(bias is not None, "layer", layer, "a dense layer with a bias")
    return bias


def simplex_least_squares(
    columns: Float[Array, "equations classes"], target: Float[Array, " equations"]
) -> Float[Array, " classes"]:
    """The shares q >= 0, Σ q = 1, that minimize ‖columns·q − target‖.

    Exact up to rounding, also for columns that are nearly parallel: first a QR
    decomposition leaves n equations, then an active-set method solves them. It uses
    that q is proportional to the x >= 0 that minimizes ‖(columns − target·1ᵀ)·x‖² +
    (Σ x − 1)²: scaled by t, the terms are t²·r² and (t − 1)², whose smallest sum
    r²/(1 + r²) grows with the residual r.

    Returns:
        The shares; NaN where columns or target are not finite.

    Example:
        >>> columns = jnp.array([[1.0, 0.0, 2.0], [0.0, 1.0, 2.0]])
        >>> shares = simplex_least_squares(columns, jnp.array([0.75, 0.25]))
        >>> [round(float(share), 3) for share in shares]
        [0.75, 0.25, 0.0]
    """
    differences = columns - target[:, None]
    scale = jnp.max(jnp.linalg.norm(differences, axis=0))
    differences = differences / jnp.where(scale > 0, scale, 1.0)
    num_classes = columns.shape[1]
    differences = _triangle(differences)
    ones = jnp.ones((1, num_classes), columns.dtype)
    system = jnp.concatenate([differences, ones])
    answer = jnp.zeros(len(system), columns.dtype).at[-1].set(1.0)
    found = _not_negative_least_squares(system, answer)
    shares = found / jnp.sum(found)
    is_finite = jnp.all(jnp.isfinite(differences))
    return jnp.where(is_finite, shares, jnp.nan)


def _triangle(rows):
    """The factor R of a QR decomposition, of blocks and of their factors in turn.

    A decomposition of thousands of rows at once is slower by orders of magnitude.
    """
    number, width = rows.shape
    size = max(_BLOCK_ROWS, 4 * width)
    while number > size:
        number = -(-number // size)
        missing = number * size - len(rows)
        rows = jnp.concatenate([rows, jnp.zeros((missing, width), rows.dtype)])
        blocks = rows.reshape(number, size, width)
        rows = jax.lax.map(_upper_triangle, blocks).reshape(-1, width)
        number = len(rows)
    return _upper_triangle(rows) if number > width else rows


@jax.custom_batching.sequential_vmap
def _upper_triangle(rows):
    """R of one block. One after the other where there are several: see below."""
    return jnp.linalg.qr(rows, mode="r")


@jax.custom_batching.sequential_vmap
def _not_negative_least_squares(system, answer):
    """Lawson and Hanson (1974): one class enters, or leaves, at a time.

    One system after the other where there are several: batches of factorizations on
    several CPU devices wait for each other for ever.
    """
    num_unknowns = system.shape[1]

    def solve(is_free):
        free = jnp.where(is_free, system, 0.0)
        fixed = jnp.diag(jnp.where(is_free, _RIDGE, 1.0).astype(system.dtype))
        orthogonal, triangle = jnp.linalg.qr(jnp.concatenate([free, fixed]))
        right = orthogonal[: len(system)].T @ answer
        found = jax.scipy.linalg.solve_triangular(triangle, right)
        return jnp.where(is_free, found, 0.0)

    def advance(state):
        found, is_free, _, step = state
        wanted = solve(is_free)
        too_small = is_free & (wanted <= 0)
        ratio = jnp.where(too_small, found / (found - wanted), jnp.inf)
        share = jnp.minimum(jnp.min(ratio), 1.0)
        moved = found + share * (wanted - found)
        leaves = is_free & (ratio <= share)
        moved = jnp.where(leaves, 0.0, moved)
        has_arrived = ~jnp.any(too_small)
        # What a class that is not in would gain; none may enter before arriving.
        gain = system.T @ (answer - system @ moved)
        gain = jnp.where(is_free & ~leaves, -jnp.inf, gain)
        best = jnp.argmax(gain)
        enters = has_arrived & (gain[best] > _GAIN)
        is_free = (is_free & ~leaves) | (enters & (jnp.arange(num_unknowns) == best))
        return moved, is_free, has_arrived & ~enters, step + 1

    def goes_on(state):
        return ~state[2] & (state[3] < 5 * num_unknowns)

    none = jnp.zeros(num_unknowns, bool)
    start = jnp.zeros(num_unknowns, system.dtype), none, jnp.array(False), jnp.array(0)
    return jax.lax.while_loop(goes_on, advance, start)[0]
