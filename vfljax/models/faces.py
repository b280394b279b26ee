"""Convolutional networks for faces and photographs, of Melis et al. (S&P 2019)."""

import dataclasses
from typing import Any

from flax import linen as nn
from jaxtyping import Array, Float

from vfljax._checks import require
from vfljax.models.base import Params, PartyModel
from vfljax.models.convolution import Convolution, max_pool
from vfljax.models.initializers import glorot_uniform
from vfljax.models.network import Network
from vfljax.models.resnet import with_channels
from vfljax.models.stateful import from_linen, is_dropping, stateful_model


class _Faces(nn.Module):
    """Stages of convolutions with ReLU and one max pool, then two dense layers."""

    stages: tuple[tuple[int, ...], ...]
    hidden: int
    embed: int
    dropout: int | float
    pads: bool

    @nn.compact
    def __call__(self, images, is_training=False):
        x = with_channels(images)
        self._check_size(x.shape)
        is_kept = not is_dropping(self, is_training)
        for stage, widths in enumerate(self.stages, start=1):
            for number, width in enumerate(widths, start=1):
                name = f"conv_{stage}_{number}" if len(widths) > 1 else f"conv_{stage}"
                seen = x if self.pads else _seen_by_the_pool(x)
                x = nn.relu(self._convolution(width, name)(seen))
            x = max_pool(x)
            self.sow("intermediates", f"pool_{stage}", x)
            x = nn.Dropout(self.dropout, deterministic=is_kept)(x)
        x = nn.relu(_dense(self.hidden, "hidden")(x.reshape(len(x), -1)))
        self.sow("intermediates", "hidden_output", x)
        return _dense(self.embed, "output")(x)

    def _convolution(self, width, name):
        """Keeps patches, as that is faster where many batches' gradients are mapped.

        Padded ones are of large images, whose patches would fill the memory.
        """
        return Convolution(
            width,
            3,
            1,
            glorot_uniform,
            nn.initializers.zeros,
            pads=self.pads,
            keeps_patches=not self.pads,
            name=name,
        )

    def _check_size(self, shape):
        """Raises a `ValueError` for images of which the last pool leaves nothing."""
        least = 1
        for _ in self.stages:
            least = 2 * least + (0 if self.pads else 2)
        if min(shape[1:3]) < least:
            raise ValueError(
                f"features of shape {shape}: must be images of {least} x {least} "
                f"pixels or more, of which {len(self.stages)} max pools leave something"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class FaceCNN(Network):
    """Three 3×3 convolutions with ReLU and max pool, then two linear layers.

    Convolutions are not padded and pools take the largest of each 2×2 square, so that
    images of 62×47 come down to 6×4 with 128 channels: 3,072 inputs of the hidden
    layer, which has ReLU. Images are of 22×22 or more. Weights start Glorot-uniform,
    biases at zero. The network of Melis et al. (2019,
    https://arxiv.org/abs/1805.04049) for LFW and FaceScrub.

    With dropout, run it by `models.embed` or `models.run`; `apply` raises.
    """

    filters: tuple[int, ...] = (32, 64, 128)
    """Filters of each convolution, at least 1; as many convolutions as numbers."""
    hidden: int = 256
    """Width of the linear layer before the last, at least 1."""
    dropout: int | float = 0.0
    """Share of units dropped in training after each max pool, in [0, 1)."""

    def check(self) -> None:
        """Checks the ranges."""
        _check(self)

    def build(self, embed: int) -> PartyModel:
        """Builds one party's network."""
        return _model(self._module(embed))

    def layer_outputs(
        self, params: Params, images: Float[Array, "batch ..."]
    ) -> dict[str, Float[Array, "batch ..."]]:
        """What the layers put out in evaluation mode, by their names.

        `params` are those of the whole network, of any width of embedding.

        Returns:
            `pool_1`, `pool_2`, ... (batch, height, width, channels): after each max
            pool. `hidden` (batch, units): after the linear layer with ReLU.

        Example:
            >>> import jax, jax.numpy as jnp
            >>> from vfljax.models import FaceCNN
            >>> images = jnp.ones((4, 12, 10))
            >>> network = FaceCNN(filters=(2, 3), hidden=5)
            >>> params = network.make(2).init(jax.random.key(0), images)
            >>> outputs = network.layer_outputs(params, images)
            >>> {layer: output.shape for layer, output in outputs.items()}
            {'pool_1': (4, 5, 4, 2), 'pool_2': (4, 1, 1, 3), 'hidden': (4, 5)}
        """
        embed = params["output"]["kernel"].shape[1]
        _, kept = self._module(embed).apply(
            {"params": params}, images, mutable=["intermediates"]
        )
        names = [f"pool_{stage}" for stage, _ in enumerate(self.filters, start=1)]
        outputs = {name: kept["intermediates"][name][0] for name in names}
        return outputs | {"hidden": kept["intermediates"]["hidden_output"][0]}

    def _module(self, embed: int) -> Any:
        stages = tuple((width,) for width in self.filters)
        return _Faces(stages, self.hidden, embed, self.dropout, pads=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FaceVGG(Network):
    """Ten layers with weights after VGG: eight 3×3 convolutions and two linear layers.

    Twice a convolution and a max pool, three times two convolutions and a max pool,
    all with ReLU and padded by zeros, then a hidden layer with ReLU and the last one.
    The network of Melis et al. (2019, https://arxiv.org/abs/1805.04049) for photographs
    of 128×128. The paper does not say the widths; these are half of VGG's (Simonyan and
    Zisserman 2015, https://arxiv.org/abs/1409.1556). Images are of 32×32 or more.
    Weights start Glorot-uniform, biases at zero.

    With dropout, run it by `models.embed` or `models.run`; `apply` raises.
    """

    filters: tuple[int, ...] = (32, 64, 128, 256, 256)
    """Filters of the convolutions before each of five max pools, at least 1."""
    hidden: int = 512
    """Width of the linear layer before the last, at least 1."""
    dropout: int | float = 0.0
    """Share of units dropped in training after each max pool, in [0, 1)."""

    def check(self) -> None:
        """Checks the ranges, and that there are five widths."""
        allowed = "five widths, one for each max pool"
        require(len(self.filters) == 5, "filters", self.filters, allowed)
        _check(self)

    def build(self, embed: int) -> PartyModel:
        """Builds one party's network."""
        first, second, *others = self.filters
        stages = (first,), (second,), *((width, width) for width in others)
        return _model(_Faces(stages, self.hidden, embed, self.dropout, pads=True))


def _check(network):
    """Raises a `ValueError` for an option outside its range."""
    for width in network.filters:
        require(width >= 1, "filters", width, ">= 1")
    require(len(network.filters) > 0, "filters", network.filters, "one width or more")
    require(network.hidden >= 1, "hidden", network.hidden, ">= 1")
    require(0 <= network.dropout < 1, "dropout", network.dropout, "in [0, 1)")


def _model(module):
    """The model of a module with dropout, and the plain one of a module without."""
    if module.dropout == 0:
        return from_linen(module)
    return stateful_model(module, has_statistics=False, drops=True)


def _dense(width, name):
    """A linear layer that starts as Glorot has it; in a compact method only."""
    zeros = nn.initializers.zeros
    return nn.Dense(width, kernel_init=glorot_uniform, bias_init=zeros, name=name)


def _seen_by_the_pool(x):
    """Without what leads to an odd last row or column, which a pool leaves out."""
    return x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2]
