"""A recurrent network on texts: words, a gated recurrent unit, a linear layer."""

import dataclasses

import jax
import jax.numpy as jnp
from flax import linen as nn

from vfljax._checks import require
from vfljax.models.base import PartyModel
from vfljax.models.initializers import default_bias, default_kernel, linear
from vfljax.models.network import Network
from vfljax.models.stateful import from_linen
from vfljax.models.words import word_vectors


class _GRU(nn.Module):
    """A gated recurrent unit over time: the state after the last token.

    With the sigmoid σ and what is given at time t, x,

        r = σ(W_r x + U_r h + b_r),      z = σ(W_z x + U_z h + b_z)
        n = tanh(W_n x + b_n + r (U_n h + c_n)),      h ← (1 − z) n + z h

    All W x are one product before the loop; h starts at zero.
    """

    width: int

    @nn.compact
    def __call__(self, x, is_token):
        width, start = self.width, default_bias(self.width)
        given = nn.Dense(3 * width, kernel_init=start, bias_init=start, name="given")(x)
        state = self.param("state", start, (width, 3 * width))
        bias = self.param("state_bias", start, (width,))

        def move(h, of_time):
            given, is_token = of_time
            kept = h @ state
            reset, update = jnp.split(
                nn.sigmoid(given[:, : 2 * width] + kept[:, : 2 * width]), 2, axis=1
            )
            inner = kept[:, 2 * width :] + bias[None]
            new = jnp.tanh(given[:, 2 * width :] + reset * inner)
            moved = (1 - update) * new + update * h
            return jnp.where(is_token[:, None], moved, h), None

        of_times = jnp.swapaxes(given, 0, 1), is_token.T
        return jax.lax.scan(move, jnp.zeros((len(x), width), x.dtype), of_times)[0]


class _GRUClassifier(nn.Module):
    """Words, the recurrent unit and a linear layer."""

    embed: int
    options: "GRUClassifier"

    @nn.compact
    def __call__(self, features):
        options = self.options
        sizes = options.vocabulary_size, options.embedding
        x, is_token = word_vectors(features, *sizes)
        x = _GRU(options.hidden, name="gru")(x, is_token)
        return linear(x, self.embed, default_kernel, "output")


@dataclasses.dataclass(frozen=True, kw_only=True)
class GRUClassifier(Network):
    """A gated recurrent unit over a text's words, and a linear layer on its last state.

    Features are token numbers (batch, length), given as whole numbers in float32 as all
    features are; 0 is padding, which does not move the state, wherever it stands, and
    has no gradient. A text without tokens has state zero; a number that is not below
    `vocabulary_size` gives NaN. Layers start as PyTorch's do. The network of Melis et
    al. (2019, https://arxiv.org/abs/1805.04049) for reviews; unit: Cho et al. (2014,
    https://arxiv.org/abs/1406.1078), with the reset inside as in PyTorch.
    """

    vocabulary_size: int
    """Number of different tokens, padding included, at least 2."""
    embedding: int = 100
    """Width of a word's vector, at least 1."""
    hidden: int = 100
    """Width of the state, at least 1; unstated in the paper."""

    def check(self) -> None:
        """Checks the ranges."""
        size = self.vocabulary_size
        require(size >= 2, "vocabulary_size", size, ">= 2")
        require(self.embedding >= 1, "embedding", self.embedding, ">= 1")
        require(self.hidden >= 1, "hidden", self.hidden, ">= 1")

    def build(self, embed: int) -> PartyModel:
        """Builds one party's network."""
        return from_linen(_GRUClassifier(embed, self))
