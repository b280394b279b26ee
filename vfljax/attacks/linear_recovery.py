"""Solve for the messages behind a batch gradient: linear label recovery.

A party's batch gradient is linear in what it may not see, g = Jᵀ u with u = dL/dH. So

    solve  J Jᵀ u = J g,   Σ_c u_ic = 0,   and read  y_i = argmin_c u_ic.

Theorem 1 of Zou et al. (2022, https://arxiv.org/abs/2112.05409) is the case where J is
one linear layer (`layers=("output",)`): labels are exact for B <= rank of its inputs.
With the gradient of all layers the bound becomes B·(C − 1) <= rank(J).
"""

import dataclasses
from typing import Any

from vfljax.attacks.base import Inference, inference_from_scores, jacobian_of
from vfljax.attacks.least_squares import (
    RIDGE,
    SolvesForMessages,
    choose_solver,
    solve_by_cg,
    solve_exactly,
)
from vfljax.known import NOTHING, Known
from vfljax.protocol import BatchGradientView, check_view


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearRecovery(SolvesForMessages):
    """Solve the linear system behind a batch gradient (encrypted protocol)."""

    zero_sum: bool | None = None
    """Whether to look only for rows that sum to zero, as those of softmax cross-entropy
    do. Right unless a defense perturbed the message; None does so unless the defense in
    use is known to break it."""
    ridge: float = RIDGE
    """Number in [0, 1) that is added to the exact solver's matrix, relative to its mean
    diagonal, and raised tenfold until the factorization succeeds."""
    uses = ("keeps_zero_sum",)
    ranges = SolvesForMessages.ranges | {
        "ridge": {"low": 0, "high": 1, "high_excluded": True}
    }

    def __call__(self, key, view, known: Known = NOTHING) -> Inference:
        """Infers from one view; rows sum to zero where nothing else is known."""
        check_view(view)
        batch, zero_sum = view.features.shape[0], self.zero_sum
        if zero_sum is None:
            zero_sum = known.get("keeps_zero_sum", True)
        row_sum_weight = 0 if zero_sum else 1
        num_unknowns = batch * (view.num_classes - zero_sum)
        if choose_solver(view, self.solver, num_unknowns) == "exact":
            message, info = solve_exactly(
                view, self.layers, row_sum_weight=row_sum_weight, ridge=self.ridge
            )
        else:
            message, info = solve_by_cg(
                jacobian_of(view, self.layers),
                view.gradient,
                row_sum_weight=row_sum_weight,
                num_iterations=self.iterations,
                tolerance=self.tolerance,
            )
        return inference_from_scores(-batch * message, info=info)


def linear_recovery(view: BatchGradientView, **options: Any) -> Inference:
    """Infers the labels of a batch from its gradient by solving a linear system.

    Exact, up to float32 rounding of the gradient itself, whenever B·(C − 1) <= rank(J)
    and the solve converged. No initialization, no rate and no model of the label.

    The options are the fields of `LinearRecovery`; without knowledge of a defense rows
    are taken to sum to zero.

    Returns:
        `scores` are −B·u: for one-hot targets 1 − p at the label and −p elsewhere. The
        `info` is a `RecoveryInfo`.

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
    return LinearRecovery(**options)(None, view)
