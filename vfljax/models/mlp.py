"""Multi-layer perceptron: the bottom model of the MNIST and tabular experiments."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

from flax import linen as nn

from vfljax._checks import require
from vfljax.models.base import PartyModel
from vfljax.models.initializers import default_kernel, linear
from vfljax.models.network import Network


class _MLP(nn.Module):
    """Dense layers with ReLU between them; also returns what each layer was given."""

    hidden: tuple[int, ...]
    embed: int
    relu_output: bool

    @nn.compact
    def __call__(self, features, taps=None):
        x, inputs = features.reshape(features.shape[0], -1), {}
        xavier = nn.initializers.xavier_uniform()
        for number, width in enumerate(self.hidden):
            name = f"hidden_{number}"
            inputs[name] = x
            x = nn.Dense(width, kernel_init=xavier, name=name)(x)
            x = nn.relu(x if taps is None else x + taps[name])
        inputs["output"] = x
        x = linear(x, self.embed, default_kernel, "output")
        x = x if taps is None else x + taps["output"]
        return nn.relu(x) if self.relu_output else x, inputs


@dataclasses.dataclass(frozen=True, kw_only=True)
class MLP(Network):
    """A multi-layer perceptron per party, with ReLU between its dense layers.

    Features of any shape (batch, ...) are flattened. Hidden layers start Xavier-uniform
    with zero bias, the last layer uniform in ±1/sqrt(inputs), bias included, as in the
    released code of Zou et al. (2022, https://arxiv.org/abs/2112.05409): 12,906
    parameters for 392 features, `hidden=(32,)` and ten classes. Layers are called
    `hidden_0`, `hidden_1`, ..., `output`.

    `MLP(hidden=(64, 16), embed=4)` has the widths of the bottom model for Criteo of Fu
    et al. (2022,
    https://www.usenix.org/conference/usenixsecurity22/presentation/fu-chong).
    """

    hidden: tuple[int, ...] = (32,)
    """Widths of the hidden layers, each >= 1; none for a linear model."""
    relu_output: bool = False
    """Whether a ReLU stands on the embedding too, as in the released code of Zou et
    al.'s backdoor."""
    one_by_one: ClassVar[bool] = False

    def check(self) -> None:
        """Checks the widths."""
        for width in self.hidden:
            require(width >= 1, "hidden", width, ">= 1")

    def build(self, embed: int) -> PartyModel:
        """Builds one party's network."""
        network = _MLP(hidden=self.hidden, embed=embed, relu_output=self.relu_output)

        def init(key, features):
            return network.init(key, features)["params"]

        def apply(params, features):
            return network.apply({"params": params}, features)[0]

        def tapped(params, features, taps):
            result: Any = network.apply({"params": params}, features, taps)
            return result

        return PartyModel(init=init, apply=apply, tapped=tapped)


def mlp(
    hidden: Sequence[int] = MLP.hidden, *, embed: int, **options: Any
) -> PartyModel:
    """Returns `MLP` of a width; equal arguments return the same object.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> model = mlp((32,), embed=10)
        >>> params = model.init(jax.random.key(0), jnp.zeros((1, 14, 28)))
        >>> sum(leaf.size for leaf in jax.tree.leaves(params))
        12906
        >>> model.apply(params, jnp.zeros((5, 14, 28))).shape
        (5, 10)
    """
    return MLP(hidden=tuple(hidden), **options).make(embed)
