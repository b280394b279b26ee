"""An attack of one's own: whose message is most like this one's? Digits, plaintext.

The class below is all there is to it; `docs/your_own.md` says what each line means. It
stands beside two shipped attacks, against a defense that changes what labels look like.
"""

from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp

from vfljax.attacks import Attack, DirectInference, inference_from_scores
from vfljax.defenses import DPGaussian, NoDefense, Sparsification
from vfljax.experiments import Data, Experiment
from vfljax.known import NOTHING
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
        title="Handwritten digits: an attack of one's own beside two others",
        data=Data(dataset="digits", split="rows"),
        batch_sizes=(64,),
        defenses={
            "none": NoDefense(),
            "dp_gaussian": DPGaussian(noise_std=(0.003, 0.01)),
            "sparsification": Sparsification(keep_fraction=(0.1,)),
        },
        attacks={
            "direct_inference": DirectInference(),
            "nearest_message": NearestMessage(),
            "nearest_of_many": NearestMessage(named_per_class=3),
        },
        num_trials=3 if scale == "small" else 10,
    )
