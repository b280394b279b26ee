"""Comparisons of an inference with the truth; only metrics see both."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def accuracy(
    labels: Int[Array, " batch"], truth: Int[Array, " batch"]
) -> Float[Array, ""]:
    """Share of equal entries, in [0, 1]. A label of −1 ("no answer") never counts."""
    return jnp.mean((labels == truth).astype(jnp.float32))


def chance_accuracy(truth: Int[Array, " batch"], num_classes: int) -> Float[Array, ""]:
    """Accuracy of always naming the most frequent class of the batch, in [1/C, 1].

    What an adversary reaches who knows which class is most frequent and sees nothing
    else. It is above 1/C, and most for small batches: with one sample it is 1.
    """
    return jnp.max(jnp.bincount(truth, length=num_classes)) / truth.shape[0]
