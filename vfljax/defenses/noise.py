"""Clip each sample's message and add Gaussian or Laplace noise to it.

Zou et al. (2022, https://arxiv.org/abs/2112.05409), section "DP-G, DP-L"; Fu et al.
(2022), "noisy gradients", is `dp_laplace` in the released reading without clipping.

The factors 1/B of the batch mean are in the messages: a noise of 1e-3 is 3 % of 1/B
for 32 samples and twice 1/B for 2,048. Quote `noise × batch size`. For the same reason
the published clipping norm of 0.2 never acts from 8 samples on, as no row is longer
than √2/B; no differential-privacy guarantee follows from these settings.
"""

import dataclasses
import math
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp

from vfljax._checks import NOT_NEGATIVE, POSITIVE
from vfljax.defenses.base import UNCHANGED, Defense, Number, Releases, Swept

_DELTA = 1e-5  # of the budgets


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Noise(Defense):
    """What both have in common."""

    clip_norm: int | float = 0.2
    """Norm (2-norm, > 0) to which messages are clipped; inf for none, published 0.2."""
    reading: Literal["paper", "released"] = "paper"
    """Whether each sample's message is clipped (paper), or the whole batch is divided
    by one number, max(1, longest row / clip_norm) (released code)."""
    covers_label_party: bool = False
    """Whether the label party's own model is trained on the noised message too, as by
    Fu et al.; on the clean one, as by Zou et al., the noise guarantees nothing beyond
    the first message."""
    keeps_zero_sum: ClassVar[bool] = False
    mechanism: ClassVar[Literal["gaussian", "laplace"]]

    def budget(self, batch_size, num_classes, releases):
        """Of one message; over training only where the label party is covered."""
        from vfljax import label_dp  # slow to import, and needed for reports alone

        if not self.covers_label_party:
            releases = Releases(number=1, batch_size=batch_size)

        def account(noise, size):
            return label_dp.label_budget(
                self.mechanism,
                noise,
                batch_size=size,
                num_classes=num_classes,
                clip_norm=self.clip_norm,
                num_releases=releases.number,
                delta=_DELTA,
            )

        smallest = min(batch_size, releases.batch_size)
        longest = math.sqrt(2) / smallest
        if self.reading == "released" and self.clip_norm < longest:
            return account(0.0, smallest), (  # as without noise
                f"No guarantee: the clip at {self.clip_norm:g} acts on rows as long as "
                f"√2/B = {longest:.2g}, by one factor for the whole batch, so that one "
                "label changes the scale of all rows."
            )
        budget = account(self._mechanism_scale(), batch_size)
        if releases.batch_size != batch_size:
            in_training = account(self._mechanism_scale(), releases.batch_size)
            budget = budget._replace(epsilon_training=in_training.epsilon_training)
        words = label_dp.describe(
            budget,
            batch_size=batch_size,
            clip_norm=self.clip_norm,
            num_releases=releases.number,
        )
        if releases.batch_size != batch_size:
            words += f" Batches of the training have {releases.batch_size} samples."
        if not self.covers_label_party:
            words += (
                " Over training nothing is guaranteed: the label party's own model is "
                "trained on the clean message."
            )
        return budget, words

    def _mechanism_scale(self) -> Any:
        """The noise as `label_dp` takes it: a standard deviation, or Laplace's b."""
        return self.strengths[0]

    def _clip(self, gradients):
        norms = jnp.linalg.norm(gradients, axis=1, keepdims=True)
        longest = norms if self.reading == "paper" else jnp.max(norms)
        return gradients / jnp.maximum(1.0, longest / self.clip_norm)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DPGaussian(_Noise):
    """Clip each sample's message and add Gaussian noise (DP-G).

    With `noise_std=0` and `clip_norm=inf` this is exactly no defense.
    """

    noise_std: Swept = (0.0001, 0.001, 0.01, 0.1)
    """Standard deviation of the noise on every entry, >= 0, in units of dL/dH, in which
    the factor 1/B is."""
    swept: ClassVar[str] = "noise_std"
    ranges: ClassVar = {"noise_std": NOT_NEGATIVE, "clip_norm": POSITIVE}
    mechanism: ClassVar = "gaussian"

    def perturb(self, key, state, gradients, labels, sample_ids):
        """Clips the rows and adds N(0, noise_std²) to every entry."""
        draws = jax.random.normal(key, gradients.shape, gradients.dtype)
        return self._clip(gradients) + self.noise_std * draws, state

    def public(self, batch_size, num_classes):
        """The noise's standard deviation."""
        return UNCHANGED.replace(noise_std=batch_size * self.noise_std)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DPLaplace(_Noise):
    """Clip each sample's message and add Laplace noise (DP-L).

    With `noise=0` and `clip_norm=inf` this is exactly no defense.
    """

    noise: Swept = (0.0001, 0.001, 0.01, 0.1)
    """Laplace noise on every entry, >= 0, in units of dL/dH, in which the factor 1/B
    is: the standard deviation (reading paper), or the scale b, whose standard deviation
    is √2·b (reading released)."""
    swept: ClassVar[str] = "noise"
    ranges: ClassVar = {"noise": NOT_NEGATIVE, "clip_norm": POSITIVE}
    mechanism: ClassVar = "laplace"

    @property
    def strength_name(self) -> str:
        """What the noise is, by the reading."""
        return "noise_std" if self.reading == "paper" else "noise_scale"

    def perturb(self, key, state, gradients, labels, sample_ids):
        """Clips the rows and adds Laplace noise of mean zero to every entry."""
        scale = self.noise / jnp.sqrt(2.0) if self.reading == "paper" else self.noise
        draws = jax.random.laplace(key, gradients.shape, gradients.dtype)
        return self._clip(gradients) + scale * draws, state

    def public(self, batch_size, num_classes):
        """The noise's standard deviation."""
        std = self.noise if self.reading == "paper" else math.sqrt(2) * self.noise
        return UNCHANGED.replace(noise_std=batch_size * std)

    def _mechanism_scale(self):
        return self.noise / math.sqrt(2) if self.reading == "paper" else self.noise


def dp_gaussian(noise_std: Number, **options: Any) -> DPGaussian:
    """`DPGaussian` at one noise, which may be traced."""
    return DPGaussian(noise_std=noise_std, **options)


def dp_laplace(noise: Number, **options: Any) -> DPLaplace:
    """`DPLaplace` at one noise, which may be traced."""
    return DPLaplace(noise=noise, **options)
