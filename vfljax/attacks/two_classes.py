"""What attacks on messages about two classes have in common."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vfljax.protocol import SampleGradientView


def check_messages(view: SampleGradientView) -> None:
    """Raises a `ValueError` unless messages are (batch, embed), of two classes."""
    if view.num_classes != 2:
        raise ValueError(f"num_classes={view.num_classes}: must be 2")
    shape = np.shape(view.gradients)
    if len(shape) != 2 or 0 in shape:
        raise ValueError(
            f"gradients: shape {shape}, must be (batch, embed), none of them 0"
        )


def normalize(
    vectors: Float[Array, "*batch embed"],
) -> tuple[Float[Array, "*batch embed"], Float[Array, "*batch"]]:
    """Unit vectors along the last axis, zero for zero, and their Euclidean norms.

    Vectors are scaled first: squares of small entries would vanish in float32.
    """
    largest = jnp.max(jnp.abs(vectors), axis=-1, keepdims=True)
    scale = jnp.where(largest > 0, largest, 1.0)
    scaled = vectors / scale
    length = jnp.linalg.norm(scaled, axis=-1, keepdims=True)
    return scaled / jnp.maximum(length, 1.0), (scale * length)[..., 0]
