"""Round a message to a few levels.

DiscreteSGD (Dryden et al. 2016) as used by Fu et al. (2022) and by Zou et al. (2022,
https://arxiv.org/abs/2112.05409), Eqs. 16-17.
"""

from typing import Literal

import jax.numpy as jnp
from jax.core import Tracer

from vfljax.defenses.base import Defense, Number, check_choice, check_number


def discrete_sgd(
    bins: Number,
    *,
    reading: Literal["paper", "released"] = "paper",
    bound: int | float = 3e-4,
) -> Defense:
    """Rounds every entry to the nearest of `bins` + 1 equally spaced levels.

    Args:
        bins: Number of intervals W, whole and >= 1, published 6 to 24. An even number
            has a level at the center; an odd one gives entries near zero an invented
            sign. May be traced.
        reading: `"paper"`: levels from μ − 2σ to μ + 2σ of the message's entries, the
            ends absorbing the tails. `"released"`: multiples of 2·bound/W around zero,
            not bounded, with a bound fixed once for all.
        bound: Half the interval of the released reading, > 0: 3e-4 in the code of Zou
            et al., 3e-2 (CIFAR, BHI) and 1e-3 (Criteo) in that of Fu et al.

    Ties round to the even level. A message whose entries are all equal is sent as it
    is. The label party's own model is trained on the rounded gradient too, as in both
    released codes.

    Raises:
        ValueError: For an argument outside its range.
    """
    check_number("bins", bins, low=1)
    if not isinstance(bins, Tracer) and bins != round(float(bins)):
        raise ValueError(f"bins={bins}: must be a whole number")
    check_choice("reading", reading, ("paper", "released"))
    check_number("bound", bound, low=0.0, low_excluded=True)

    def perturb(key, state, gradients, labels, sample_ids):
        if reading == "released":
            interval = 2.0 * bound / bins
            return interval * jnp.round(gradients / interval), state
        mean, std = jnp.mean(gradients), jnp.std(gradients)
        interval = jnp.where(std > 0, 4.0 * std / bins, 1.0)
        lowest = mean - 2.0 * std
        level = jnp.clip(jnp.round((gradients - lowest) / interval), 0, bins)
        return jnp.where(std > 0, lowest + interval * level, gradients), state

    return Defense(perturb=perturb, covers_label_party=True, keeps_zero_sum=False)
