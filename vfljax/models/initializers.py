"""How layers start in PyTorch, which the published networks were trained with.

Numbers are drawn in one row and then shaped: drawn along four axes they are the same,
but take XLA several times longer to compile.
"""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn


def kaiming_normal(key, shape, dtype=jnp.float32):
    """Kernels normal with variance 2/inputs (not truncated, unlike flax's own)."""
    numbers = jax.random.normal(key, (math.prod(shape),), dtype)
    return (2 / math.prod(shape[:-1])) ** 0.5 * numbers.reshape(shape)


def default_kernel(key, shape, dtype=jnp.float32):
    """PyTorch's default for kernels: uniform in ±1/sqrt(inputs)."""
    return default_bias(math.prod(shape[:-1]))(key, shape, dtype)


def default_bias(num_inputs):
    """PyTorch's default for biases: uniform in ±1/sqrt(inputs) of the layer."""
    bound = num_inputs**-0.5

    def uniform(key, shape, dtype=jnp.float32):
        size = (math.prod(shape),)
        numbers = jax.random.uniform(key, size, dtype, minval=-bound, maxval=bound)
        return numbers.reshape(shape)

    return uniform


def glorot_uniform(key, shape, dtype=jnp.float32):
    """Glorot's start, not PyTorch's: uniform in ±sqrt(6/(inputs + outputs)).

    Of a convolution these are the channels, times the places of the kernel.
    """
    places = math.prod(shape[:-2])
    bound = (6 / (places * (shape[-2] + shape[-1]))) ** 0.5
    numbers = jax.random.uniform(key, (math.prod(shape),), dtype, -bound, bound)
    return numbers.reshape(shape)


def linear(x, width, kernel_init, name):
    """Applies a dense layer with PyTorch's default bias; in a compact method only."""
    bias_init = default_bias(x.shape[-1])
    return nn.Dense(width, kernel_init=kernel_init, bias_init=bias_init, name=name)(x)
