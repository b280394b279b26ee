"""Send only a share of the entries of a message, the largest.

Fu et al. (2022, https://www.usenix.org/conference/usenixsecurity22/presentation/fu),
"gradient compression". Unlike `sparsification` it counts entries instead of taking a
quantile, has no memory, and is applied to the label party's own gradient too.
"""

from typing import Literal

import jax.numpy as jnp

from vfljax.defenses.base import (
    Defense,
    Number,
    check_choice,
    check_number,
    count_entries,
)


def gradient_compression(
    keep_fraction: Number, *, reading: Literal["paper", "released"] = "paper"
) -> Defense:
    """Keeps the k largest entries of the whole message by magnitude, zeroes the rest.

    Of n = batch · embed entries, k = ⌊keep_fraction · n⌋ are kept; a product less than
    one part in two million below a whole number counts as that number, so that 29 % of
    100 is 29. Where k is 0, as for a tenth of nine entries, all zeros are sent. A NaN
    counts as the largest and is sent.

    Args:
        keep_fraction: In (0, 1], published 0.1 to 0.75. May be traced.
        reading: `"paper"` keeps entries not smaller than the k-th largest, more than k
            if there are ties, so `keep_fraction=1` is exactly no defense. `"released"`
            keeps those strictly larger, as the published code does: one fewer, and
            more fewer with ties.

    Keeping a fraction f of the gradients of an untrained model with C classes leaves
    about min(1, C·f) of the labels in plain sight, as those entries are the largest.
    The label party's own model is trained on the compressed gradient too, as in the
    released code.

    Raises:
        ValueError: For an argument outside its range.

    Example:
        >>> import jax.numpy as jnp
        >>> defense = gradient_compression(0.5)
        >>> message = jnp.array([[0.1, -0.4], [0.2, 0.1]])
        >>> defense.perturb(None, (), message, None, None)[0]
        Array([[ 0. , -0.4],
               [ 0.2,  0. ]], dtype=float32)
    """
    check_number("keep_fraction", keep_fraction, low=0, high=1, low_excluded=True)
    check_choice("reading", reading, ("paper", "released"))

    def perturb(key, state, gradients, labels, sample_ids):
        magnitudes = jnp.abs(gradients)
        total = gradients.size
        kept = count_entries(keep_fraction, total)
        ascending = jnp.sort(magnitudes, axis=None)
        smallest_kept = ascending[jnp.minimum(total - kept, total - 1)]
        if reading == "paper":
            is_dropped = magnitudes < smallest_kept
        else:
            is_dropped = magnitudes <= smallest_kept
        return jnp.where(is_dropped | (kept == 0), 0.0, gradients), state

    return Defense(perturb=perturb, covers_label_party=True, keeps_zero_sum=False)
