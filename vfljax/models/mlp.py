"""Multi-layer perceptron: the bottom model of the MNIST and tabular experiments."""

import functools
from collections.abc import Sequence
from typing import Any

from flax import linen as nn

from vfljax.models.base import PartyModel
from vfljax.models.checks import check_counts
from vfljax.models.initializers import default_kernel, linear


class _MLP(nn.Module):
    """Dense layers with ReLU between them; also returns what each layer was given."""

    hidden: tuple[int, ...]
    embed: int
    relu_output: bool

    @nn.compact
    def __call__(self, features, taps=None):
        x, inputs = features.reshape(features.shape[0], -1), {}
        for number, width in enumerate((*self.hidden, self.embed)):
            is_output = number == len(self.hidden)
            name = "output" if is_output else f"hidden_{number}"
            inputs[name] = x
            if is_output:
                x = linear(x, width, default_kernel, name)
            else:
                xavier = nn.initializers.xavier_uniform()
                x = nn.Dense(width, kernel_init=xavier, name=name)(x)
            x = x if taps is None else x + taps[name]
            x = nn.relu(x) if self.relu_output or not is_output else x
        return x, inputs


def mlp(
    hidden: Sequence[int] = (32,), *, embed: int, relu_output: bool = False
) -> PartyModel:
    """Returns a multi-layer perceptron with ReLU between its dense layers.

    Features of any shape (batch, ...) are flattened. Hidden layers start Xavier-uniform
    with zero bias, the last layer uniform in ±1/sqrt(inputs), bias included, as in the
    released code of Zou et al. (2022, https://arxiv.org/abs/2112.05409): 12,906
    parameters for 392 features, `hidden=(32,)` and ten classes.

    `mlp((64, 16), embed=4)` has the widths of the bottom model for Criteo of Fu et al.
    (2022, https://www.usenix.org/conference/usenixsecurity22/presentation/fu-chong).

    Layers are called `hidden_0`, `hidden_1`, ..., `output`. Equal arguments return
    the same object, so compiled programs that hold it are found again.

    Args:
        hidden: Widths of the hidden layers, each >= 1; empty for a linear model.
        embed: Width of the embedding; the number of classes where logits are summed.
        relu_output: Whether a ReLU stands on the embedding too, as in the released code
            of Zou et al.'s backdoor.

    Raises:
        ValueError: If a width is below 1.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> model = mlp((32,), embed=10)
        >>> params = model.init(jax.random.key(0), jnp.zeros((1, 14, 28)))
        >>> sum(leaf.size for leaf in jax.tree.leaves(params))
        12906
        >>> model.apply(params, jnp.zeros((5, 14, 28))).shape
        (5, 10)
    """
    if any(width < 1 for width in hidden):
        raise ValueError(f"hidden={tuple(hidden)}: every width must be >= 1")
    check_counts(embed=embed)
    return _cached_mlp(tuple(hidden), embed, relu_output)


@functools.cache
def _cached_mlp(hidden, embed, relu_output):
    network = _MLP(hidden=hidden, embed=embed, relu_output=relu_output)

    def init(key, features):
        return network.init(key, features)["params"]

    def apply(params, features):
        return network.apply({"params": params}, features)[0]

    def tapped(params, features, taps):
        result: Any = network.apply({"params": params}, features, taps)
        return result

    return PartyModel(init=init, apply=apply, tapped=tapped)
