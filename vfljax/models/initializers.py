"""How layers start in PyTorch, which the published networks were trained with."""

import jax
import jax.numpy as jnp
from flax import linen as nn

kaiming_normal = nn.initializers.variance_scaling(2.0, "fan_in", "normal")
"""Kernels normal with variance 2/inputs (not truncated, unlike flax's own)."""

default_kernel = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""PyTorch's default for kernels: uniform in ±1/sqrt(inputs)."""


def default_bias(num_inputs):
    """PyTorch's default for biases: uniform in ±1/sqrt(inputs) of the layer."""
    bound = num_inputs**-0.5

    def uniform(key, shape, dtype=jnp.float32):
        return jax.random.uniform(key, shape, dtype, minval=-bound, maxval=bound)

    return uniform


def linear(x, width, kernel_init, name):
    """Applies a dense layer with PyTorch's default bias; in a compact method only."""
    bias_init = default_bias(x.shape[-1])
    return nn.Dense(width, kernel_init=kernel_init, bias_init=bias_init, name=name)(x)
