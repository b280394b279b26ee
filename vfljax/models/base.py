"""What the rest of the library knows of a network: a record of pure functions."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

Params = PyTree[Any]
"""A network's parameters: any tree of arrays, opaque to everything but its model."""

Statistics = PyTree[Any]
"""A network's running statistics, such as those of batch normalization; () if none."""

Features = Float[Array, " batch *features"]
Embedding = Float[Array, "batch embed"]
_PART_SIZE = 500  # samples that evaluation embeds at once


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Forward:
    """How a network is run: what an embedding depends on besides parameters and data.

    Means nothing to networks without batch normalization and dropout. For the others,
    a gradient belongs to one such mode, and an attack that assumes another one matches
    a gradient that was never computed.

    Attributes:
        statistics: Running statistics, which evaluation uses; in training, batches
            are normalized by their own.
        dropout_key: Fixes the dropout masks; `None` drops nothing. Used in training
            alone.
        is_training: Whether batches are normalized by their own statistics and units
            are dropped.
    """

    statistics: Statistics = ()
    dropout_key: Any = None
    is_training: bool = dataclasses.field(default=False, metadata={"static": True})


EVALUATION = Forward()
"""The mode of networks without running statistics and dropout."""


class PartyModel(NamedTuple):
    """A network as pure functions over a plain parameter tree.

    Two functions suffice for a network that is a function of its parameters and
    features alone. `tapped` declares that it is made of dense layers, which makes
    exact gradient maps much cheaper (`vfljax.gradient_map`). A network with running
    statistics or dropout has `init_statistics` and `run` instead of `apply`; `embed`
    and `run` call either kind.

    Attributes:
        init: `init(key, features) -> params`; `features` (batch, ...) fixes the shapes.
        apply: `apply(params, features) -> embedding` (batch, embed).
        tapped: `tapped(params, features, taps) -> (embedding, inputs)`, or `None`.
            `params`, `taps` and `inputs` are dictionaries with one entry per dense
            layer: `params[layer]` holds `kernel` (in, out) and, if it has one, `bias`
            (out,); `taps[layer]` (batch, out) is added to the layer's output before
            anything else sees it; `inputs[layer]` (batch, in) is what the layer was
            given. No parameters besides those, and none used twice.
        init_statistics: `init_statistics(features) -> statistics`, or `None`.
        run: `run(params, features, forward) -> (embedding, statistics)`, or `None`;
            the statistics are the updated ones in training, else those it was given.
        drops: Whether `run` drops units in training, given a key.
    """

    init: Callable[[Key[Array, ""], Features], Params]
    apply: Callable[[Params, Features], Embedding]
    tapped: Callable[..., tuple[Embedding, dict[str, Any]]] | None = None
    init_statistics: Callable[[Features], Statistics] | None = None
    run: Callable[..., tuple[Embedding, Statistics]] | None = None
    drops: bool = False


def init_statistics(model: PartyModel, features: Features) -> Statistics:
    """Returns the running statistics a network starts with; () if it has none."""
    return () if model.init_statistics is None else model.init_statistics(features)


def run(
    model: PartyModel,
    params: Params,
    features: Features,
    forward: Forward = EVALUATION,
) -> tuple[Embedding, Statistics]:
    """Runs a network of either kind: its embedding, and its statistics afterwards.

    Raises:
        ValueError: If the network has running statistics and `forward` has none.
    """
    if model.run is None:
        return model.apply(params, features), forward.statistics
    if model.init_statistics is not None and not jax.tree.leaves(forward.statistics):
        raise ValueError(
            f"forward.statistics={forward.statistics!r}: must hold this network's "
            "running statistics, such as from init_statistics(model, features)"
        )
    return model.run(params, features, forward)


def embed(
    model: PartyModel,
    params: Params,
    features: Features,
    forward: Forward = EVALUATION,
) -> Embedding:
    """The embedding alone; arguments and errors as for `run`."""
    return run(model, params, features, forward)[0]


def embed_in_parts(
    model: PartyModel,
    params: Params,
    features: Float[Array, " samples *features"],
    forward: Forward = EVALUATION,
) -> Float[Array, "samples embed"]:
    """As `embed` for many samples, a part at a time, so that memory suffices.

    For evaluation alone: in training mode the embedding depends on the whole batch.
    """
    features = jnp.asarray(features)  # NumPy's can't be indexed by the loop's rows
    num_samples = len(features)
    if num_samples == 0:
        one = jnp.zeros((1, *features.shape[1:]), features.dtype)
        return embed(model, params, one, forward)[:0]
    if num_samples <= _PART_SIZE:
        return embed(model, params, features, forward)
    num_parts = -(-num_samples // _PART_SIZE)
    rows = jnp.minimum(jnp.arange(num_parts * _PART_SIZE), num_samples - 1)
    parts = jax.lax.map(
        lambda of_part: embed(model, params, features[of_part], forward),
        rows.reshape(num_parts, _PART_SIZE),
    )
    return parts.reshape(-1, parts.shape[2])[:num_samples]
