"""A convolution that stays fast inside a compiled loop on a CPU."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn


class Convolution(nn.Module):
    """An odd, square convolution, padded by zeros to keep the image.

    XLA's CPU compiler knows fast code for a convolution's gradient at the top of a
    program, but not inside a loop such as `lax.scan`, where it is slower by an order
    of magnitude. On a CPU the convolution is hence computed as what it is, one matrix
    product of all patches with the kernel, which is as fast in both places. The
    patches, which take up `size`² images, are not kept for the gradient, but cut out
    again.

    Attributes:
        width: Number of output channels.
        size: Height and width of the kernel; odd.
        stride: Distance between the pixels that are put out.
        kernel_init: How the kernel (size, size, inputs, width) starts.
        bias_init: How the bias (width,) starts; None for a convolution without bias.
    """

    width: int
    size: int
    stride: int
    kernel_init: Callable
    bias_init: Callable | None = None

    @nn.compact
    def __call__(self, x):  # noqa: D102
        shape = (self.size, self.size, x.shape[-1], self.width)
        kernel = self.param("kernel", self.kernel_init, shape)
        if jax.default_backend() == "cpu":
            x = jax.checkpoint(by_patches, static_argnums=2)(x, kernel, self.stride)
        else:
            x = by_library(x, kernel, self.stride)
        if self.bias_init is None:
            return x
        return x + self.param("bias", self.bias_init, (self.width,))[None, None, None]


def by_library(x, kernel, stride):
    """Convolves images (batch, height, width, channels) as the backend does."""
    margin = kernel.shape[0] // 2
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=((margin, margin), (margin, margin)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def by_patches(x, kernel, stride):
    """The same as a product of patches (..., size·size·channels) with the kernel."""
    height, width = x.shape[1:3]
    size = kernel.shape[0]
    margin = (size // 2, size // 2)
    x = jnp.pad(x, ((0, 0), margin, margin, (0, 0)))
    patches = [
        x[:, row : row + height : stride, column : column + width : stride]
        for row in range(size)
        for column in range(size)
    ]
    return jnp.concatenate(patches, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])
