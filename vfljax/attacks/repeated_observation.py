"""Combine what several epochs give away about the same samples.

A sample's message is sent anew in every epoch, B·u_t = S_t − ỹ + η_t with the same
label in it and fresh noise. For amplitudes a_t of the signal and noise of equal size
the matched filter Σ_t a_t·B·u_t has the highest signal-to-noise ratio (North 1943); it
grows as the square root of the number of epochs, for ever.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float

from vfljax.attacks.base import Inference, inference_from_scores


class CombinationInfo(NamedTuple):
    """Diagnostics: the weight of each observation; they sum to one."""

    weights: Float[Array, " observations"]


def repeated_observation(
    recovered: Float[Array, "observations batch classes"],
    noise_std: int | float | Float[Array, ""] = 0.0,
) -> Inference:
    """Infers labels from several recovered messages about each sample.

    Args:
        recovered: −B·u of every observation, in the same order of samples: the scores
            of `linear_recovery` or `direct_inference`.
        noise_std: Standard deviation of the noise in an entry of B·u, >= 0. The
            amplitude of observation t is estimated as a_t² = max(mean square of B·u
            − σ², 0), so that late epochs of a fitted model do not add mere noise.

    Returns:
        `scores` (batch, classes) are the weighted mean of `recovered`; weights are
        equal where no observation has a signal. They are messages themselves, so
        `cluster_matching.cluster_rows` may name what an encoder renamed. The `info` is
        a `CombinationInfo`.

    Raises:
        ValueError: If there is no observation, or for a negative `noise_std`.
    """
    if recovered.shape[0] == 0:
        raise ValueError("recovered: no observation, must have at least one")
    if not isinstance(noise_std, Tracer) and not noise_std >= 0:
        raise ValueError(f"noise_std={noise_std}: must be >= 0")
    power = jnp.mean(recovered**2, axis=(1, 2)) - jnp.square(noise_std)
    amplitude = jnp.sqrt(jnp.maximum(power, 0.0))
    total = jnp.sum(amplitude)
    equal = jnp.full_like(amplitude, 1.0 / len(amplitude))
    weights = jnp.where(total > 0, amplitude / jnp.where(total > 0, total, 1.0), equal)
    scores = jnp.einsum("t,tbc->bc", weights, recovered)
    return inference_from_scores(scores, info=CombinationInfo(weights))
