"""Model completion: a trained bottom model and a head that turns it into a guess."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

from vfljax._checks import require
from vfljax.models import base
from vfljax.models.base import Forward, PartyModel
from vfljax.models.initializers import linear
from vfljax.models.stateful import batch_norm, stateful_model


class _Head(nn.Module):
    """Layers of batch normalization, ReLU and a linear map that starts at ones."""

    num_classes: int
    num_layers: int

    @nn.compact
    def __call__(self, x, is_training):
        ones = nn.initializers.ones_init()
        for number in range(self.num_layers):
            is_last = number == self.num_layers - 1
            width = self.num_classes if is_last else x.shape[1]
            x = nn.relu(batch_norm(is_training, f"norm_{number}")(x))
            x = linear(x, width, ones, f"layer_{number}")
        return x


def completion_head(*, num_classes: int, num_layers: int = 1) -> PartyModel:
    """Returns the classification head that an attacker puts on its bottom model.

    Each layer is batch normalization, ReLU, linear; all layers but the last keep the
    width of the embedding (batch, embed), the last puts out logits. Kernels start at
    one and biases uniform in ±1/sqrt(inputs), as in the released code of Fu et al.
    (2022, https://www.usenix.org/conference/usenixsecurity22/presentation/fu-chong).

    Run it by `models.embed` or `models.run`. Equal arguments return the same object.

    Args:
        num_classes: Number of classes, >= 1.
        num_layers: Number of layers, >= 1.

    Raises:
        ValueError: If a number is below 1.
    """
    require(num_classes >= 1, "num_classes", num_classes, ">= 1")
    require(num_layers >= 1, "num_layers", num_layers, ">= 1")
    return _cached_head(num_classes, num_layers)


def completed(
    bottom: PartyModel, *, num_classes: int, num_layers: int = 1
) -> PartyModel:
    """Returns a bottom model followed by `completion_head`: features to logits.

    Parameters and statistics are dictionaries of `bottom` and `head`, so that those of
    a trained bottom model can be put in; statistics of a bottom model without any are
    (). A dropout key is the bottom model's alone. Equal arguments return the same
    object.

    Args:
        bottom: The bottom model, of either kind.
        num_classes: Number of classes, >= 1.
        num_layers: Number of layers of the head, >= 1.

    Raises:
        ValueError: If a number is below 1.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from vfljax import models
        >>> model = completed(models.mlp((), embed=4), num_classes=3)
        >>> x = jnp.ones((5, 2))
        >>> params = model.init(jax.random.key(0), x)
        >>> forward = models.Forward(models.init_statistics(model, x))
        >>> models.embed(model, params, x, forward).shape
        (5, 3)
    """
    head = completion_head(num_classes=num_classes, num_layers=num_layers)
    return _cached_completed(bottom, head)


@functools.cache
def _cached_head(num_classes, num_layers):
    return stateful_model(_Head(num_classes=num_classes, num_layers=num_layers))


@functools.cache
def _cached_completed(bottom, head):
    def init(key, features):
        key_bottom, key_head = jax.random.split(key)
        return {
            "bottom": bottom.init(key_bottom, features),
            "head": head.init(key_head, _zero_embedding(bottom, features)),
        }

    def init_statistics(features):
        return {
            "bottom": base.init_statistics(bottom, features),
            "head": base.init_statistics(head, _zero_embedding(bottom, features)),
        }

    def run(params, features, forward):
        def part(model, name, features):
            mode = dataclasses.replace(forward, statistics=forward.statistics[name])
            return base.run(model, params[name], features, mode)

        embedding, bottom_statistics = part(bottom, "bottom", features)
        logits, head_statistics = part(head, "head", embedding)
        return logits, {"bottom": bottom_statistics, "head": head_statistics}

    return PartyModel(
        init=init, apply=head.apply, init_statistics=init_statistics, run=run
    )


def _zero_embedding(bottom, features):
    """One embedding of zeros, of the width that the bottom model puts out."""

    def embed_one(key, features):
        forward = Forward(base.init_statistics(bottom, features))
        return base.embed(bottom, bottom.init(key, features), features, forward)

    shape = jax.eval_shape(embed_one, jax.random.key(0), features[:1]).shape
    return jnp.zeros(shape)
