"""Solve for the messages behind a batch gradient: linear label recovery.

A party's batch gradient is linear in what it may not see, g = Jᵀ u with u = dL/dH. So

    solve  J Jᵀ u = J g,   Σ_c u_ic = 0,   and read  y_i = argmin_c u_ic.

Theorem 1 of Zou et al. (2022, https://arxiv.org/abs/2112.05409) is the case where J is
one linear layer (`layers=("output",)`): labels are exact for B <= rank of its inputs.
With the gradient of all layers the bound becomes B·(C − 1) <= rank(J).
"""

import dataclasses
from collections.abc import Collection
from typing import get_args

from vfljax._checks import check_choice, check_number, require
from vfljax.attacks.base import Attack, Inference, inference_from_scores
from vfljax.attacks.least_squares import (
    Solver,
    choose_solver,
    solve_by_cg,
    solve_exactly,
)
from vfljax.gradient_map import gradient_map
from vfljax.known import NOTHING, Known
from vfljax.protocol import BatchGradientView, check_view


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearRecovery(Attack):
    """Solve the linear system behind a batch gradient (encrypted protocol)."""

    solver: Solver = "auto"
    """How the system is solved: cg, conjugate gradients in the network's precision, a
    few milliseconds and enough for untrained networks; exact, Cholesky in float64,
    needed for trained networks, whose well-fitted samples have tiny rows that an
    early-stopped solve loses; auto, the exact one up to 4,608 unknowns, one per sample
    and class but one (and 10⁸ entries of J, unless the network is made of dense
    layers), where it takes about a second."""
    iterations: int = 1000
    """Number of conjugate-gradient steps at most, at least 1."""
    tolerance: float = 1e-6
    """Share of ‖J g‖, in [0, 1), at which conjugate gradients freeze once the residual
    falls to it, J of what Jᵀu lacks of g: run on, float32 blows up on systems without
    full rank. In any case the iterate with the smallest such residual is kept."""
    layers: tuple[str, ...] | None = None
    """Names of the layers whose gradient is used; None takes all."""
    zero_sum: bool | None = None
    """Whether to look only for rows that sum to zero, as those of softmax cross-entropy
    do. Right unless a defense perturbed the message; None does so unless the defense in
    use is known to break it."""
    ridge: float = 1e-12
    """Number in [0, 1) that is added to the exact solver's matrix, relative to its mean
    diagonal, and raised tenfold until the factorization succeeds."""
    sees = BatchGradientView
    uses = ("keeps_zero_sum",)
    needs_sum_of_logits = True
    recovers_messages = True

    def __post_init__(self):
        """Checks the ranges."""
        check_choice("solver", self.solver, get_args(Solver))
        check_number("iterations", self.iterations, low=1)
        for name in ("tolerance", "ridge"):
            value = getattr(self, name)
            require(0 <= value < 1, name, value, "in [0, 1)")

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
                gradient_map(
                    view.model, view.params, view.features, self.layers, view.forward
                ),
                view.gradient,
                row_sum_weight=row_sum_weight,
                num_iterations=self.iterations,
                tolerance=self.tolerance,
            )
        return inference_from_scores(-batch * message, info=info)


def linear_recovery(
    view: BatchGradientView,
    *,
    layers: Collection[str] | None = LinearRecovery.layers,
    solver: Solver = LinearRecovery.solver,
    iterations: int = LinearRecovery.iterations,
    tolerance: int | float = LinearRecovery.tolerance,
    zero_sum: bool | None = LinearRecovery.zero_sum,
    ridge: int | float = LinearRecovery.ridge,
) -> Inference:
    """Infers the labels of a batch from its gradient by solving a linear system.

    Exact, up to float32 rounding of the gradient itself, whenever B·(C − 1) <= rank(J)
    and the solve converged. No initialization, no rate and no model of the label.

    The options are the fields of `LinearRecovery`; without knowledge of a defense rows
    are taken to sum to zero.

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
    attack = LinearRecovery(
        layers=layers if layers is None else tuple(layers),
        solver=solver,
        iterations=iterations,
        tolerance=tolerance,
        zero_sum=zero_sum,
        ridge=ridge,
    )
    return attack(None, view)
