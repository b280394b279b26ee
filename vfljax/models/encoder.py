"""A text encoder of BERT's kind: the bottom model of the text experiments."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from vfljax._checks import require
from vfljax.models.base import Params, PartyModel
from vfljax.models.bert_weights import read_bert
from vfljax.models.initializers import default_kernel, linear
from vfljax.models.network import Network
from vfljax.models.stateful import is_dropping, stateful_model

_NORMAL = nn.initializers.normal(0.02)


class _Block(nn.Module):
    """Self attention and a two-layer map, each added and then normalized."""

    options: "TextEncoder"

    @nn.compact
    def __call__(self, x, mask, is_training):
        options = self.options
        is_kept = not is_dropping(self, is_training)
        attended = nn.MultiHeadDotProductAttention(
            num_heads=options.heads,
            dropout_rate=options.dropout,
            broadcast_dropout=False,
            deterministic=is_kept,
            kernel_init=_NORMAL,
            name="attention",
        )(x, mask=mask)
        attended = nn.Dropout(options.dropout, deterministic=is_kept)(attended)
        x = _layer_norm("attention_norm")(x + attended)
        y = nn.Dense(options.intermediate, kernel_init=_NORMAL, name="expansion")(x)
        y = nn.gelu(y, approximate=False)
        y = nn.Dense(x.shape[-1], kernel_init=_NORMAL, name="contraction")(y)
        y = nn.Dropout(options.dropout, deterministic=is_kept)(y)
        return _layer_norm("contraction_norm")(x + y)


class _TextEncoder(nn.Module):
    """Embeddings, blocks, mean over the tokens, and two linear layers."""

    embed: int
    options: "TextEncoder"

    @nn.compact
    def __call__(self, features, is_training):
        options = self.options
        if features.ndim != 2 or features.shape[1] > options.length:
            raise ValueError(
                f"features of shape {features.shape}: must be token numbers (batch, "
                f"length) with length <= {options.length}"
            )
        tokens = features.astype(jnp.int32)
        is_token = tokens != 0
        x = _embeddings(options.vocabulary_size, options.hidden, "words")(tokens)
        positions = jnp.arange(tokens.shape[1])[None]
        x = x + _embeddings(options.length, options.hidden, "positions")(positions)
        segments = jnp.zeros((1, 1), jnp.int32)
        x = x + _embeddings(2, options.hidden, "segments")(segments)
        x = _layer_norm("embedding_norm")(x)
        is_kept = not is_dropping(self, is_training)
        x = nn.Dropout(options.dropout, deterministic=is_kept)(x)
        for number in range(options.layers):
            block = _Block(options, name=f"block_{number}")
            x = block(x, is_token[:, None, None, :], is_training)
        total = jnp.where(is_token[:, :, None], x, 0.0).sum(axis=1)
        x = total / jnp.maximum(is_token.sum(axis=1, keepdims=True), 1)
        x = jnp.tanh(linear(x, options.pooled, default_kernel, "pooled"))
        return linear(x, self.embed, default_kernel, "output")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextEncoder(Network):
    """A text encoder with BERT's blocks per party, on token numbers.

    Features are token numbers (batch, at most `length`), given as whole numbers in
    float32 as all features are; 0 is padding, which no token attends to and the mean
    leaves out. The mean over the tokens goes through a layer of `pooled` units with
    tanh and a linear one, as for Yahoo Answers in the released code of Fu et al. (2022,
    https://www.usenix.org/conference/usenixsecurity22/presentation/fu-chong), which
    however masks no padding. A text without tokens has mean zero; a number that is not
    below `vocabulary_size` gives NaN. Encoder: Devlin et al. 2019,
    https://arxiv.org/abs/1810.04805; the defaults are BERT-base's sizes.

    Weights start normal with deviation .02, the last two layers as PyTorch's do;
    `weights` are trained ones. Run it by `models.embed` or `models.run`; it has
    no running statistics.
    """

    vocabulary_size: int = 30522
    """Number of different tokens, padding included, >= 2."""
    length: int = 64
    """Largest number of tokens of one party's text, >= 1."""
    hidden: int = 768
    """Width of a token's vector, a multiple of the number of heads."""
    layers: int = 12
    """Number of blocks of attention, >= 1."""
    heads: int = 12
    """Number of attention heads, >= 1."""
    intermediate: int = 3072
    """Width between the two dense layers of a block, >= 1."""
    pooled: int = 128
    """Width after the mean over tokens, >= 1."""
    dropout: int | float = 0.1
    """Share of units and of attention dropped in training, in [0, 1)."""
    weights: str | None = None
    """A safetensors file with the weights of a BERT model, from which every party's
    encoder starts; None for random ones."""

    def check(self) -> None:
        """Checks the ranges, and that the file is there."""
        for field in dataclasses.fields(self):
            if field.type is int:
                low = 2 if field.name == "vocabulary_size" else 1
                size = getattr(self, field.name)
                require(size >= low, field.name, size, f">= {low}")
        require(0 <= self.dropout < 1, "dropout", self.dropout, "in [0, 1)")
        is_multiple = self.hidden % self.heads == 0
        require(is_multiple, "hidden", self.hidden, f"a multiple of heads={self.heads}")
        is_there = self.weights is None or Path(self.weights).is_file()
        require(is_there, "weights", self.weights, "a file")

    def build(self, embed: int) -> PartyModel:
        """Builds one party's network."""
        network = _TextEncoder(embed, self)
        drops = self.dropout > 0
        return stateful_model(network, has_statistics=False, drops=drops)

    def pretrained(self, embed: int, features) -> Params:
        """The encoder's embeddings and blocks, if they are in a file."""
        if self.weights is None:
            return {}
        init = self.make(embed).init
        shapes = jax.eval_shape(init, jax.random.key(0), features)
        return read_bert(self.weights, shapes)


def text_encoder(*, embed: int, **options: Any) -> PartyModel:
    """Returns `TextEncoder` of a width; equal arguments return the same object."""
    return TextEncoder(**options).make(embed)


def _embeddings(number, hidden, name):
    """A table of `number` vectors."""
    return nn.Embed(number, hidden, embedding_init=_NORMAL, name=name)


def _layer_norm(name):
    """Layer normalization with BERT's epsilon."""
    return nn.LayerNorm(epsilon=1e-12, use_fast_variance=False, name=name)
