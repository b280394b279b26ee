"""Clip the gradient of each sample and add noise to their mean: DP-SGD.

Abadi et al. (2016, "Deep learning with differential privacy",
https://arxiv.org/abs/1607.00133), Algorithm 1. What it guarantees: `update_dp`.
"""

import dataclasses
from typing import Any, ClassVar

import jax

from vfljax._checks import NOT_NEGATIVE
from vfljax.defenses.base import Defense, Number, Swept
from vfljax.defenses.rows import as_row


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExampleClipping(Defense):
    """Clip each sample's gradient in every local step and add Gaussian noise (DP-SGD).

    The gradient g_b of each of B samples, over all parameters at once, becomes
    g_b / max(1, ‖g_b‖/C), and N(0, (σC/B)²) is added to every entry of their mean, with
    C the clipping norm and σ the multiplier. This is done in every local step, from the
    noisy parameters that the step before it left, as the guarantee needs: an update of
    K steps has K draws of noise in it. A sample that is replaced moves a step's mean by
    2C/B at most.
    """

    clip_norm: int | float = 4.0
    """Norm C (2-norm) to which the gradient of each sample is clipped, > 0 and finite,
    published 4 for MNIST."""
    noise_multiplier: Swept = (2.0, 4.0, 8.0)
    """Standard deviation of the noise on the sum of a batch, in units of the clipping
    norm, >= 0, published 2 to 8 for MNIST; 0 clips alone."""
    swept: ClassVar[str] = "noise_multiplier"
    ranges: ClassVar = {
        "noise_multiplier": NOT_NEGATIVE,
        "clip_norm": {"low": 0.0, "low_excluded": True, "high_excluded": True},
    }

    @property
    def example_clip_norm(self) -> Number:
        """C."""
        return self.clip_norm

    def update_budget(self, releases):
        """Of a record: all local steps of the rounds in which its participant is.

        Batches of an attacked round that are drawn by label are taken to have the
        record in them, once.
        """
        from vfljax import update_dp  # slow to import, and needed for reports alone

        rounds = update_dp.most_rounds(releases.rounds, releases.share)
        steps, size = rounds * releases.local_steps, releases.batch_size
        attacked = update_dp.Draws(releases.attacked_rounds * releases.attacked_steps)
        if releases.attacked_batch_size is not None:
            attacked = update_dp.drawn_with_replacement(
                attacked.number, releases.attacked_batch_size, releases.records
            )
        return update_dp.update_budget(
            "a record",
            self.noise_multiplier,
            training=update_dp.drawn_with_replacement(steps, size, releases.records),
            attacked=attacked,
            what=f"of {steps} local steps with {size} of {releases.records} records",
        )

    def perturb_gradient(self, key, gradient, batch_size):
        """Adds the noise to a mean of clipped gradients."""
        row, restore = as_row(gradient)
        noise_std = self.noise_multiplier * (self.clip_norm / batch_size)
        return restore(row + noise_std * jax.random.normal(key, row.shape, row.dtype))


def example_clipping(noise_multiplier: Number, **options: Any) -> ExampleClipping:
    """`ExampleClipping` at one noise, which may be traced."""
    return ExampleClipping(noise_multiplier=noise_multiplier, **options)
