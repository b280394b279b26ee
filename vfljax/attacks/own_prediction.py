"""Read labels off one's own bottom model, without any gradient.

Where logits are summed, a party's embedding has one entry per class, under the label
party's names: once trained, its arg-max predicts the label. No defense of messages can
take that away, as the training itself teaches it; it is what any attack on a trained
model's messages must beat. (With a trainable top model there are no names to read:
that is what model completion is for, Fu et al. 2022.)
"""

from vfljax.attacks.base import Inference, inference_from_scores
from vfljax.protocol import (
    BatchGradientView,
    SampleGradientView,
    check_view,
    own_embedding,
)


def own_prediction(view: BatchGradientView | SampleGradientView) -> Inference:
    """Infers labels from the adversary's own logits; the gradient is not used.

    Args:
        view: Of either protocol.

    Returns:
        `scores` are the adversary's logits H^p.

    Raises:
        ValueError: If the view's parts do not fit together.
    """
    check_view(view)
    return inference_from_scores(own_embedding(view))
