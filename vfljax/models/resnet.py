"""Residual networks for small images: the bottom models of the CIFAR experiments."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from vfljax._checks import require
from vfljax.models.base import Params, PartyModel, Statistics
from vfljax.models.convolution import Convolution
from vfljax.models.initializers import default_kernel, kaiming_normal, linear
from vfljax.models.network import Network
from vfljax.models.stateful import batch_norm, is_dropping, stateful_model


class _Block(nn.Module):
    """Two 3×3 convolutions beside a shortcut."""

    width: int
    stride: int
    shortcut: Callable
    activation: Callable
    kernel_init: Callable

    @nn.compact
    def __call__(self, x, is_training):
        first = Convolution(self.width, 3, self.stride, self.kernel_init, name="first")
        second = Convolution(self.width, 3, 1, self.kernel_init, name="second")
        y = batch_norm(is_training, "first_norm")(first(x))
        y = batch_norm(is_training, "second_norm")(second(self.activation(y)))
        if y.shape != x.shape:
            x = self.shortcut(x, self.width, self.stride, is_training)
        return self.activation(y + x)


class _ResNet(nn.Module):
    """A 3×3 stem, stages of blocks, average pool, dropout and a linear layer.

    Without `embed` the last feature map comes out, and pool and the rest are left out.
    """

    stem: int
    widths: tuple[int, ...]
    blocks: int
    embed: int | None
    shortcut: Callable
    activation: Callable
    kernel_init: Callable
    dropout: int | float = 0.0

    @nn.compact
    def __call__(self, images, is_training):
        x = with_channels(images)
        x = Convolution(self.stem, 3, 1, self.kernel_init, name="stem")(x)
        x = self.activation(batch_norm(is_training, "stem_norm")(x))
        for stage, width in enumerate(self.widths):
            for number in range(self.blocks):
                x = _Block(
                    width=width,
                    stride=2 if stage > 0 and number == 0 else 1,
                    shortcut=self.shortcut,
                    activation=self.activation,
                    kernel_init=self.kernel_init,
                    name=f"stage_{stage}_block_{number}",
                )(x, is_training)
        if self.embed is None:
            return x
        x = x.mean(axis=(1, 2))
        is_kept = not is_dropping(self, is_training)
        x = nn.Dropout(self.dropout, deterministic=is_kept)(x)
        return linear(x, self.embed, self.kernel_init, "output")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResNet(Network):
    """A residual network for small images per party, of He et al.'s CIFAR kind.

    A 3×3 convolution, then three stages of (depth - 2)/6 blocks with `width`,
    2·`width` and 4·`width` channels, the image halved between stages; shortcuts
    between stages have no parameters (`zero_padded`, "option A"); average pool, linear
    layer. Kernels start Kaiming-normal, as in the released code of Fu et al. (2022,
    https://www.usenix.org/conference/usenixsecurity22/presentation/fu-chong), whose
    bottom model is depth 20: 269,722 parameters for three channels and `embed=10`.
    Networks: He et al. 2016, https://arxiv.org/abs/1512.03385, section 4.2.

    Features are images (batch, height, width, channels) or (batch, height, width).
    Run it by `models.embed` or `models.run`; `apply` raises.
    """

    depth: int = 20
    """Number of layers, 6n + 2 for n >= 1 blocks per stage: 8, 14, 20, ..., 56, ..."""
    width: int = 16
    """Channels of the first stage, >= 1; the others have 2 and 4 times as many."""
    stages: int = 3
    """Number of stages, 0 to 3, after which pool and linear layer follow; 0 leaves one
    convolution."""

    def check(self) -> None:
        """Checks the ranges."""
        is_depth = self.depth >= 8 and self.depth % 6 == 2
        require(is_depth, "depth", self.depth, "6n + 2 with n >= 1, such as 8 or 20")
        require(0 <= self.stages <= 3, "stages", self.stages, "0, 1, 2 or 3")
        require(self.width >= 1, "width", self.width, ">= 1")

    def build(self, embed: int) -> PartyModel:
        """Builds one party's network."""
        return stateful_model(self._module(embed))

    def feature_map(
        self, params: Params, images: Float[Array, "batch ..."], statistics: Statistics
    ) -> Float[Array, "batch height width channels"]:
        """What `grad_cam` looks at: the last feature map, in evaluation mode.

        `params` are those of the whole network, of any width of embedding. Without
        stages it is the feature map of the first convolution.
        """
        variables = {"params": params, "batch_stats": statistics}
        found: Any = self._module(None).apply(variables, images, False)
        return found

    @staticmethod
    def embedding(
        params: Params, feature_map: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch embed"]:
        """The rest of the network: average pool and linear layer."""
        output = params["output"]
        return feature_map.mean(axis=(1, 2)) @ output["kernel"] + output["bias"][None]

    def _module(self, embed: int | None) -> nn.Module:
        """The linen module; without `embed` that of the last feature map."""
        return _ResNet(
            stem=self.width,
            widths=(self.width, 2 * self.width, 4 * self.width)[: self.stages],
            blocks=(self.depth - 2) // 6,
            embed=embed,
            shortcut=zero_padded,
            activation=nn.relu,
            kernel_init=kaiming_normal,
        )


def resnet(depth: int, *, embed: int, **options: Any) -> PartyModel:
    """Returns `ResNet` of a width; equal arguments return the same object.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from vfljax import models
        >>> model, images = resnet(8, embed=10, width=4), jnp.zeros((5, 32, 16, 3))
        >>> params = jax.jit(model.init)(jax.random.key(0), images)
        >>> forward = models.Forward(models.init_statistics(model, images))
        >>> embed = jax.jit(models.embed, static_argnums=0)
        >>> embed(model, params, images, forward).shape
        (5, 10)
    """
    return ResNet(depth=depth, **options).make(embed)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResNet18(Network):
    """ResNet-18 for small images per party, with LeakyReLU and dropout.

    A 3×3 convolution without max pool, four stages of two blocks with `width`, 2, 4
    and 8 times `width` channels, the image halved between stages; shortcuts between
    stages are 1×1 convolutions with batch normalization; average pool, dropout, linear
    layer. All layers start as PyTorch's do. The bottom model of the CIFAR experiments
    of Zou et al. (2022, https://arxiv.org/abs/2112.05409): 11,173,962 parameters for
    three channels and ten classes. Features and modes are those of `ResNet`.
    """

    width: int = 64
    """Channels of the first stage, >= 1."""
    negative_slope: int | float = 0.01
    """Slope of LeakyReLU below zero."""
    dropout: int | float = 0.5
    """Share of the pooled units dropped in training, in [0, 1)."""

    def check(self) -> None:
        """Checks the ranges."""
        require(self.width >= 1, "width", self.width, ">= 1")
        require(0 <= self.dropout < 1, "dropout", self.dropout, "in [0, 1)")

    def build(self, embed: int) -> PartyModel:
        """Builds one party's network."""
        slope = self.negative_slope
        network = _ResNet(
            stem=self.width,
            widths=tuple(self.width * times for times in (1, 2, 4, 8)),
            blocks=2,
            embed=embed,
            shortcut=_projected,
            activation=functools.partial(nn.leaky_relu, negative_slope=slope),
            kernel_init=default_kernel,
            dropout=self.dropout,
        )
        return stateful_model(network, drops=self.dropout > 0)


def resnet18(*, embed: int, **options: Any) -> PartyModel:
    """Returns `ResNet18` of a width; equal arguments return the same object."""
    return ResNet18(**options).make(embed)


def zero_padded(x, width, stride, is_training):
    """Option A: every `stride`-th pixel, and channels of zeros on both sides."""
    missing = width - x.shape[-1]
    sides = (missing // 2, missing - missing // 2)
    return jnp.pad(x[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), sides))


def _projected(x, width, stride, is_training):
    """Option B: a 1×1 convolution with batch normalization."""
    project = Convolution(width, 1, stride, default_kernel, name="shortcut")
    return batch_norm(is_training, "shortcut_norm")(project(x))


def with_channels(images):
    """Images (batch, height, width, channels), one channel if there was no axis."""
    if images.ndim not in (3, 4):
        raise ValueError(
            f"features of shape {images.shape}: must be images (batch, height, width) "
            "or (batch, height, width, channels)"
        )
    return images if images.ndim == 4 else images[..., None]
