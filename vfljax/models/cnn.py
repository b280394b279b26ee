"""Small convolutional networks of the gradient attacks: the sigmoid CNN and LeNet."""

import dataclasses
from typing import Any

from flax import linen as nn

from vfljax._checks import require
from vfljax.models.base import PartyModel
from vfljax.models.convolution import Convolution
from vfljax.models.initializers import default_bias, default_kernel, linear
from vfljax.models.network import Network
from vfljax.models.resnet import with_channels
from vfljax.models.stateful import from_linen

_STRIDES = (2, 2, 1)
_SIZE = 5  # of every kernel


class _SigmoidCNN(nn.Module):
    """Three convolutions with sigmoid, and a linear layer."""

    width: int
    embed: int

    @nn.compact
    def __call__(self, images):
        x = with_channels(images)
        for number, stride in enumerate(_STRIDES):
            x = nn.sigmoid(_convolve(x, self.width, stride, f"conv_{number}"))
        x = x.reshape(len(x), -1)
        return linear(x, self.embed, default_kernel, "output")


class _LeNet(nn.Module):
    """Two convolutions with ReLU and max pool, and three linear layers."""

    embed: int

    @nn.compact
    def __call__(self, images):
        x = with_channels(images)
        for number, width in enumerate((6, 16)):
            x = nn.relu(_convolve(x, width, 1, f"conv_{number}"))
            x = nn.max_pool(x, (2, 2), strides=(2, 2))
        x = x.reshape(len(x), -1)
        for number, width in enumerate((120, 84)):
            x = nn.relu(linear(x, width, default_kernel, f"hidden_{number}"))
        return linear(x, self.embed, default_kernel, "output")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SigmoidCNN(Network):
    """Three 5×5 convolutions with sigmoid and a linear layer.

    Strides are 2, 2 and 1, so that the last layer has 588 inputs for `width=12` and
    images of 28×28. The network of Zhu et al. (2019, https://arxiv.org/abs/1906.08935),
    which has two derivatives everywhere, and the default of LLG (Wainakh et al. 2022,
    https://doi.org/10.2478/popets-2022-0043), both with `start_bound=0.5`.
    """

    width: int = 12
    """Filters of each convolution, at least 1."""

    def check(self) -> None:
        """Checks the range."""
        require(self.width >= 1, "width", self.width, ">= 1")

    def build(self, embed: int) -> PartyModel:
        """Builds one party's network."""
        return from_linen(_SigmoidCNN(width=self.width, embed=embed))


@dataclasses.dataclass(frozen=True, kw_only=True)
class LeNet(Network):
    """Two 5×5 convolutions with ReLU and max pool, then three linear layers.

    6 and 16 filters, 120 and 84 hidden units, after LeCun et al. (1998), with ReLU in
    place of its squashing functions.
    """

    def build(self, embed: int) -> PartyModel:
        """Builds one party's network."""
        return from_linen(_LeNet(embed=embed))


def _convolve(x: Any, width: int, stride: int, name: str) -> Any:
    """One convolution with PyTorch's default start; in a compact method only."""
    bias_init = default_bias(_SIZE**2 * x.shape[-1])
    return Convolution(width, _SIZE, stride, default_kernel, bias_init, name=name)(x)
