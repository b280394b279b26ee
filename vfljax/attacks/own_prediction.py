"""Read labels off one's own bottom model, without any gradient.

Where logits are summed, a party's embedding has one entry per class, under the label
party's names: once trained, its arg-max predicts the label. No defense of messages can
take that away, as the training itself teaches it; it is what any attack on a trained
model's messages must beat. (With a trainable top model there are no names to read:
that is what model completion is for, Fu et al. 2022.)
"""

import dataclasses

from vfljax.attacks.base import Attack, GradientView, Inference, inference_from_scores
from vfljax.known import NOTHING, Known
from vfljax.protocol import (
    BatchGradientView,
    SampleGradientView,
    check_view,
    own_embedding,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class OwnPrediction(Attack):
    """Read labels off the adversary's own bottom model, without any gradient."""

    plaintext: bool = False
    """Whether the row says that the protocol is the plaintext one rather than the
    encrypted one; to this attack it makes no difference."""
    needs_sum_of_logits = True

    @property
    def sees(self):
        """The view of the protocol named."""
        return SampleGradientView if self.plaintext else BatchGradientView

    def __call__(self, key, view, known: Known = NOTHING) -> Inference:
        """Infers from one view; neither key nor knowledge is used."""
        return own_prediction(view)


def own_prediction(view: GradientView) -> Inference:
    """Infers labels from the adversary's own logits; the gradient is not used.

    `scores` are these logits H^p.
    """
    check_view(view)
    return inference_from_scores(own_embedding(view))
