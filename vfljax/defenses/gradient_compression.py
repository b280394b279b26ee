"""Send only a share of the entries of a message, the largest.

Fu et al. (2022, https://www.usenix.org/conference/usenixsecurity22/presentation/fu),
"gradient compression". Unlike `sparsification` it counts entries instead of taking a
quantile, has no memory, and is applied to the label party's own gradient too.
"""

import dataclasses
from typing import Any, ClassVar, Literal

import jax.numpy as jnp

from vfljax._checks import SHARE
from vfljax.defenses.base import UNCHANGED, Defense, Number, Swept, count_entries


@dataclasses.dataclass(frozen=True, kw_only=True)
class GradientCompression(Defense):
    """Send only the k largest entries of the message (gradient compression).

    Of n = batch · embed entries, k = ⌊keep_fraction · n⌋ are kept (see `count_entries`)
    and the others zeroed. Where k is 0, as for a tenth of nine entries, all zeros are
    sent. A NaN counts as the largest and is sent.

    Keeping a fraction f of the gradients of an untrained model with C classes leaves
    about min(1, C·f) of the labels in plain sight, as those entries are the largest.
    The label party's own model gets the compressed gradient too, as in the release.

    Example:
        >>> import jax.numpy as jnp
        >>> defense = GradientCompression(keep_fraction=0.5)
        >>> message = jnp.array([[0.1, -0.4], [0.2, 0.1]])
        >>> defense.perturb(None, (), message, None, None)[0]
        Array([[ 0. , -0.4],
               [ 0.2,  0. ]], dtype=float32)
    """

    keep_fraction: Swept = (0.75, 0.5, 0.25, 0.1)
    """Share of the message's entries that is kept, in (0, 1], published 0.1 to 0.75."""
    reading: Literal["paper", "released"] = "paper"
    """Whether entries not smaller than the k-th largest are kept, more than k if there
    are ties, so that a share of 1 is exactly no defense (paper), or those strictly
    larger, one fewer and more fewer with ties (released code)."""
    swept: ClassVar[str] = "keep_fraction"
    covers_label_party: ClassVar[bool] = True
    keeps_zero_sum: ClassVar[bool] = False
    drops_entries: ClassVar[bool] = True
    ranges: ClassVar = {"keep_fraction": SHARE}

    def perturb(self, key, state, gradients, labels, sample_ids):
        """Zeroes all but the largest entries."""
        magnitudes = jnp.abs(gradients)
        total = gradients.size
        kept = count_entries(self.keep_fraction, total)
        ascending = jnp.sort(magnitudes, axis=None)
        smallest_kept = ascending[jnp.minimum(total - kept, total - 1)]
        if self.reading == "paper":
            is_dropped = magnitudes < smallest_kept
        else:
            is_dropped = magnitudes <= smallest_kept
        return jnp.where(is_dropped | (kept == 0), 0.0, gradients), state

    def public(self, batch_size, num_classes):
        """The share that is kept."""
        return UNCHANGED.replace(keep_fraction=self.keep_fraction)


def gradient_compression(keep_fraction: Number, **options: Any) -> GradientCompression:
    """`GradientCompression` at one share, which may be traced."""
    return GradientCompression(keep_fraction=keep_fraction, **options)
