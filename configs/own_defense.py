"""A defense of one's own: silence about some samples. Digits, both protocols.

The class below is all there is to it; `docs/your_own.md` says what each line means. Its
strength is swept as that of any other, and attackers who know the defense know of it.
"""

from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp

from vfljax.attacks import (
    ClusterMatching,
    DirectInference,
    LinearRecovery,
    NoiseAwareRecovery,
)
from vfljax.defenses import Defense, NoDefense
from vfljax.experiments import Data, Experiment, Training


@dataclass(frozen=True, kw_only=True)
class Silence(Defense):
    """Send each sample's message with some probability, and zeros otherwise."""

    keep_probability: float | tuple[float, ...] = (0.9, 0.5, 0.1)
    """Probability in (0, 1] that a sample's message is sent; several are swept."""
    drops_entries = True

    def perturb(self, key, state, gradients, labels, sample_ids):
        """Drops rows of the message."""
        draws = jax.random.uniform(key, gradients.shape[:1])
        is_sent = draws < jnp.asarray(self.keep_probability)
        return jnp.where(is_sent[:, None], gradients, 0.0), state

    def public(self, batch_size, num_classes):
        """The share of the entries that is sent."""
        known = super().public(batch_size, num_classes)
        return known.replace(keep_fraction=self.keep_probability)


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Batches of 64 at step 0, 400 steps; small: two trials of 200 steps."""
    small = scale == "small"
    return Experiment(
        name="own_defense",
        title="Handwritten digits: silence about some samples",
        data=Data(dataset="digits", split="rows"),
        training=Training(
            steps=200 if small else 400, batch_size=64, learning_rate=0.01
        ),
        batch_sizes=(64,),
        defenses={"none": NoDefense(), "silence": Silence()},
        attacks={
            "direct_inference": DirectInference(),
            "linear_recovery": LinearRecovery(),
            "noise_aware": NoiseAwareRecovery(),
            "cluster_matching": ClusterMatching(),
        },
        num_trials=2 if small else 10,
    )
