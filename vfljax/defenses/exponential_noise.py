"""Add exponential noise, which is never negative, to every entry.

The third noise of LLG's released code (Wainakh et al. 2022,
https://doi.org/10.2478/popets-2022-0043), whose engine aDPtorch
(https://github.com/tklab-tud/aDPtorch) has it beside normal and Laplace noise.
"""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from vfljax._checks import NOT_NEGATIVE
from vfljax.defenses.base import UNCHANGED, Defense, Number, Swept


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExponentialNoise(Defense):
    """Add exponential noise of one scale to every entry.

    The noise has the density e^(−x/b)/b for x >= 0, with mean and standard deviation
    b. As in the release the mean is not subtracted unless `centered` says so: all
    entries are shifted by b, which is no secret, and an adversary who knows b subtracts
    it; one who doesn't mistakes the shift for a gradient. A bounded support guarantees
    no differential privacy: a value below that of a neighbor gives it away.

    It does not clip: `Chain(DPGaussian(noise_std=0.0, clip_norm=1.0),
    ExponentialNoise())` does both. At scale 0 this is exactly no defense.
    """

    noise_scale: Swept = (0.01, 0.1, 1.0)
    """Scale b of the noise on every entry, >= 0, published 0.01 to 1, in units of the
    entries."""
    centered: bool = False
    """Whether the mean b of the noise is subtracted from it."""
    swept: ClassVar[str] = "noise_scale"
    keeps_zero_sum: ClassVar[bool] = False
    ranges: ClassVar = {"noise_scale": NOT_NEGATIVE}

    def perturb(self, key, state, gradients, labels, sample_ids):
        """Adds the noise."""
        draws = jax.random.exponential(key, gradients.shape, gradients.dtype)
        draws = draws - 1.0 if self.centered else draws
        return gradients + jnp.asarray(self.noise_scale, draws.dtype) * draws, state

    def public(self, batch_size, num_classes):
        """The noise's standard deviation, about its mean."""
        return UNCHANGED.replace(noise_std=batch_size * self.noise_scale)


def exponential_noise(noise_scale: Number, **options: Any) -> ExponentialNoise:
    """`ExponentialNoise` at one scale, which may be traced."""
    return ExponentialNoise(noise_scale=noise_scale, **options)
