"""What the rest of the library knows of a network: a record of pure functions."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Array, Float, Key, PyTree

Params = PyTree[Any]
"""A network's parameters: any tree of arrays, opaque to everything but its model."""


class PartyModel(NamedTuple):
    """A party's bottom model as pure functions over a plain parameter tree.

    Two functions suffice. The optional third one declares that the network is made of
    dense layers, which makes exact gradient maps much cheaper (`vfljax.gradient_map`).

    Attributes:
        init: `init(key, features) -> params`; `features` (batch, ...) fixes the shapes.
        apply: `apply(params, features) -> embedding` (batch, embed).
        tapped: `tapped(params, features, taps) -> (embedding, inputs)`, or `None`.
            `params`, `taps` and `inputs` are dictionaries with one entry per dense
            layer: `params[layer]` holds `kernel` (in, out) and, if it has one, `bias`
            (out,); `taps[layer]` (batch, out) is added to the layer's output before
            anything else sees it; `inputs[layer]` (batch, in) is what the layer was
            given. No parameters besides those, and none used twice.
    """

    init: Callable[[Key[Array, ""], Float[Array, " batch *features"]], Params]
    apply: Callable[
        [Params, Float[Array, " batch *features"]], Float[Array, "batch embed"]
    ]
    tapped: Callable[..., tuple[Float[Array, "batch embed"], dict[str, Any]]] | None = (
        None
    )
