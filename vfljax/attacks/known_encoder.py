"""Decode recovered messages with the label encoder in hand.

An autoencoder that protects labels (Zou et al. 2022,
https://arxiv.org/abs/2112.05409, section 6) is one table of C soft labels. Whoever gets
hold of it, from a colluding employee or because it was shared for prediction, reads

    y_i = argmin_c ‖(S_i − B·u_i) − ỹ_c‖²,      S_i ≈ softmax(H^p_i),

as B·u_i = S_i − ỹ_{y_i}: the adversary's own logits stand in for the sum of all.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vfljax.attacks.base import Inference, inference_from_scores
from vfljax.protocol import BatchGradientView, SampleGradientView, check_view


def known_encoder(
    view: BatchGradientView | SampleGradientView,
    recovered: Float[Array, "batch classes"],
    codebook: Float[Array, "classes classes"],
) -> Inference:
    """Infers labels from recovered messages and the encoder's soft labels.

    Args:
        view: Of either protocol.
        recovered: −B·u, the scores of `linear_recovery` or `direct_inference`.
        codebook: Row c is the soft label ỹ_c of class c; the identity without encoder.

    Returns:
        `scores` are the negative squared distances.

    Raises:
        ValueError: If the shapes do not fit.
    """
    check_view(view)
    if codebook.shape != (view.num_classes, view.num_classes):
        raise ValueError(
            f"codebook: shape {codebook.shape}, must be ({view.num_classes}, "
            f"{view.num_classes})"
        )
    own = jax.nn.softmax(view.model.apply(view.params, view.features))
    if recovered.shape != own.shape:
        raise ValueError(f"recovered: shape {recovered.shape}, must be {own.shape}")
    target = own + recovered
    distances = jnp.sum((target[:, None] - codebook[None]) ** 2, axis=2)
    return inference_from_scores(-distances)
