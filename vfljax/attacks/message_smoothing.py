"""Take known noise out of messages: samples that look alike have labels alike.

Independent noise on every message says nothing about a sample's neighbors, but their
labels say something about its own. With a Gaussian prior over the clean messages of a
batch that is half a free part for each sample and half as smooth over the features as
the adversary's own network (its neural tangent kernel J Jᵀ, Jacot, Gabriel and Hongler
2018), scaled to unit mean variance,

    u ~ N(0, τ²·M),   M = (I + J Jᵀ/k)/2,   τ² = 1/(C·B²),   k = mean diagonal of J Jᵀ,

the posterior mean after noise of variance σ² is that of Gaussian-process regression
(Rasmussen and Williams 2006, Eq. 2.25):

    E[u | u + η] = u + η − (σ/τ)² (M + (σ/τ)² I)⁻¹ (u + η).

Without noise nothing changes. On untrained networks it finds many more labels than the
noised messages themselves show, in the plaintext and in the encrypted protocol alike:
noise that hides one sample does not hide what a batch has in common. No differential
privacy is broken by that. It bounds what a sample's own label adds, not what the labels
of others tell about it.
"""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float

from vfljax._checks import check_number, require
from vfljax.attacks.base import (
    GradientView,
    Inference,
    Number,
    inference_from_scores,
    jacobian_of,
)
from vfljax.attacks.least_squares import conjugate_gradients
from vfljax.attacks.reading import ReadsMessages, check_recovered
from vfljax.known import NOTHING, Known


@dataclasses.dataclass(frozen=True, kw_only=True)
class MessageSmoothing(ReadsMessages):
    """Take known noise out of recovered messages: alike samples, alike labels."""

    iterations: int = 200
    """Number of conjugate-gradient steps of the smoothing at most, at least 1; those of
    the recovery are an option of the attack that recovers messages."""
    reads = ("noise_std",)
    knowledge = "the noise scale"
    recovers_messages = True
    ranges: ClassVar = {"iterations": {"low": 1}}

    def __call__(self, key, view, known: Known = NOTHING) -> Inference:
        """Infers from one view; the key is for the attack that recovers messages."""
        recovered = self.recover(key, view, known)
        return message_smoothing(
            view, recovered, known.noise_std, iterations=self.iterations
        )


def message_smoothing(
    view: GradientView,
    recovered: Float[Array, "batch classes"],
    noise_std: Number,
    *,
    iterations: int = MessageSmoothing.iterations,
) -> Inference:
    """Infers labels from recovered messages, knowing the scale of their noise.

    Args:
        view: Of either protocol.
        recovered: −B·u, the scores of `linear_recovery` or `direct_inference`.
        noise_std: σ in units of 1/B, >= 0 and finite: standard deviation of what the
            defense added to an entry of B·dL/dH. May be traced.
        iterations: Of conjugate gradients, >= 1.

    Returns:
        `scores` are the posterior means of −B·u.
    """
    check_recovered(view, recovered)
    is_allowed = isinstance(noise_std, Tracer) or 0 <= noise_std < jnp.inf
    require(bool(is_allowed), "noise_std", noise_std, ">= 0 and finite")
    check_number("iterations", iterations, low=1)
    jacobian = jacobian_of(view)
    noise = view.num_classes * jnp.square(noise_std)  # (σ/τ)²
    signs = jax.random.rademacher(jax.random.key(0), recovered.shape, float)
    scale = jnp.vdot(signs, jacobian.gram(signs)) / signs.size  # Hutchinson (1990)
    scale = jnp.where(scale > 0, scale, 1.0)

    def prior_and_noise(u):
        return (0.5 + noise) * u + 0.5 * jacobian.gram(u) / scale

    rows = recovered - jnp.mean(recovered, axis=1, keepdims=True)  # labels' rows are so
    found = conjugate_gradients(
        prior_and_noise, rows, num_iterations=iterations, tolerance=1e-6
    )
    return inference_from_scores(rows - noise * found.best_solution)
