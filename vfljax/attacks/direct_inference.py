"""Read the labels off per-sample gradients: direct label inference.

Fu et al. (2022, https://www.usenix.org/conference/usenixsecurity22/presentation/fu),
"direct label inference attack". Without model splitting a party receives
dL/dH_i = (softmax(H_i) − y_i)/B, whose only negative entry is the label.
"""

import dataclasses

import jax.numpy as jnp

from vfljax.attacks.base import Attack, Inference, inference_from_scores
from vfljax.known import NOTHING, Known
from vfljax.protocol import SampleGradientView, check_view


@dataclasses.dataclass(frozen=True, kw_only=True)
class DirectInference(Attack):
    """Read labels off per-sample gradients (plaintext protocol)."""

    sees = SampleGradientView
    needs_sum_of_logits = True
    recovers_messages = True

    def __call__(self, key, view, known: Known = NOTHING) -> Inference:
        """Infers from one view; neither key nor knowledge is used."""
        return direct_inference(view)


def direct_inference(view: SampleGradientView) -> Inference:
    """Infers labels from the gradient of each sample, exactly if it is undefended.

    Args:
        view: Of the plaintext protocol.

    Returns:
        `labels` are the most negative entry of each row (−1 for rows with a NaN),
        `published_labels` the *first* negative entry, as in the released code, and −1,
        a miss, where there is none. Under noise that readout is far weaker and tells
        more about itself than about the defense. `scores` are −B · dL/dH.

    Example:
        >>> import jax.numpy as jnp
        >>> from vfljax.protocol import PartyModel, SampleGradientView
        >>> model = PartyModel(init=None, apply=lambda weights, x: x @ weights)
        >>> gradients = jnp.array([[0.1, -0.3, 0.2], [-0.1, 0.3, -0.2]])
        >>> view = SampleGradientView(model, jnp.eye(3), jnp.ones((2, 3)), gradients, 3)
        >>> direct_inference(view).labels, direct_inference(view).published_labels
        (Array([1, 2], dtype=int32), Array([1, 0], dtype=int32))
    """
    check_view(view)
    is_negative = view.gradients < 0
    first = jnp.where(jnp.any(is_negative, axis=1), jnp.argmax(is_negative, axis=1), -1)
    batch = view.gradients.shape[0]
    return inference_from_scores(-batch * view.gradients, published_labels=first)
