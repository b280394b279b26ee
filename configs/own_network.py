"""Networks of one's own: a convolution in flax, and two plain functions. Digits.

Every party gets the same network, on its own half of the picture, with weights of its
own. As logits are added up, there is one output per class. `docs/your_own.md` has flax
nnx and equinox as well, and says what to do about batch normalization and dropout.
"""

from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn

from vfljax.attacks import GradientInversion, LinearRecovery
from vfljax.experiments import Data, Experiment, Training, Variant
from vfljax.models import MLP, PartyModel, from_linen

_CLASSES = 10


class Convolution(nn.Module):
    """Eight 3x3 filters and a dense layer, on halves of gray pictures."""

    @nn.compact
    def __call__(self, pictures):
        """Pictures (batch, height, width) to logits."""
        x = nn.relu(nn.Conv(8, (3, 3))(pictures[..., None]))
        return nn.Dense(_CLASSES)(x.reshape(len(x), -1))


def _init(key, features):
    """One matrix, drawn so that logits are of order one."""
    width = features[0].size
    return jax.random.normal(key, (width, _CLASSES)) / jnp.sqrt(width)


def _apply(weights, features):
    return jnp.tanh(features.reshape(len(features), -1)) @ weights


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Batches of 64 at step 0, 400 steps; small: two trials of 100 steps."""
    small = scale == "small"
    return Experiment(
        name="own_network",
        title="Handwritten digits: labels behind three networks",
        data=Data(dataset="digits", split="rows"),
        training=Training(
            steps=100 if small else 400, batch_size=64, learning_rate=0.01
        ),
        batch_sizes=(64,),
        variants={
            "perceptron": Variant(model=MLP(hidden=(32,))),
            "flax": Variant(model=from_linen(Convolution())),
            "plain functions": Variant(model=PartyModel(init=_init, apply=_apply)),
        },
        attacks={
            "linear_recovery": LinearRecovery(),
            "gradient_inversion": GradientInversion(steps=300 if small else 1000),
        },
        num_trials=2 if small else 10,
    )
