"""Tell two classes apart by the length of their gradients.

Li et al., "Label Leakage and Protection in Two-party Split Learning" (ICLR 2022,
https://arxiv.org/abs/2102.08504), the norm scoring function. Under cross-entropy the
gradient of a sample at the cut has the length |p_i − y_i|·‖dz_i/dH_i‖. A model that
predicts little else than how frequent the classes are is further off on the rare one.
"""

import dataclasses

import jax.numpy as jnp

from vfljax.attacks.base import Attack, Inference, inference_from_scores
from vfljax.attacks.two_classes import check_messages, normalize
from vfljax.known import NOTHING, Known
from vfljax.protocol import SampleGradientView


@dataclasses.dataclass(frozen=True, kw_only=True)
class NormScoring(Attack):
    """Tell two classes apart by the length of their messages (Li et al.)."""

    signed: bool = False
    """Whether messages are one number each, of which the sign is read in place of the
    length."""
    sees = SampleGradientView

    def __call__(self, key, view, known: Known = NOTHING) -> Inference:
        """Infers from one view; neither key nor knowledge is used."""
        return norm_scoring(view, signed=self.signed)


def norm_scoring(
    view: SampleGradientView, *, signed: bool = NormScoring.signed
) -> Inference:
    """Infers two classes from the gradient of each sample; longer ones are class 1.

    By convention class 1 is the rare one. Where it is not, the AUC is below ½ and
    `labels` tell the classes apart under each other's names.

    Args:
        view: Of a protocol with two classes; messages may have any width.
        signed: For messages of one number, where the sign is worth more than the
            length: dL/dz = (σ(z) − y)/B is negative for class 1 alone. The released
            code takes the number itself for the score, not its negative, so its AUC is
            0 where the labels are all given away.

    Returns:
        `scores` are (−s, s), where s is how far the norm lies above the middle between
        the smallest and the largest finite norm of the batch: the decision is that of
        VFLAIR, a norm above ½ after scaling the batch to [0, 1]. It is class 0 for all
        where all norms agree. `signed`: s is minus the gradient, and the decision its
        sign. −1 for rows with a NaN or infinity.

    Raises:
        ValueError: If there are not two classes, the gradients are not (batch, embed),
            or not (batch, 1) if `signed`.

    Example:
        >>> from vfljax.protocol import PartyModel
        >>> model = PartyModel(init=None, apply=lambda weights, x: x @ weights)
        >>> gradients = jnp.array([[0.1, 0.0], [-0.6, 0.8], [0.2, 0.1]])
        >>> view = SampleGradientView(model, jnp.eye(2), jnp.ones((3, 2)), gradients, 2)
        >>> norm_scoring(view).labels
        Array([0, 1, 0], dtype=int32)
    """
    check_messages(view)
    gradients = view.gradients
    if signed and gradients.shape[1] != 1:
        shape = gradients.shape
        raise ValueError(f"gradients: shape {shape}, must be (batch, 1) if signed=True")
    score = -gradients[:, 0] if signed else _above_middle(normalize(gradients)[1])
    return inference_from_scores(jnp.stack([-score, score], axis=1))


def _above_middle(norms):
    is_finite = jnp.isfinite(norms)
    smallest = jnp.min(norms, where=is_finite, initial=jnp.inf)
    largest = jnp.max(norms, where=is_finite, initial=0.0)
    return norms - 0.5 * (smallest + largest)
