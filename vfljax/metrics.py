"""Comparisons of an inference with the truth; only metrics see both."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def accuracy(
    labels: Int[Array, " batch"], truth: Int[Array, " batch"]
) -> Float[Array, ""]:
    """Share of equal entries, in [0, 1]. A label of −1 ("no answer") never counts."""
    return jnp.mean((labels == truth).astype(jnp.float32))


def chance_accuracy(class_counts: Int[Array, " classes"]) -> Float[Array, ""]:
    """Accuracy to expect from always naming the most frequent class, in [1/C, 1].

    What an adversary reaches who knows how frequent the classes are among all samples
    and sees nothing of the batch.

    Args:
        class_counts: How many samples of the training set each class in play has.
    """
    return jnp.max(class_counts) / jnp.sum(class_counts)
