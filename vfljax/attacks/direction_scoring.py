"""Tell two classes apart by the direction of their gradients, from one known sample.

Li et al., "Label Leakage and Protection in Two-party Split Learning" (ICLR 2022,
https://arxiv.org/abs/2102.08504), the direction scoring function. Under cross-entropy
the gradient of a sample at the cut is (p_i − y_i)·v_i with p_i in (0, 1), so the
factors of the two classes have opposite signs, and the directions v_i are much alike.
"""

import dataclasses
from typing import ClassVar, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int

from vfljax.attacks.base import (
    Attack,
    Inference,
    inference_from_scores,
    labels_in_words,
)
from vfljax.attacks.two_classes import check_messages, normalize
from vfljax.known import NOTHING, Known
from vfljax.protocol import SampleGradientView

Product = Literal["cosine", "inner"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DirectionScoring(Attack):
    """Tell two classes apart by the direction of their messages (Li et al.).

    Labels are all it knows: it takes messages for undefended ones.
    """

    named_per_class: int = 1
    """Known samples of each class in the batch, at least 1; those of class 1 are used,
    and none of them counts as inferred."""
    product: Product = "cosine"
    """Whether messages are compared by the cosine with a known positive's message or by
    the inner product with it."""
    sees = SampleGradientView
    uses = ("labels",)
    ranges: ClassVar = {"named_per_class": {"low": 1}}

    @property
    def knowledge(self) -> str | None:
        """What the attack uses besides its view."""
        return labels_in_words(self.named_per_class)

    def __call__(self, key, view, known: Known = NOTHING) -> Inference:
        """Infers from one view; the key is not used."""
        return direction_scoring(view, known.labels == 1, product=self.product)


class DirectionInfo(NamedTuple):
    """Diagnostics.

    Attributes:
        position: The known sample whose gradient the others are compared with.
        is_zero: Samples without a direction, as their gradient or the one compared
            with is zero; their score is 0 and says nothing.
    """

    position: Int[Array, ""]
    is_zero: Bool[Array, " batch"]


def direction_scoring(
    view: SampleGradientView,
    known: Bool[Array, " batch"],
    *,
    reference: Float[Array, " embed"] | None = None,
    product: Product = DirectionScoring.product,
) -> Inference:
    """Infers two classes from how far each gradient points the way of a known positive.

    Args:
        view: Of a protocol with two classes; messages may have any width.
        known: Samples that the adversary knows to be of class 1, at least one. Of
            several, the one with the longest gradient is compared with. May be traced;
            if none is known after all, there is no answer.
        reference: A gradient to compare with instead, such as that of a known sample
            without the defense's noise: an adversary stronger than any real one, but
            the one of the released code. By default the gradient as it was received.
        product: `"cosine"`, or `"inner"`: the length of the projection on the
            reference, that is the inner product up to one factor for the whole batch.
            Long gradients count more; the decision is the same, the AUC need not be.

    Returns:
        `scores` are (−s, s) with s the product. `labels` are class 1 where s > 0 and
        for those known, and −1 for rows with a NaN or infinity. Leave known samples
        out of an AUC. The `info` is a `DirectionInfo`.

    Raises:
        ValueError: If there are not two classes, shapes do not fit, no sample is known,
            or for an unknown product.

    Example:
        >>> from vfljax.protocol import PartyModel
        >>> model = PartyModel(init=None, apply=lambda weights, x: x @ weights)
        >>> gradients = jnp.array([[0.1, 0.1], [-0.3, -0.2], [0.0, 0.5]])
        >>> view = SampleGradientView(model, jnp.eye(2), jnp.ones((3, 2)), gradients, 2)
        >>> direction_scoring(view, jnp.array([True, False, False])).labels
        Array([1, 0, 1], dtype=int32)
    """
    DirectionScoring(product=product)  # checks it
    _check(view, known, reference)
    rows = view.gradients
    units, norms = normalize(rows)
    is_candidate = known & jnp.isfinite(norms)
    position = jnp.argmax(jnp.where(is_candidate, norms, -1.0))
    if reference is None:
        reference = jnp.where(jnp.any(is_candidate), rows[position], jnp.nan)
    unit, norm = normalize(reference)
    # Not a matrix product, which accelerators may round to fewer digits.
    score = jnp.sum((units if product == "cosine" else rows) * unit[None], axis=1)
    is_zero = (norms == 0) | (norm == 0)
    inference = inference_from_scores(
        jnp.stack([-score, score], axis=1), info=DirectionInfo(position, is_zero)
    )
    labels = jnp.where(known & (inference.labels >= 0), 1, inference.labels)
    return inference._replace(labels=labels)


def _check(view, known, reference):
    check_messages(view)
    shape = np.shape(view.gradients)
    if known.shape != shape[:1]:
        raise ValueError(f"known: shape {known.shape}, must be ({shape[0]},)")
    if not isinstance(known, Tracer) and not np.any(known):
        raise ValueError("known: no sample is known, must be at least one")
    if reference is not None and reference.shape != shape[1:]:
        raise ValueError(f"reference: shape {reference.shape}, must be ({shape[1]},)")
