"""Combine what several epochs give away about the same samples.

A sample's message is sent anew in every epoch, B·u_t = S_t − ỹ + η_t with the same
label in it and fresh noise. For amplitudes a_t of the signal and noise of equal size
the matched filter Σ_t a_t·B·u_t has the highest signal-to-noise ratio (North 1943); it
grows as the square root of the number of epochs, for ever.
"""

import dataclasses
from typing import ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from vfljax._checks import check_number
from vfljax.attacks.base import (
    Attack,
    Inference,
    Number,
    inference_from_scores,
    labels_in_words,
)
from vfljax.attacks.clustering import cluster_rows
from vfljax.attacks.reading import ReadsMessages
from vfljax.known import NOTHING, Known


@dataclasses.dataclass(frozen=True, kw_only=True)
class RepeatedObservation(ReadsMessages):
    """Combine what all training steps so far gave away about the same samples."""

    named_per_class: int = 0
    """Known samples of each class, at least 0; above 0 the combined messages are
    clustered and the clusters named by these samples, as in cluster matching."""
    ranges: ClassVar = {"named_per_class": {"low": 0}}

    @property
    def uses(self) -> tuple[str, ...]:
        """What it knows; the attack of which it has the answers knows its own."""
        return "earlier", "noise_std", "labels"

    @property
    def builds_on(self) -> Attack:
        """The attack whose recovered messages of every step are combined."""
        return self.of

    @property
    def knowledge(self) -> str | None:
        """What the attack uses besides its view."""
        words = "earlier messages about the same samples, the noise scale"
        named = self.named_per_class
        return f"{words}, {labels_in_words(named)}" if named else words

    @property
    def source(self) -> Attack | None:
        """None: it has no messages of one view."""
        return None

    def fits(self, task) -> str | None:
        """Observations must be of the same samples, and in order."""
        experiment = task.experiment
        if not experiment.same_samples:
            return "of: combines observations, same_samples=False must be True"
        steps = tuple(experiment.train_steps)
        if steps != tuple(sorted(steps)):
            return f"of: looks back, train_steps={steps} must be in ascending order"
        return super().fits(task)

    def __call__(self, key, view, known: Known = NOTHING) -> Inference:
        """Infers from the answers so far; clusters have names if `labels` are known."""
        recovered, own = (jnp.stack(part) for part in zip(*known.earlier, strict=True))
        combined = repeated_observation(recovered, known.noise_std)
        if self.named_per_class == 0:
            return combined
        rows = -combined.scores - jnp.einsum("t,tbc->bc", combined.info.weights, own)
        return cluster_rows(key, rows, known.get("labels"))


class CombinationInfo(NamedTuple):
    """Diagnostics: the weight of each observation; they sum to one."""

    weights: Float[Array, " observations"]


def repeated_observation(
    recovered: Float[Array, "observations batch classes"],
    noise_std: Number = 0.0,
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
        `attacks.cluster_rows` may name what an encoder renamed. The `info` is
        a `CombinationInfo`.

    Raises:
        ValueError: If there is no observation, or for a negative `noise_std`.
    """
    if recovered.shape[0] == 0:
        raise ValueError("recovered: no observation, must have at least one")
    check_number("noise_std", noise_std, low=0)
    power = jnp.mean(recovered**2, axis=(1, 2)) - jnp.square(noise_std)
    amplitude = jnp.sqrt(jnp.maximum(power, 0.0))
    total = jnp.sum(amplitude)
    equal = jnp.full_like(amplitude, 1.0 / len(amplitude))
    weights = jnp.where(total > 0, amplitude / jnp.where(total > 0, total, 1.0), equal)
    scores = jnp.einsum("t,tbc->bc", weights, recovered)
    return inference_from_scores(scores, info=CombinationInfo(weights))
