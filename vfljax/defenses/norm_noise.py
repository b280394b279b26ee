"""Noise in proportion to the longest row of the message.

The two simple companions of MARVELL in Li et al. (2022, "Label leakage and protection
in two-party split learning", https://arxiv.org/abs/2102.08504).
"""

import dataclasses
import math
from typing import ClassVar

import jax
import jax.numpy as jnp

from vfljax._checks import NOT_NEGATIVE
from vfljax.defenses.base import UNCHANGED, Defense, Number, Swept


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaxNorm(Defense):
    """Noise along each sample's message that makes all as long as the longest.

    Lengths then no longer tell the classes apart. Row g_i is sent as
    g_i (1 + share · z_i · √(max_j ‖g_j‖² / ‖g_i‖² − 1)) with z_i ~ N(0, 1). At share 1
    every row but a zero one has the same expected squared length, that of the longest.
    Directions stay, up to the sign. Rows of length zero are sent as they are.
    """

    share: Swept = 1.0
    """Share of the published noise, >= 0: 1 as published, 0 is exactly no defense."""
    swept: ClassVar[str] = "share"
    needs_rows: ClassVar[str | None] = "the lengths of other rows"
    ranges: ClassVar = {"share": NOT_NEGATIVE}

    def perturb(self, key, state, gradients, labels, sample_ids):
        """Stretches each row at random."""
        norms = jnp.linalg.norm(gradients, axis=1, keepdims=True)
        times = jnp.where(norms > 0, jnp.max(norms) / norms, 1.0)
        # √(times² − 1), which must not overflow next to rows of length 1e-20.
        spread = jnp.sqrt(times - 1.0) * jnp.sqrt(times + 1.0)
        draws = jax.random.normal(key, norms.shape, gradients.dtype)
        return gradients * (1.0 + self.share * spread * draws), state

    def public(self, batch_size, num_classes):
        """In the mean over entries: max_j ‖g_j‖² − ‖g_i‖², what a row is short of.

        In B·dL/dH some row is nearly √2 long, of an untrained model all are 1 − 1/C.
        """
        variance = (2.0 - (1.0 - 1.0 / num_classes)) / num_classes
        return UNCHANGED.replace(noise_std=self.share * math.sqrt(variance))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Isotropic(Defense):
    """Gaussian noise as long as the longest message, times a ratio.

    N(0, (ratio · max_j ‖g_j‖)² / d) is added to every entry of rows of width d, so that
    the noise on a row has the expected squared length (ratio · max_j ‖g_j‖)².
    """

    ratio: Swept = (0.25, 0.5, 1.0, 2.0)
    """Length of the noise in units of the longest row, >= 0; 0 is exactly none."""
    swept: ClassVar[str] = "ratio"
    keeps_zero_sum: ClassVar[bool] = False
    ranges: ClassVar = {"ratio": NOT_NEGATIVE}

    def perturb(self, key, state, gradients, labels, sample_ids):
        """Adds the noise."""
        longest = jnp.max(jnp.linalg.norm(gradients, axis=1))
        std = self.ratio * longest / gradients.shape[1] ** 0.5
        draws = jax.random.normal(key, gradients.shape, gradients.dtype)
        return gradients + std * draws, state

    def public(self, batch_size, num_classes):
        """No row of B·dL/dH is longer than √2, and in a batch some are nearly."""
        return UNCHANGED.replace(noise_std=self.ratio * math.sqrt(2.0 / num_classes))


def max_norm(share: Number = MaxNorm.share) -> MaxNorm:
    """`MaxNorm` at one share, which may be traced."""
    return MaxNorm(share=share)


def isotropic(ratio: Number) -> Isotropic:
    """`Isotropic` at one ratio, which may be traced."""
    return Isotropic(ratio=ratio)
