"""Round a message to a few levels.

DiscreteSGD (Dryden et al. 2016) as used by Fu et al. (2022) and by Zou et al. (2022,
https://arxiv.org/abs/2112.05409), Eqs. 16-17.
"""

import dataclasses
import math
from typing import Any, ClassVar, Literal

import jax.numpy as jnp
from jax.core import Tracer

from vfljax._checks import POSITIVE, require
from vfljax.defenses.base import UNCHANGED, Defense, Number, Swept, message_std


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiscreteSGD(Defense):
    """Round every entry of the message to the nearest of a few levels (DiscreteSGD).

    Ties round to the even level. A message whose entries are all equal is sent as it
    is. The label party's own model gets the rounded gradient too, as in both releases.
    """

    bins: Swept = (24, 18, 12, 6)
    """Number of intervals between levels, whole and >= 1, published 6 to 24. An even
    number has a level at the center; an odd one gives entries near zero an invented
    sign."""
    reading: Literal["paper", "released"] = "paper"
    """Whether levels reach two standard deviations from the mean of the entries, the
    ends absorbing the tails (paper), or are multiples of 2·bound/bins around zero,
    without an end (released code)."""
    bound: int | float = 3e-4
    """Half the interval of the released reading, > 0: 3e-4 in the code of Zou et al.,
    3e-2 (CIFAR, BHI) and 1e-3 (Criteo) in that of Fu et al."""
    swept: ClassVar[str] = "bins"
    covers_label_party: ClassVar[bool] = True
    keeps_zero_sum: ClassVar[bool] = False
    ranges: ClassVar = {"bins": {"low": 1}, "bound": POSITIVE}

    def check(self) -> None:
        """Refuses half a bin."""
        is_whole = isinstance(self.bins, Tracer) or self.bins == round(float(self.bins))
        require(is_whole, "bins", self.bins, "a whole number")

    def perturb(self, key, state, gradients, labels, sample_ids):
        """Rounds the entries."""
        bins = self.bins
        if self.reading == "released":
            interval = 2.0 * self.bound / bins
            return interval * jnp.round(gradients / interval), state
        mean, std = jnp.mean(gradients), jnp.std(gradients)
        interval = jnp.where(std > 0, 4.0 * std / bins, 1.0)
        lowest = mean - 2.0 * std
        level = jnp.clip(jnp.round((gradients - lowest) / interval), 0, bins)
        return jnp.where(std > 0, lowest + interval * level, gradients), state

    def public(self, batch_size, num_classes):
        """Rounding errors are uniform within an interval."""
        half_range = 2.0 * message_std(num_classes)
        if self.reading == "released":
            half_range = batch_size * self.bound
        return UNCHANGED.replace(
            noise_std=2.0 * half_range / self.bins / math.sqrt(12.0)
        )


def discrete_sgd(bins: Number, **options: Any) -> DiscreteSGD:
    """`DiscreteSGD` at one number of bins, which may be traced."""
    return DiscreteSGD(bins=bins, **options)
