"""An attack of one's own: whose message is most like this one's? Digits, plaintext.

The class below is all there is to it; `docs/your_own.md` says what each line means. It
stands beside a shipped attack that reads labels off messages, against noise and against
a defense that gives labels other names (CAE).
"""

from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp

from vfljax.attacks import (
    NOTHING,
    Attack,
    DirectInference,
    inference_from_scores,
)
from vfljax.defenses import CAE, DPGaussian, NoDefense
from vfljax.experiments import Data, Experiment
from vfljax.protocol import SampleGradientView


@dataclass(frozen=True, kw_only=True)
class NearestMessage(Attack):
    """Give each sample the label of the known sample whose message is most alike."""

    named_per_class: int = 2
    """Samples of each class in the attacked batch whose labels are known."""
    sees = SampleGradientView
    uses = ("labels",)
    knowledge = "a few labels of each class"

    def __call__(self, key, view, known=NOTHING):
        """Scores a class by the greatest cosine with a known message of it."""
        norms = jnp.linalg.norm(view.gradients, axis=1, keepdims=True)
        cosines = (view.gradients @ view.gradients.T) / (norms * norms.T)
        of_class = jax.nn.one_hot(known.labels, view.num_classes)[None]  # -1: zeros
        return inference_from_scores(
            jnp.max(jnp.where(of_class > 0, cosines[:, :, None], -1.0), axis=1)
        )


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Batches of 64 at step 0; small: three trials instead of ten."""
    return Experiment(
        name="own_attack",
        title="Handwritten digits: an attack of one's own beside a shipped one",
        data=Data(dataset="digits", split="rows"),
        batch_sizes=(64,),
        defenses={
            "none": NoDefense(),
            "cae": CAE(entropy_weight=(1.0,)),
            "dp_gaussian": DPGaussian(noise_std=(0.003, 0.01)),
        },
        attacks={
            "direct_inference": DirectInference(),
            "nearest_message": NearestMessage(),
            "nearest_of_three": NearestMessage(named_per_class=3),
        },
        num_trials=3 if scale == "small" else 10,
    )
