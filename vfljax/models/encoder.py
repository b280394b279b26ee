"""A text encoder of BERT's kind: the bottom model of the text experiments."""

import functools

import jax.numpy as jnp
from flax import linen as nn

from vfljax.models.base import PartyModel
from vfljax.models.checks import check_counts, check_dropout
from vfljax.models.initializers import default_kernel, linear
from vfljax.models.stateful import is_dropping, stateful_model

_NORMAL = nn.initializers.normal(0.02)


class _Block(nn.Module):
    """Self attention and a two-layer map, each added and then normalized."""

    heads: int
    intermediate: int
    dropout: float

    @nn.compact
    def __call__(self, x, mask, is_training):
        is_kept = not is_dropping(self, is_training)
        attended = nn.MultiHeadDotProductAttention(
            num_heads=self.heads,
            dropout_rate=self.dropout,
            broadcast_dropout=False,
            deterministic=is_kept,
            kernel_init=_NORMAL,
            name="attention",
        )(x, mask=mask)
        attended = nn.Dropout(self.dropout, deterministic=is_kept)(attended)
        x = _layer_norm("attention_norm")(x + attended)
        y = nn.Dense(self.intermediate, kernel_init=_NORMAL, name="expansion")(x)
        y = nn.gelu(y, approximate=False)
        y = nn.Dense(x.shape[-1], kernel_init=_NORMAL, name="contraction")(y)
        y = nn.Dropout(self.dropout, deterministic=is_kept)(y)
        return _layer_norm("contraction_norm")(x + y)


class _TextEncoder(nn.Module):
    """Embeddings, blocks, mean over the tokens, and two linear layers."""

    embed: int
    vocabulary_size: int
    length: int
    hidden: int
    layers: int
    heads: int
    intermediate: int
    pooled: int
    dropout: float

    @nn.compact
    def __call__(self, features, is_training):
        if features.ndim != 2 or features.shape[1] > self.length:
            raise ValueError(
                f"features of shape {features.shape}: must be token numbers (batch, "
                f"length) with length <= {self.length}"
            )
        tokens = features.astype(jnp.int32)
        is_token = tokens != 0
        x = _embeddings(self.vocabulary_size, self.hidden, "words")(tokens)
        positions = jnp.arange(tokens.shape[1])[None]
        x = x + _embeddings(self.length, self.hidden, "positions")(positions)
        segments = jnp.zeros((1, 1), jnp.int32)
        x = x + _embeddings(2, self.hidden, "segments")(segments)
        x = _layer_norm("embedding_norm")(x)
        is_kept = not is_dropping(self, is_training)
        x = nn.Dropout(self.dropout, deterministic=is_kept)(x)
        for number in range(self.layers):
            x = _Block(
                heads=self.heads,
                intermediate=self.intermediate,
                dropout=self.dropout,
                name=f"block_{number}",
            )(x, is_token[:, None, None, :], is_training)
        total = jnp.where(is_token[:, :, None], x, 0.0).sum(axis=1)
        x = total / jnp.maximum(is_token.sum(axis=1, keepdims=True), 1)
        x = jnp.tanh(linear(x, self.pooled, default_kernel, "pooled"))
        return linear(x, self.embed, default_kernel, "output")


def text_encoder(
    *,
    embed: int,
    vocabulary_size: int = 30522,
    length: int = 64,
    hidden: int = 768,
    layers: int = 12,
    heads: int = 12,
    intermediate: int = 3072,
    pooled: int = 128,
    dropout: int | float = 0.1,
) -> PartyModel:
    """Returns a text encoder with BERT's blocks; the defaults are BERT-base's sizes.

    Features are token numbers (batch, at most `length`), given as whole numbers in
    float32 as all features are; 0 is padding, which no token attends to and the mean
    leaves out. The mean over the tokens goes through a layer of `pooled` units with
    tanh and a linear one, as for Yahoo Answers in the released code of Fu et al. (2022,
    https://www.usenix.org/conference/usenixsecurity22/presentation/fu-chong), which
    however masks no padding. A text without tokens has mean zero; a number that is not
    below `vocabulary_size` gives NaN. Encoder: Devlin et al. 2019,
    https://arxiv.org/abs/1810.04805.

    Weights start normal with deviation .02, the last two layers as PyTorch's do;
    `load_bert` puts in trained ones. Run it by `models.embed` or `models.run`; it has
    no running statistics. Equal arguments return the same object.

    Args:
        embed: Width of the embedding, >= 1.
        vocabulary_size: Number of different tokens, padding included, >= 2.
        length: Largest number of tokens of a text, >= 1.
        hidden: Width of the blocks, a multiple of `heads`.
        layers: Number of blocks, >= 1.
        heads: Number of attention heads, >= 1.
        intermediate: Width inside a block, >= 1.
        pooled: Width after the mean, >= 1.
        dropout: Share of units and of attention dropped in training, in [0, 1).

    Raises:
        ValueError: If a number is out of its range.
    """
    sizes = {
        "embed": embed,
        "vocabulary_size": vocabulary_size,
        "length": length,
        "hidden": hidden,
        "layers": layers,
        "heads": heads,
        "intermediate": intermediate,
        "pooled": pooled,
    }
    check_counts(**sizes)
    check_dropout(dropout)
    if vocabulary_size < 2:
        raise ValueError(f"vocabulary_size={vocabulary_size}: must be >= 2")
    if hidden % heads:
        raise ValueError(f"hidden={hidden}: must be a multiple of heads={heads}")
    return _cached_text_encoder(dropout=dropout, **sizes)


@functools.cache
def _cached_text_encoder(**sizes):
    return stateful_model(_TextEncoder(**sizes), has_statistics=False)


def _embeddings(number, hidden, name):
    """A table of `number` vectors."""
    return nn.Embed(number, hidden, embedding_init=_NORMAL, name=name)


def _layer_norm(name):
    """Layer normalization with BERT's epsilon."""
    return nn.LayerNorm(epsilon=1e-12, use_fast_variance=False, name=name)
