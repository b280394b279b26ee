"""Solve g = Jᵀ u for the message u: conjugate gradients, or exactly in float64.

Both solve the same weighted least-norm problem. The message is written u = A z with a
weight A that says what is known about u, and z is the vector of least
norm with Jᵀ A z = g:

    A J Jᵀ A z = A J g.

A scales the mean of each row by `row_sum_weight`: 0 looks only for rows that sum to
zero, 1 for any rows; in between, row sums are as likely to be off as that weight says.
"""

import dataclasses
from collections.abc import Callable, Collection
from typing import ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
import scipy.linalg
from jaxtyping import Array, Float, Int

from vfljax.attacks.base import Attack, Number, jacobian_of
from vfljax.gradient_map import GradientMap
from vfljax.protocol import BatchGradientView, own_embedding

Solver = Literal["auto", "cg", "exact"]

RIDGE = 1e-12
"""What is added to the matrix at first, relative to its mean diagonal."""
_EXACT_UNKNOWNS = 4608  # B = 512, C = 10: a 170 MB matrix
_EXACT_ENTRIES = 10**8  # of J, where the network is not made of dense layers


@dataclasses.dataclass(frozen=True, kw_only=True)
class SolvesForMessages(Attack):
    """An attack that solves the linear system behind a batch gradient."""

    solver: Solver = "auto"
    """How the system is solved: cg, conjugate gradients in the network's precision, a
    few milliseconds and enough for untrained networks; exact, Cholesky in float64,
    needed for trained networks, whose well-fitted samples have tiny rows that an
    early-stopped solve loses; auto, the exact one up to 4,608 unknowns, one per sample
    and class but one (and 10⁸ entries of J, unless the network is made of dense
    layers), where it takes about a second."""
    iterations: int = 1000
    """Number of conjugate-gradient steps at most, at least 1, of each solve."""
    tolerance: float = 1e-6
    """Share of ‖J g‖, in [0, 1), at which conjugate gradients freeze once the residual
    falls to it, J of what Jᵀu lacks of g: run on, float32 blows up on systems without
    full rank. In any case the iterate with the smallest such residual is kept."""
    layers: tuple[str, ...] | None = None
    """Names of the layers whose gradient is used; None takes all."""
    sees = BatchGradientView
    needs_sum_of_logits = True
    recovers_messages = True
    ranges: ClassVar = {
        "iterations": {"low": 1},
        "tolerance": {"low": 0, "high": 1, "high_excluded": True},
    }


class RecoveryInfo(NamedTuple):
    """Diagnostics of linear recovery.

    Attributes:
        residual: ‖Jᵀ u − g‖ / ‖g‖; large if no message of the assumed form explains
            the gradient, as under a defense that breaks `zero_sum`.
        iterations: Conjugate-gradient steps until it converged; 0 for the exact solver.
        bound_held: Whether B·(C − 1) <= rank(J) (B·C without `zero_sum`), so that the
            solution is unique: 1 yes, 0 no, −1 not known. The exact solver measures
            it; conjugate gradients know only that it fails with fewer parameters.
    """

    residual: Float[Array, ""]
    iterations: Int[Array, ""]
    bound_held: Int[Array, ""]


def choose_solver(view: BatchGradientView, solver: Solver, num_unknowns: int) -> Solver:
    """Resolves `"auto"`: exact wherever it takes no more than about a second."""
    if solver != "auto":
        return solver
    entries = num_unknowns * sum(map(jnp.size, jax.tree.leaves(view.params)))
    fits = num_unknowns <= _EXACT_UNKNOWNS and (
        view.model.tapped is not None or entries <= _EXACT_ENTRIES
    )
    return "exact" if fits and _is_float64_able(view) else "cg"


class CGState(NamedTuple):
    """Conjugate gradients: what the next step needs, and the best iterate so far."""

    solution: Array
    residual: Array
    direction: Array
    squared_residual: Array
    best_solution: Array
    best_squared_residual: Array
    iterations: Array


def conjugate_gradients(
    operator: Callable[[Float[Array, "batch classes"]], Float[Array, "batch classes"]],
    right: Float[Array, "batch classes"],
    *,
    num_iterations: int,
    tolerance: int | float,
) -> CGState:
    """Solves operator(z) = right from 0, for a positive semidefinite operator.

    A lane freezes once its residual falls to `tolerance` times ‖right‖: run on, float32
    blows up on systems without full rank. The best iterate is kept in any case. All
    products are in full float32, as directions that are only nearly conjugate don't
    converge.
    """
    with jax.default_matmul_precision("highest"):
        return _conjugate_gradients(operator, right, num_iterations, tolerance)


def _conjugate_gradients(operator, right, num_iterations, tolerance):
    squared_right = jnp.vdot(right, right)
    target = tolerance**2 * squared_right

    def step(state, _):
        product = operator(state.direction)
        curvature = jnp.vdot(state.direction, product)
        is_active = (state.squared_residual > target) & (curvature > 0)
        rate = jnp.where(is_active, state.squared_residual / curvature, 0.0)
        solution = state.solution + rate * state.direction
        residual = state.residual - rate * product
        squared_residual = jnp.vdot(residual, residual)
        momentum = squared_residual / state.squared_residual
        is_better = squared_residual < state.best_squared_residual
        new = CGState(
            solution=solution,
            residual=residual,
            direction=residual + momentum * state.direction,
            squared_residual=squared_residual,
            best_solution=jnp.where(is_better, solution, state.best_solution),
            best_squared_residual=jnp.where(
                is_better, squared_residual, state.best_squared_residual
            ),
            iterations=state.iterations + 1,
        )
        return optax.tree.where(is_active, new, state), None

    zeros = jnp.zeros_like(right)
    start = CGState(
        zeros, right, right, squared_right, zeros, squared_right, jnp.array(0)
    )
    return jax.lax.scan(step, start, length=num_iterations)[0]


def solve_by_cg(
    jacobian: GradientMap,
    gradient,
    *,
    num_iterations: int,
    tolerance: int | float,
    row_sum_weight: Number = 0.0,
    entry_scale: Float[Array, "batch classes"] | None = None,
) -> tuple[Float[Array, "batch classes"], RecoveryInfo]:
    """Conjugate gradients from 0, in the network's precision.

    A lane freezes at `tolerance` times ‖A J g‖, and the iterate with the smallest
    residual is kept. `entry_scale` multiplies the entries of u: how large each may be.
    """

    def weigh(u):
        mean = jnp.mean(u, axis=1, keepdims=True)
        return u - (1.0 - row_sum_weight) * mean

    def to_message(z):
        return weigh(z if entry_scale is None else entry_scale * z)

    def from_message(u):
        u = weigh(u)
        return u if entry_scale is None else entry_scale * u

    right = from_message(jacobian.push(gradient))
    state = conjugate_gradients(
        lambda z: from_message(jacobian.gram(to_message(z))),
        right,
        num_iterations=num_iterations,
        tolerance=tolerance,
    )
    message = jnp.where(
        jnp.all(jnp.isfinite(right)), to_message(state.best_solution), jnp.nan
    )
    is_summed = isinstance(row_sum_weight, (int, float)) and row_sum_weight == 0
    bound_is_impossible = right.size - is_summed * len(right) > jacobian.num_parameters
    return message, RecoveryInfo(
        residual=_relative_residual(jacobian, gradient, message),
        iterations=state.iterations,
        bound_held=jnp.array(0 if bound_is_impossible else -1),
    )


def solve_exactly(
    view: BatchGradientView,
    layers: Collection[str] | None,
    *,
    row_sum_weight: Number = 0.0,
    ridge: int | float = RIDGE,
) -> tuple[Float[Array, "batch classes"], RecoveryInfo]:
    """Cholesky of A J Jᵀ A in float64, on the zero-sum subspace where the weight is 0.

    The ridge, relative to the mean diagonal, is raised tenfold until it succeeds.
    """
    if not _is_float64_able(view):
        raise ValueError(
            "solver='exact': model casts to a lower precision or drops units (whose "
            "masks differ in float64), must compute the same in float64 when given it; "
            "or use solver='cg'"
        )
    with jax.enable_x64(True):
        view = _as_float64(view)
        jacobian = jacobian_of(view, layers)
        batch, classes = jacobian.embedding.shape
        basis = _row_basis(classes, row_sum_weight)
        if jacobian.factors is None:
            matrix = _gram_matrix(jacobian, basis)
        else:
            matrix = _dense_gram_matrix(jacobian.factors, basis, batch)
        # Directions of weight 0 are no unknowns: they must not count as undetermined.
        is_idle = jnp.tile(jnp.all(basis == 0, axis=0), batch)
        scale = jnp.sum(jnp.diagonal(matrix)) / jnp.sum(~is_idle)
        matrix += jnp.diag(scale * is_idle)
        right = (jacobian.push(view.gradient) @ basis).reshape(-1)
        coordinates, ridge_used, smallest = _solve(matrix, right, ridge * scale)
        message = coordinates.reshape(batch, -1) @ basis.T
        residual = _relative_residual(jacobian, view.gradient, message)
        info = RecoveryInfo(
            residual=residual.astype(jnp.float32),
            iterations=jnp.array(0, jnp.int32),
            bound_held=(smallest > 10.0 * ridge_used).astype(jnp.int32),
        )
        message = message.astype(jnp.float32)
    return message, info


def _row_basis(classes, row_sum_weight):
    """Orthogonal columns that span the admissible rows, scaled by their weights."""
    zero_sum = jnp.asarray(scipy.linalg.helmert(classes).T)
    if isinstance(row_sum_weight, (int, float)) and row_sum_weight == 0:
        return zero_sum
    weight = jnp.asarray(row_sum_weight, zero_sum.dtype)
    mean = jnp.full((classes, 1), classes**-0.5) * weight
    return jnp.concatenate([zero_sum, mean], axis=1)


def _as_float64(tree):
    def cast(leaf):
        is_number = jnp.issubdtype(leaf.dtype, jnp.floating)
        return jnp.asarray(leaf).astype(jnp.float64) if is_number else leaf

    return jax.tree.map(cast, tree)


def _is_float64_able(view):
    """Whether the network computes the same function in float64, only more exactly."""
    if view.forward.is_training and view.forward.dropout_key is not None:
        program = jax.make_jaxpr(own_embedding)(view)
        if "random_bits" in str(program):  # other bits are drawn in float64
            return False
    with jax.enable_x64(True):
        embedding = jax.eval_shape(lambda v: own_embedding(_as_float64(v)), view)
    return embedding.dtype == jnp.float64


def _gram_matrix(jacobian, basis):
    """Column after column of J Jᵀ, for any network: B·(C − 1) products."""
    batch, (classes, width) = jacobian.embedding.shape[0], basis.shape

    def column(number):
        row, direction = number // width, number % width
        u = jnp.zeros((batch, classes)).at[row].set(basis[:, direction])
        return (jacobian.gram(u) @ basis).reshape(-1)

    return jax.lax.map(column, jnp.arange(batch * width), batch_size=8)


def _dense_gram_matrix(factors, basis, batch):
    """Σ_l K_l[i, j] · ⟨T_l[i, c], T_l[j, d]⟩, for a network of dense layers."""
    width = basis.shape[1]
    pulled = jax.vmap(
        lambda direction: factors.pull(jnp.tile(direction, (batch, 1))),
        in_axes=1,
        out_axes=1,
    )(basis)
    total = jnp.zeros((batch, width, batch, width))
    for name, inputs in factors.inputs.items():
        tangents = pulled[name].reshape(batch * width, -1)
        products = (tangents @ tangents.T).reshape(total.shape)
        total += (inputs @ inputs.T)[:, None, :, None] * products
    return total.reshape(batch * width, batch * width)


@jax.custom_batching.sequential_vmap
def _solve(matrix, right, ridge):
    """(matrix + ridge·1)⁻¹ right, the ridge used, and the smallest eigenvalue.

    One after the other where there are several: LAPACK has all cores for one of them,
    and batches of factorizations on several CPU devices wait for each other for ever.
    """
    factor, ridge_used = _cholesky(matrix, ridge)
    solution = jax.scipy.linalg.cho_solve((factor, True), right)
    return solution, ridge_used, _smallest_eigenvalue(factor)


def _cholesky(matrix, ridge):
    """Lower factor of matrix + ridge·1; the ridge grows until there is one."""
    identity = jnp.eye(len(matrix))

    def is_failed(carry):
        factor, _, attempt = carry
        return ~jnp.all(jnp.isfinite(factor)) & (attempt < 8)

    def retry(carry):
        _, ridge, attempt = carry
        factor = jnp.linalg.cholesky(matrix + 10 * ridge * identity)
        return factor, 10 * ridge, attempt + 1

    start = jnp.linalg.cholesky(matrix + ridge * identity), ridge, 0
    return jax.lax.while_loop(is_failed, retry, start)[:2]


def _smallest_eigenvalue(factor, num_iterations=8):
    """Of the factored matrix, from above, by inverse iteration from a fixed vector."""
    start = jnp.cos(jnp.arange(1.0, len(factor) + 1.0))

    def step(vector, _):
        vector = vector / jnp.linalg.norm(vector)
        solved = jax.scipy.linalg.cho_solve((factor, True), vector)
        return solved, 1.0 / jnp.vdot(vector, solved)

    return jax.lax.scan(step, start, length=num_iterations)[1][-1]


def _relative_residual(jacobian, gradient, message):
    observed = jacobian.restrict(gradient)
    missed = optax.tree.sub(jacobian.pull(message), observed)
    total = optax.tree.norm(observed, squared=True)
    scale = jnp.where(total > 0, total, 1.0)
    return jnp.sqrt(optax.tree.norm(missed, squared=True) / scale)
