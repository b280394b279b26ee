"""What networks for texts have in common: token numbers and their vectors."""

import jax
import jax.numpy as jnp
from flax import linen as nn


def word_vectors(features, vocabulary_size, width):
    """Vectors (batch, length, width) of token numbers, and which are tokens.

    Padding, number 0, has the vector zero and its row of the table no gradient; a
    number that is not below `vocabulary_size` gives NaN. The table is called `words`
    and starts normal with deviation 1, as PyTorch's do. In a compact method only.
    """
    if features.ndim != 2:
        raise ValueError(
            f"features of shape {features.shape}: must be token numbers (batch, length)"
        )
    tokens = features.astype(jnp.int32)
    is_token = tokens != 0
    table = nn.Embed(vocabulary_size, width, embedding_init=_normal, name="words")
    return jnp.where(is_token[:, :, None], table(tokens), 0.0), is_token


def _normal(key, shape, dtype=jnp.float32):
    return jax.random.normal(key, (shape[0] * shape[1],), dtype).reshape(shape)
