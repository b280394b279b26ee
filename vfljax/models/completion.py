"""Model completion: a trained bottom model and a head that turns it into a guess."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

from vfljax._checks import require
from vfljax.models import base
from vfljax.models.base import Forward, PartyModel
from vfljax.models.tops import rectified


def completion_head(*, num_classes: int, num_layers: int = 1) -> PartyModel:
    """Returns the classification head that an attacker puts on its bottom model.

    Each layer is batch normalization, ReLU, linear; all layers but the last keep the
    width of the embedding (batch, embed), the last puts out logits. Kernels start at
    one and biases uniform in ±1/sqrt(inputs), as in the released code of Fu et al.
    (2022, https://www.usenix.org/conference/usenixsecurity22/presentation/fu-chong).

    Run it by `models.embed` or `models.run`. Equal arguments return the same object.

    Raises:
        ValueError: If a number is below 1.
    """
    require(num_classes >= 1, "num_classes", num_classes, ">= 1")
    require(num_layers >= 1, "num_layers", num_layers, ">= 1")
    widths = (None,) * (num_layers - 1) + (num_classes,)
    return rectified(widths, True, False, nn.initializers.ones)


def completed(
    bottom: PartyModel, *, num_classes: int, num_layers: int = 1
) -> PartyModel:
    """Returns a bottom model followed by `completion_head`: features to logits.

    Parameters and statistics are dictionaries of `bottom` and `head`, so that those of
    a trained bottom model can be put in; statistics of a bottom model without any are
    (). The bottom model is of either kind; a dropout key is its alone. Equal arguments
    return the same object.

    Raises:
        ValueError: If a number is below 1.
    """
    head = completion_head(num_classes=num_classes, num_layers=num_layers)
    return _cached_completed(bottom, head)


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
        init=init,
        apply=head.apply,
        init_statistics=init_statistics,
        run=run,
        drops=bottom.drops,
    )


def _zero_embedding(bottom, features):
    """One embedding of zeros, of the width that the bottom model puts out."""

    def embed_one(key, features):
        forward = Forward(base.init_statistics(bottom, features))
        return base.embed(bottom, bottom.init(key, features), features, forward)

    shape = jax.eval_shape(embed_one, jax.random.key(0), features[:1]).shape
    return jnp.zeros(shape)
