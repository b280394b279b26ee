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

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float

from vfljax.attacks.base import Inference, inference_from_scores
from vfljax.attacks.least_squares import conjugate_gradients
from vfljax.gradient_map import gradient_map
from vfljax.protocol import BatchGradientView, SampleGradientView, check_view


def message_smoothing(
    view: BatchGradientView | SampleGradientView,
    recovered: Float[Array, "batch classes"],
    noise_std: int | float | Float[Array, ""],
    *,
    iterations: int = 200,
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

    Raises:
        ValueError: For an argument outside its range, or shapes that do not fit.
    """
    check_view(view)
    expected = (view.features.shape[0], view.num_classes)
    if recovered.shape != expected:
        raise ValueError(f"recovered: shape {recovered.shape}, must be {expected}")
    if not isinstance(noise_std, Tracer) and not 0 <= noise_std < jnp.inf:
        raise ValueError(f"noise_std={noise_std}: must be >= 0 and finite")
    if iterations < 1:
        raise ValueError(f"iterations={iterations}: must be >= 1")
    jacobian = gradient_map(
        view.model, view.params, view.features, forward=view.forward
    )
    noise = view.num_classes * jnp.square(noise_std)  # (σ/τ)²
    signs = jax.random.rademacher(jax.random.key(0), expected, float)
    scale = jnp.vdot(signs, jacobian.gram(signs)) / signs.size  # Hutchinson (1990)
    scale = jnp.where(scale > 0, scale, 1.0)

    def prior_and_noise(u):
        return (0.5 + noise) * u + 0.5 * jacobian.gram(u) / scale

    rows = recovered - jnp.mean(recovered, axis=1, keepdims=True)  # labels' rows are so
    found = conjugate_gradients(
        prior_and_noise, rows, num_iterations=iterations, tolerance=1e-6
    )
    return inference_from_scores(rows - noise * found.best_solution)
