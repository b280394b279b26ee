"""Solve for the messages behind a batch gradient: linear label recovery.

A party's batch gradient is linear in what it may not see, g = Jᵀ u with u = dL/dH. So

    solve  J Jᵀ u = J g,   Σ_c u_ic = 0,   and read  y_i = argmin_c u_ic.

Theorem 1 of Zou et al. (2022, https://arxiv.org/abs/2112.05409) is the case where J is
one linear layer (`layers=("output",)`): labels are exact for B <= rank of its inputs.
With the gradient of all layers the bound becomes B·(C − 1) <= rank(J).
"""

from collections.abc import Collection
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from vfljax.attacks.base import Inference, inference_from_scores
from vfljax.gradient_map import gradient_map
from vfljax.protocol import BatchGradientView, check_view

Solver = Literal["auto", "cg", "exact"]

_EXACT_UNKNOWNS = 4608  # B = 512, C = 10: a 170 MB matrix
_EXACT_ENTRIES = 10**8  # of J, where the network is not made of dense layers


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


def linear_recovery(
    view: BatchGradientView,
    *,
    layers: Collection[str] | None = None,
    solver: Solver = "auto",
    iterations: int = 1000,
    tolerance: int | float = 1e-6,
    zero_sum: bool = True,
    ridge: int | float = 1e-12,
) -> Inference:
    """Infers the labels of a batch from its gradient by solving a linear system.

    Exact, up to float32 rounding of the gradient itself, whenever B·(C − 1) <= rank(J)
    and the solve converged. No initialization, no rate and no model of the label.

    Args:
        view: Of the encrypted protocol.
        layers: Names of the layers whose gradient is used; `None` for all.
        solver: `"cg"`, conjugate gradients in the network's precision: a few
            milliseconds, enough for untrained networks. `"exact"`, Cholesky in
            float64: needed for trained networks, whose well-fitted samples have tiny
            rows that an early-stopped solve loses. `"auto"` takes the exact one up to
            4,608 unknowns B·(C − 1) (and 10⁸ entries of J, unless the network is
            made of dense layers), where it takes about a second.
        iterations: Of conjugate gradients, >= 1.
        tolerance: Conjugate gradients freeze once ‖J(g − Jᵀu)‖ falls to this share of
            ‖J g‖: run on, float32 blows up on systems without full rank. In any case
            the iterate with the smallest such residual is kept.
        zero_sum: Whether to look only for rows that sum to zero, as those of softmax
            cross-entropy do. Right unless a defense perturbed the message.
        ridge: Added to the exact solver's matrix, relative to its mean diagonal, and
            raised tenfold until the factorization succeeds.

    Returns:
        `scores` are −B·u: for one-hot targets 1 − p at the label and −p elsewhere. The
        `info` is a `RecoveryInfo`.

    Raises:
        ValueError: For an argument outside its range, or a view whose parts do not fit.

    Example:
        One linear layer and a batch of one: g = a uᵀ, hence u = g/a.

        >>> import jax.numpy as jnp
        >>> from vfljax.protocol import BatchGradientView, PartyModel
        >>> model = PartyModel(init=None, apply=lambda weights, x: x @ weights)
        >>> gradient = jnp.array([[0.6, -1.0, 0.4]])
        >>> features = jnp.array([[2.0]])
        >>> view = BatchGradientView(model, jnp.zeros((1, 3)), features, gradient, 3)
        >>> inference = linear_recovery(view)
        >>> inference.labels, inference.scores.round(3)
        (Array([1], dtype=int32), Array([[-0.3,  0.5, -0.2]], dtype=float32))
    """
    if solver not in ("auto", "cg", "exact"):
        raise ValueError(f"solver={solver!r}: must be one of auto, cg, exact")
    if iterations < 1:
        raise ValueError(f"iterations={iterations}: must be >= 1")
    for name, value in (("tolerance", tolerance), ("ridge", ridge)):
        if not 0 <= value < 1:
            raise ValueError(f"{name}={value}: must be in [0, 1)")
    check_view(view)
    batch = view.features.shape[0]
    num_unknowns = batch * (view.num_classes - zero_sum)
    if solver == "auto":
        entries = num_unknowns * sum(map(jnp.size, jax.tree.leaves(view.params)))
        fits = num_unknowns <= _EXACT_UNKNOWNS and (
            view.model.tapped is not None or entries <= _EXACT_ENTRIES
        )
        solver = "exact" if fits and _is_float64_able(view) else "cg"
    if solver == "exact":
        message, info = _solve_exactly(view, layers, zero_sum, ridge)
    else:
        message, info = _solve_by_cg(view, layers, zero_sum, iterations, tolerance)
    return inference_from_scores(-batch * message, info=info)


class _CGState(NamedTuple):
    solution: Array
    residual: Array
    direction: Array
    squared_residual: Array
    best_solution: Array
    best_squared_residual: Array
    iterations: Array


def _solve_by_cg(view, layers, zero_sum, num_iterations, tolerance):
    """Conjugate gradients on P J Jᵀ P u = P J g from 0: the minimum-norm solution."""
    jacobian = gradient_map(view.model, view.params, view.features, layers)

    def project(u):
        return u - jnp.mean(u, axis=1, keepdims=True) if zero_sum else u

    right = project(jacobian.push(view.gradient))
    squared_right = jnp.vdot(right, right)
    target = tolerance**2 * squared_right

    def step(state, _):
        product = project(jacobian.gram(state.direction))
        curvature = jnp.vdot(state.direction, product)
        is_active = (state.squared_residual > target) & (curvature > 0)
        rate = jnp.where(is_active, state.squared_residual / curvature, 0.0)
        solution = state.solution + rate * state.direction
        residual = state.residual - rate * product
        squared_residual = jnp.vdot(residual, residual)
        momentum = squared_residual / state.squared_residual
        is_better = squared_residual < state.best_squared_residual
        new = _CGState(
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
        frozen = jax.tree.map(lambda a, b: jnp.where(is_active, a, b), new, state)
        return frozen, None

    zeros = jnp.zeros_like(right)
    start = _CGState(
        zeros, right, right, squared_right, zeros, squared_right, jnp.array(0)
    )
    state, _ = jax.lax.scan(step, start, length=num_iterations)
    solution = jnp.where(
        jnp.isfinite(squared_right), project(state.best_solution), jnp.nan
    )
    bound_is_impossible = right.size - zero_sum * len(right) > jacobian.num_parameters
    return solution, RecoveryInfo(
        residual=_relative_residual(jacobian, view.gradient, solution),
        iterations=state.iterations,
        bound_held=jnp.array(0 if bound_is_impossible else -1),
    )


def _solve_exactly(view, layers, zero_sum, ridge):
    """Cholesky of J Jᵀ on the subspace of admissible rows, in float64."""
    if not _is_float64_able(view):
        raise ValueError(
            "solver='exact': model casts to a lower precision, must compute in float64 "
            "when given it; or use solver='cg'"
        )
    with jax.enable_x64(True):
        params, features, gradient = _as_float64(
            (view.params, view.features, view.gradient)
        )
        jacobian = gradient_map(view.model, params, features, layers)
        batch, classes = jacobian.embedding.shape
        basis = jnp.asarray(_zero_sum_basis(classes) if zero_sum else np.eye(classes))
        if jacobian.factors is None:
            matrix = _gram_matrix(jacobian, basis)
        else:
            matrix = _dense_gram_matrix(jacobian.factors, basis, batch)
        right = (jacobian.push(gradient) @ basis).reshape(-1)
        factor, ridge_used = _cholesky(matrix, ridge * jnp.mean(jnp.diagonal(matrix)))
        coordinates = jax.scipy.linalg.cho_solve((factor, True), right)
        message = coordinates.reshape(batch, -1) @ basis.T
        smallest = _smallest_eigenvalue(factor)
        info = RecoveryInfo(
            residual=_relative_residual(jacobian, gradient, message).astype(
                jnp.float32
            ),
            iterations=jnp.array(0, jnp.int32),
            bound_held=(smallest > 10.0 * ridge_used).astype(jnp.int32),
        )
        message = message.astype(jnp.float32)
    return message, info


def _as_float64(tree):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf).astype(jnp.float64), tree)


def _is_float64_able(view):
    """Whether the network keeps the precision that it is given."""
    with jax.enable_x64(True):
        embedding = jax.eval_shape(
            lambda *arguments: view.model.apply(*_as_float64(arguments)),
            view.params,
            view.features,
        )
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


def _cholesky(matrix, ridge):
    """Lower factor of matrix + ridge·1; the ridge grows until there is one."""
    identity = jnp.eye(len(matrix))

    def is_failed(carry):
        factor, _, attempt = carry
        return ~jnp.all(jnp.isfinite(factor)) & (attempt < 8)

    def retry(carry):
        _, ridge, attempt = carry
        return (
            jnp.linalg.cholesky(matrix + 10 * ridge * identity),
            10 * ridge,
            attempt + 1,
        )

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
    explained = jacobian.pull(message)
    observed = jacobian.restrict(gradient)
    squares = [
        (jnp.sum((a - b) ** 2), jnp.sum(b**2))
        for a, b in zip(
            jax.tree.leaves(explained), jax.tree.leaves(observed), strict=True
        )
    ]
    missed, total = (sum(column) for column in zip(*squares, strict=True))
    return jnp.sqrt(missed / jnp.where(total > 0, total, 1.0))


def _zero_sum_basis(classes):
    """Orthonormal columns (C, C − 1) that span the rows summing to zero (Helmert)."""
    basis = np.zeros((classes, classes - 1))
    for column in range(1, classes):
        basis[:column, column - 1] = 1.0
        basis[column, column - 1] = -column
        basis[:, column - 1] /= np.sqrt(column * (column + 1.0))
    return basis
