"""Linear recovery by an adversary who knows how messages were perturbed.

What a defense does and how strongly is part of the protocol, so it is public. Noise is
added to the message u, before Jᵀ: the batch gradient g = Jᵀ(u + η) is still exactly
linear in what was sent, and solving for it does not amplify the noise. Knowing the
scale of η says three things that plain linear recovery must guess:

1. how far row sums may be off zero. With E η² = σ² per entry and clean rows of zero
   sum and variance 1/C per direction (in units of 1/B, a label in C classes), the
   best linear estimate weighs the mean of each row by σ/√(1/C + σ²): a ridge on the
   row sums. σ = 0 is linear recovery with `zero_sum`, σ = ∞ without.
2. how many entries are zero. A sparse message is found beyond B·(C − 1) = rank(J) by
   iteratively reweighted least squares (Daubechies, DeVore, Fornasier and Güntürk
   2010, https://doi.org/10.1002/cpa.20303, Eqs. 1.6-1.9 with q = 1).
3. how far to trust a row. The label's posterior under Gaussian noise is proportional to
   p_c·exp(−B·u_c/σ²), where p is what the adversary's own logits say, and the softmax
   in u is taken for flat.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

from vfljax._checks import check_number, require
from vfljax.attacks.base import (
    Inference,
    Number,
    inference_from_scores,
    jacobian_of,
)
from vfljax.attacks.least_squares import (
    SolvesForMessages,
    choose_solver,
    solve_by_cg,
    solve_exactly,
)
from vfljax.known import NOTHING, Known
from vfljax.protocol import BatchGradientView, check_view, own_embedding


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoiseAwareRecovery(SolvesForMessages):
    """Linear recovery that knows the noise scale, the bins or the share kept."""

    reweightings: int = 5
    """Number of times, at least 0, that conjugate gradients are repeated with weights
    for a sparse message, for which the solver auto takes them where there are fewer
    parameters than entries. There are none where the defense drops no entries, and the
    exact solver, which is for solutions that are unique, has none."""
    uses = ("noise_std", "keep_fraction", "drops_entries")
    is_adaptive = True
    knowledge = "kind and strength of the defense"
    ranges = SolvesForMessages.ranges | {"reweightings": {"low": 0}}

    def __call__(self, key, view, known: Known = NOTHING) -> Inference:
        """Infers from one view; no entries are dropped where it isn't known."""
        noise_std, keep_fraction = known.noise_std, known.keep_fraction
        is_allowed = isinstance(noise_std, Tracer) or 0 <= noise_std < jnp.inf
        require(bool(is_allowed), "noise_std", noise_std, ">= 0 and finite")
        check_number("keep_fraction", keep_fraction, low=0, high=1, low_excluded=True)
        check_view(view)
        batch, classes = view.features.shape[0], view.num_classes
        reweightings = self.reweightings if known.get("drops_entries", False) else 0
        is_sparse = jnp.asarray(keep_fraction) < 1
        weight = noise_std / jnp.hypot(classes**-0.5, noise_std)
        weight = jnp.where(is_sparse, 1.0, weight)
        jacobian = jacobian_of(view, self.layers)
        solver, is_short = self.solver, jacobian.num_parameters < batch * classes
        if reweightings and is_short and solver == "auto":
            solver = "cg"
        if choose_solver(view, solver, batch * classes) == "exact":
            message, info = solve_exactly(view, self.layers, row_sum_weight=weight)
        else:

            def solve(scale):
                return solve_by_cg(
                    jacobian,
                    view.gradient,
                    row_sum_weight=weight,
                    entry_scale=scale,
                    num_iterations=self.iterations,
                    tolerance=self.tolerance,
                )

            def reweigh(carry, _):
                message, threshold, _ = carry
                # The first entry that was not sent says how wrong the others may be.
                _, largest_dropped = _around_threshold(message, keep_fraction)
                threshold = jnp.minimum(threshold, largest_dropped / message.size)
                scale = (message**2 + threshold**2) ** 0.25
                largest = jnp.max(scale)
                scale = scale / jnp.where(largest > 0, largest, 1.0)
                scale = jnp.where(is_sparse, scale, 1.0)
                message, info = solve(scale)
                return (message, threshold, info), None

            message, info = solve(jnp.ones((batch, classes)))
            start = (message, jnp.array(jnp.inf), info)
            (message, _, info), _ = jax.lax.scan(reweigh, start, length=reweightings)
        # Entries that were dropped lie anywhere below those sent, on either side.
        smallest_sent, _ = _around_threshold(batch * message, keep_fraction)
        variance = jnp.where(is_sparse, smallest_sent**2 / 3.0, jnp.square(noise_std))
        own_logits = own_embedding(view)
        scores = -batch * message + variance * jax.nn.log_softmax(own_logits)
        return inference_from_scores(scores, info=info)


def noise_aware_recovery(
    view: BatchGradientView,
    *,
    noise_std: Number = 0.0,
    keep_fraction: Number = 1.0,
    **options: Any,
) -> Inference:
    """Infers the labels of a batch from its gradient, knowing the defense.

    Args:
        view: Of the encrypted protocol.
        noise_std: σ in units of 1/B, >= 0 and finite: standard deviation of what the
            defense added to an entry of B·dL/dH, as `defenses` document it. May be
            traced. Rounding to levels an interval apart adds about interval/√12.
        keep_fraction: Share of the entries that were sent, in (0, 1]. May be traced. No
            entries were dropped if it is the number 1.
        options: Fields of `NoiseAwareRecovery`.

    Returns:
        `scores` are −B·u + σ²·log p. The `info` is a `RecoveryInfo`.
    """
    is_one = isinstance(keep_fraction, int | float) and keep_fraction == 1
    known = Known(
        noise_std=noise_std, keep_fraction=keep_fraction, drops_entries=not is_one
    )
    return NoiseAwareRecovery(**options)(None, view, known)


def _around_threshold(message, keep_fraction):
    """Magnitudes of the smallest entry that was sent and of the largest that wasn't."""
    magnitudes = jnp.sort(jnp.abs(message).reshape(-1))
    num_sent = jnp.floor(keep_fraction * magnitudes.size).astype(int)
    place = magnitudes.size - jnp.maximum(num_sent, 1)
    return magnitudes[place], magnitudes[jnp.maximum(place - 1, 0)]
