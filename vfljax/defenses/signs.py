"""Send the signs of the entries alone."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp

from vfljax.defenses.base import UNCHANGED, Defense, message_std


@dataclasses.dataclass(frozen=True, kw_only=True)
class Signs(Defense):
    """Send the sign of every entry, 1, −1, or 0 of an entry that is 0.

    The compression of signSGD (Bernstein et al. 2018,
    https://arxiv.org/abs/1802.04434), whose server adds up the signs.
    """

    keeps_zero_sum: ClassVar[bool] = False

    def perturb(self, key, state, gradients, labels, sample_ids):
        """Takes the signs."""
        return jnp.sign(gradients), state

    def public(self, batch_size, num_classes):
        """Magnitudes are gone: entries of B·dL/dH are off by about what they were."""
        return UNCHANGED.replace(noise_std=message_std(num_classes), replaced_by=1.0)
