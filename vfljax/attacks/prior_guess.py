"""Guess the class that is most frequent among a few labels that are known."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from vfljax.attacks.base import Attack, inference_from_scores
from vfljax.known import NOTHING, Known
from vfljax.protocol import SampleGradientView


@dataclasses.dataclass(frozen=True, kw_only=True)
class PriorGuess(Attack):
    """Guess the class that is most frequent among a few labels that are known."""

    named_per_class: int = 1
    """Samples of each class in the attacked batch whose labels are known."""
    sees = SampleGradientView
    uses = ("labels",)
    knowledge = "a few labels"

    def __call__(self, key, view: Any, known: Known = NOTHING):
        """The same answer for every sample; arguments as for every attack."""
        counts = jnp.sum(jax.nn.one_hot(known.labels, view.num_classes), axis=0)
        return inference_from_scores(jnp.tile(counts[None], (len(view.gradients), 1)))
