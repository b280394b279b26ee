"""Solve for the messages behind a batch gradient: linear label recovery.

A party's batch gradient is linear in what it may not see, g = Jᵀ u with u = dL/dH. So

    solve  J Jᵀ u = J g,   Σ_c u_ic = 0,   and read  y_i = argmin_c u_ic.

Theorem 1 of Zou et al. (2022, https://arxiv.org/abs/2112.05409) is the case where J is
one linear layer (`layers=("output",)`): labels are exact for B <= rank of its inputs.
With the gradient of all layers the bound becomes B·(C − 1) <= rank(J).
"""

from collections.abc import Collection

from vfljax.attacks.base import Inference, inference_from_scores
from vfljax.attacks.least_squares import (
    Solver,
    choose_solver,
    solve_by_cg,
    solve_exactly,
)
from vfljax.gradient_map import gradient_map
from vfljax.protocol import BatchGradientView, check_view


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
    row_sum_weight = 0 if zero_sum else 1
    if choose_solver(view, solver, batch * (view.num_classes - zero_sum)) == "exact":
        message, info = solve_exactly(
            view, layers, row_sum_weight=row_sum_weight, ridge=ridge
        )
    else:
        message, info = solve_by_cg(
            gradient_map(view.model, view.params, view.features, layers, view.forward),
            view.gradient,
            row_sum_weight=row_sum_weight,
            num_iterations=iterations,
            tolerance=tolerance,
        )
    return inference_from_scores(-batch * message, info=info)
