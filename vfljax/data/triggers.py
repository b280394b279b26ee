"""Triggers: a few features set to fixed values, which a backdoor reacts to."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Shaped

_WHITE, _GREEN, _MAGENTA = (1.0,), (0.0, 1.0, 0.0), (1.0, 0.0, 1.0)


class Trigger(NamedTuple):
    """Pixels of an image and their values, or columns of a table and theirs.

    Attributes:
        places: (row, column) of each pixel, or (column,) of a table; negative numbers
            count from the end.
        values: One tuple per place, with an entry per channel; in [0, 1] for images.
    """

    places: Sequence[tuple[int, ...]]
    values: Sequence[tuple[float, ...]]


TRIGGERS: Mapping[str, Trigger] = MappingProxyType(
    {
        "mnist": Trigger([(25, 27), (27, 25), (26, 26), (27, 27)], [_WHITE] * 4),
        "cifar": Trigger(
            [(29, 31), (30, 30), (31, 29), (31, 31)],
            [_GREEN, _GREEN, _MAGENTA, _MAGENTA],
        ),
        "mnist_quadrants": Trigger([(13, 27), (27, 13), (27, 27)], [_WHITE] * 3),
        "cifar_quadrants": Trigger(
            [(15, 31), (31, 15), (31, 31)], [_MAGENTA, _GREEN, _MAGENTA]
        ),
        "nus_wide": Trigger([(999,)], [_WHITE]),
    }
)
"""Those of Zou et al. (2022, https://arxiv.org/abs/2112.05409) by name.

`mnist` and `cifar`: four pixels in the lower right corner (the released code has the
colors of two of the four for `cifar` the other way round). `_quadrants`: one pixel in
the lower right corner of each quadrant but the first, for three adversaries.
`nus_wide`: the last of the thousand tags.
"""


def trigger_mask(
    trigger: Trigger, shape: Sequence[int]
) -> tuple[Bool[np.ndarray, " *shape"], Float[np.ndarray, " *shape"]]:
    """Where a trigger sets features of one sample, and to what.

    `shape` is that of one sample: (height, width), (height, width, channels) or
    (columns,). The mask, and the values, zero outside of it, have this shape. Split
    both like the features of the samples, and every party has its own part.

    Raises:
        ValueError: If a place is outside of a sample, or has another number of values
            than the sample has channels.

    Example:
        >>> mask, values = trigger_mask(Trigger([(0, -1)], [(0.5,)]), (2, 2))
        >>> mask.tolist(), values.tolist()
        ([[False, True], [False, False]], [[0.0, 0.5], [0.0, 0.0]])
    """
    mask, values = np.zeros(shape, bool), np.zeros(shape, np.float32)
    for place, value in zip(trigger.places, trigger.values, strict=True):
        is_inside = len(place) <= len(shape) and all(
            -size <= index < size for index, size in zip(place, shape, strict=False)
        )
        channels = shape[len(place) :]
        if not is_inside or math.prod(channels) != len(value):
            raise ValueError(
                f"trigger has {place} with {len(value)} values; samples have shape "
                f"{tuple(shape)}"
            )
        mask[place] = True
        values[place] = np.reshape(value, channels)
    return mask, values


def add_trigger(
    features: Shaped[np.ndarray | Array, " samples *shape"],
    mask: Bool[np.ndarray | Array, " *shape"],
    values: Float[np.ndarray | Array, " *shape"],
) -> Shaped[Array, " samples *shape"]:
    """The samples with the trigger, all other features as they were."""
    return jnp.where(mask[None], values[None], features)
