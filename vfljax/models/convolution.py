"""Convolution and max pool that stay fast inside a compiled loop on a CPU."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn


class Convolution(nn.Module):
    """An odd, square convolution, by default padded by zeros to keep the image.

    XLA's CPU compiler knows fast code for a convolution's gradient at the top of a
    program, but not inside a loop such as `lax.scan`, where it is slower by an order
    of magnitude. On a CPU the convolution is hence computed as what it is, one matrix
    product of all patches with the kernel, which is as fast in both places. The
    patches, which take up `size`² images, are not kept for the gradient, but cut out
    again, unless `keeps_patches`.

    Attributes:
        width: Number of output channels.
        size: Height and width of the kernel; odd.
        stride: Distance between the pixels that are put out.
        kernel_init: How the kernel (size, size, inputs, width) starts.
        bias_init: How the bias (width,) starts; None for a convolution without bias.
        pads: Whether zeros are put around the image; without them it loses `size` − 1
            pixels in height and width.
        keeps_patches: Whether patches stay in memory for the gradient.
    """

    width: int
    size: int
    stride: int
    kernel_init: Callable
    bias_init: Callable | None = None
    pads: bool = True
    keeps_patches: bool = False

    @nn.compact
    def __call__(self, x):  # noqa: D102
        shape = (self.size, self.size, x.shape[-1], self.width)
        kernel = self.param("kernel", self.kernel_init, shape)
        if jax.default_backend() == "cpu":
            convolve = by_patches
            if not self.keeps_patches:
                convolve = jax.checkpoint(by_patches, static_argnums=(2, 3))
            x = convolve(x, kernel, self.stride, self.pads)
        else:
            x = by_library(x, kernel, self.stride, self.pads)
        if self.bias_init is None:
            return x
        return x + self.param("bias", self.bias_init, (self.width,))[None, None, None]


def by_library(x, kernel, stride, pads=True):
    """Convolves images (batch, height, width, channels) as the backend does."""
    margin = kernel.shape[0] // 2 if pads else 0
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=((margin, margin), (margin, margin)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def by_patches(x, kernel, stride, pads=True):
    """The same as a product of patches (..., size·size·channels) with the kernel."""
    size = kernel.shape[0]
    if pads:
        margin = (size // 2, size // 2)
        x = jnp.pad(x, ((0, 0), margin, margin, (0, 0)))
    height, width = (length - size + 1 for length in x.shape[1:3])
    patches = [
        x[:, row : row + height : stride, column : column + width : stride]
        for row in range(size)
        for column in range(size)
    ]
    return jnp.concatenate(patches, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])


def max_pool(x):
    """The largest of each 2×2 square of images; an odd last row or column is left out.

    The gradient goes to where the largest is, and at a tie in equal parts: XLA's own
    max pool gives all of it to the first place, by an operation that is slow on a CPU.
    """
    height, width = (length // 2 * 2 for length in x.shape[1:3])
    tops = jnp.maximum(x[:, 0:height:2], x[:, 1:height:2])
    return jnp.maximum(tops[:, :, 0:width:2], tops[:, :, 1:width:2])
