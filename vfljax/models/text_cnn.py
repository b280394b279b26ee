"""A convolutional network on texts: windows of words, and the largest of each."""

import dataclasses

import jax.numpy as jnp
from flax import linen as nn

from vfljax._checks import require
from vfljax.models.base import PartyModel
from vfljax.models.initializers import default_bias, default_kernel, linear
from vfljax.models.network import Network
from vfljax.models.stateful import from_linen, is_dropping, stateful_model
from vfljax.models.words import word_vectors


class _TextCNN(nn.Module):
    """Words, windows with ReLU, the largest of each filter, one or two dense layers."""

    embed: int
    options: "TextCNN"

    @nn.compact
    def __call__(self, features, is_training=False):
        options = self.options
        sizes = options.vocabulary_size, options.embedding
        x, is_token = word_vectors(features, *sizes)
        least = max(options.windows)
        if x.shape[1] < least:
            raise ValueError(
                f"features of shape {features.shape}: must be texts of {least} token "
                "numbers or more, the largest window; pad them by zeros"
            )
        largest = []
        for size in options.windows:
            shape = (size, x.shape[2], options.filters)
            kernel = self.param(f"window_{size}_kernel", default_kernel, shape)
            start = default_bias(size * x.shape[2])
            bias = self.param(f"window_{size}_bias", start, (options.filters,))
            y = nn.relu(over_time(x, kernel) + bias[None, None])
            is_window = over_time(is_token[:, :, None], jnp.ones((size, 1, 1))) > 0
            largest.append(jnp.max(jnp.where(is_window, y, 0.0), axis=1))
        x = jnp.concatenate(largest, axis=1)
        is_kept = not is_dropping(self, is_training)
        x = nn.Dropout(options.dropout, deterministic=is_kept)(x)
        if options.hidden is not None:
            x = nn.relu(linear(x, options.hidden, default_kernel, "hidden"))
        return linear(x, self.embed, default_kernel, "output")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextCNN(Network):
    """Windows of a text's words, each filter's largest answer, and linear layers.

    Features are token numbers (batch, length), given as whole numbers in float32 as all
    features are, and at least as many as the largest window has words; 0 is padding,
    which has the vector zero and no gradient. Each window has its filters, with ReLU,
    at every place where it fits, and the largest answer of each filter over the whole
    text goes on. A window of padding alone does not count, one with some padding does:
    with as much padding as the largest window less one, more of it changes nothing. A
    text without tokens gives zeros. A number that is not below `vocabulary_size` gives
    NaN. Layers start as PyTorch's do.

    The network of Melis et al. (2019, https://arxiv.org/abs/1805.04049) for check-ins
    and, with `hidden=None`, for short reviews. Their pools over l − h places, of the
    l − h + 1 that a window of h words has in a text of l, would leave out the last one;
    here all count.

    With dropout, run it by `models.embed` or `models.run`; `apply` raises.
    """

    vocabulary_size: int
    """Number of different tokens, padding included, at least 2."""
    embedding: int = 320
    """Width of a word's vector, at least 1."""
    filters: int = 100
    """Filters of each window, at least 1."""
    windows: tuple[int, ...] = (3, 4, 5)
    """Words in each kind of window, at least 1, all different."""
    hidden: int | None = 128
    """Width of the linear layer before the last, at least 1; None for no such layer."""
    dropout: int | float = 0.0
    """Share of units dropped in training after the pools, in [0, 1)."""

    def check(self) -> None:
        """Checks the ranges."""
        size, hidden, windows = self.vocabulary_size, self.hidden, self.windows
        require(size >= 2, "vocabulary_size", size, ">= 2")
        require(self.embedding >= 1, "embedding", self.embedding, ">= 1")
        require(self.filters >= 1, "filters", self.filters, ">= 1")
        is_fit = 0 < len(set(windows)) == len(windows) and min(windows) >= 1
        require(is_fit, "windows", windows, "one or more different numbers >= 1")
        require(hidden is None or hidden >= 1, "hidden", hidden, ">= 1")
        require(0 <= self.dropout < 1, "dropout", self.dropout, "in [0, 1)")

    def build(self, embed: int) -> PartyModel:
        """Builds one party's network."""
        network = _TextCNN(embed, self)
        if self.dropout == 0:
            return from_linen(network)
        return stateful_model(network, has_statistics=False, drops=True)


def over_time(x, kernel):
    """A kernel (words, width, filters) at every place of texts (batch, time, width).

    Each word of the kernel is a product with all words of the texts, so that no windows
    are cut out: these would take up several times the memory.
    """
    size, places = len(kernel), x.shape[1] - len(kernel) + 1
    products = [x[:, first : first + places] @ kernel[first] for first in range(size)]
    return sum(products[1:], start=products[0])
