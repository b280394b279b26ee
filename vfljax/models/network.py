"""Networks as records: what a config holds, from which each party gets a model."""

import dataclasses
import functools
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from vfljax._checks import require
from vfljax.models.base import Forward, Params, PartyModel, init_statistics, run


@dataclasses.dataclass(frozen=True, kw_only=True)
class Network:
    """A kind of bottom model, of which each party has one of its own.

    A subclass is a frozen, keyword-only dataclass with `build`; its options are fields.
    """

    embed: int | None = None
    """Width of the embedding, >= 1; None for the number of classes."""
    start_bound: int | float | None = None
    """Bound within which every weight and bias starts, uniformly, as in the released
    code of LLG (0.5); None for each network's own start."""
    one_by_one: ClassVar[bool] = True
    """Whether a program is faster with one trial after the other than with all."""

    def __post_init__(self):
        """Checks the options."""
        require(self.embed is None or self.embed >= 1, "embed", self.embed, ">= 1")
        bound = self.start_bound
        require(bound is None or bound > 0, "start_bound", bound, "> 0")
        self.check()

    def check(self) -> None:
        """Raises a `ValueError` for an option outside its range."""

    def make(self, embed: int) -> PartyModel:
        """Returns one party's network, with an embedding of a width >= 1.

        Equal networks and widths give one object, so that compiled programs that hold
        it are found again.
        """
        require(embed >= 1, "embed", embed, ">= 1")
        return _made(dataclasses.replace(self, embed=None), embed)

    def build(self, embed: int) -> PartyModel:
        """Builds what `make` returns."""
        raise NotImplementedError

    def check_width(self, embed: int, features: Any) -> None:
        """Raises a `ValueError` unless embeddings of features are `embed` wide."""

    def pretrained(self, embed: int, features: Float[Array, "samples ..."]) -> Params:
        """Parameters that do not start at random; `features` are there for shapes."""
        return {}


@functools.cache
def _made(network: Network, embed: int) -> PartyModel:
    model, bound = network.build(embed), network.start_bound
    if bound is None:
        return model

    def init(key, features):
        leaves, tree = jax.tree.flatten(jax.eval_shape(model.init, key, features))
        keys = jax.random.split(key, len(leaves))
        drawn = (
            jax.random.uniform(of_leaf, (leaf.size,), minval=-bound, maxval=bound)
            for of_leaf, leaf in zip(keys, leaves, strict=True)
        )
        shaped = [x.reshape(y.shape) for x, y in zip(drawn, leaves, strict=True)]
        return jax.tree.unflatten(tree, shaped)

    return model._replace(init=init)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Given(Network):
    """A network that is a `PartyModel` already, of a width that it has itself."""

    model: PartyModel
    """The model of every party."""
    one_by_one: ClassVar[bool] = False

    def build(self, embed: int) -> PartyModel:
        """Returns the model."""
        return self.model

    def check_width(self, embed: int, features: Any) -> None:
        """Runs the model once, with shapes alone."""

        def start(key):
            batch = jnp.asarray(features)
            forward = Forward(init_statistics(self.model, batch))
            params = self.model.init(key, batch)
            return run(self.model, params, batch, forward)[0]

        shape, expected = jax.eval_shape(start, jax.random.key(0)).shape, embed
        allowed = f"{(len(features), expected)}, an entry for each class"
        is_fit = shape == (len(features), expected)
        require(is_fit, "model: shape of its embedding", shape, allowed)


def as_network(name: str, value: Any) -> Network:
    """Returns a `Network` as it is and a `PartyModel` as one.

    Raises:
        ValueError: For anything else, with the field's name and what is missing.
    """
    if isinstance(value, Network):
        return value
    if isinstance(value, PartyModel):
        return Given(model=value)
    kind = getattr(value, "__name__", type(value).__name__)
    if isinstance(value, type):
        what = f"the class {kind}, must be an instance: {kind}(...)"
    elif isinstance(value, nn.Module):
        what = f"the linen module {kind}, must be models.from_linen({kind}(...))"
    elif callable(value):
        what = (
            f"the function or module {kind}, must be a PartyModel(init, apply) with "
            "init(key, features) -> params and apply(params, features) -> embedding"
        )
    else:
        what = f"{value!r}, must be a network such as models.MLP() or a PartyModel"
    raise ValueError(f"{name}: is {what}")
