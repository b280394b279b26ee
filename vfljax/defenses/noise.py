"""Clip each sample's message and add Gaussian or Laplace noise to it.

Zou et al. (2022, https://arxiv.org/abs/2112.05409), section "DP-G, DP-L"; Fu et al.
(2022), "noisy gradients", is `dp_laplace` in the released reading without clipping.

The factors 1/B of the batch mean are in the messages: a noise of 1e-3 is 3 % of 1/B
for 32 samples and twice 1/B for 2,048. Quote `noise × batch size`. For the same reason
the published clipping norm of 0.2 never acts from 8 samples on, as no row is longer
than √2/B; no differential-privacy guarantee follows from these settings.
"""

from typing import Literal

import jax
import jax.numpy as jnp

from vfljax.defenses.base import Defense, Number, check_choice, check_number

Reading = Literal["paper", "released"]
_CLIP_NORM = 0.2  # Zou et al., both readings


def dp_gaussian(
    noise_std: Number,
    *,
    clip_norm: int | float = _CLIP_NORM,
    reading: Reading = "paper",
    covers_label_party: bool = False,
) -> Defense:
    """Adds N(0, noise_std²) to every entry of a clipped message.

    Args:
        noise_std: Standard deviation >= 0 in units of dL/dH. May be traced.
        clip_norm: 2-norm to which messages are clipped; > 0, infinite for no clipping.
        reading: `"paper"` clips each sample's row, `"released"` divides the whole batch
            by one number, max(1, longest row / clip_norm), as the published code does.
        covers_label_party: Whether the label party's own model is trained on the noised
            message too. Zou et al. train it on the clean one, and then the noise
            guarantees nothing beyond the first message; Fu et al. on the noised one.

    With `noise_std=0` and `clip_norm=inf` this is exactly no defense.

    Raises:
        ValueError: For an argument outside its range.
    """
    check_number("noise_std", noise_std, low=0.0)
    return _noisy(jax.random.normal, noise_std, clip_norm, reading, covers_label_party)


def dp_laplace(
    noise: Number,
    *,
    clip_norm: int | float = _CLIP_NORM,
    reading: Reading = "paper",
    covers_label_party: bool = False,
) -> Defense:
    """Adds Laplace noise of mean zero to every entry of a clipped message.

    Args:
        noise: >= 0, in units of dL/dH. The standard deviation in the paper's reading;
            the scale b (standard deviation √2·b) in the released one. May be traced.
        clip_norm: As in `dp_gaussian`.
        reading: As in `dp_gaussian`, and what `noise` means.
        covers_label_party: As in `dp_gaussian`.

    With `noise=0` and `clip_norm=inf` this is exactly no defense.

    Raises:
        ValueError: For an argument outside its range.
    """
    check_number("noise", noise, low=0.0)
    scale = noise / jnp.sqrt(2.0) if reading == "paper" else noise
    return _noisy(jax.random.laplace, scale, clip_norm, reading, covers_label_party)


def _noisy(draw, scale, clip_norm, reading, covers_label_party):
    check_choice("reading", reading, ("paper", "released"))
    check_number("clip_norm", clip_norm, low=0.0, low_excluded=True)

    def perturb(key, state, gradients, labels, sample_ids):
        norms = jnp.linalg.norm(gradients, axis=1, keepdims=True)
        longest = norms if reading == "paper" else jnp.max(norms)
        clipped = gradients / jnp.maximum(1.0, longest / clip_norm)
        return clipped + scale * draw(key, gradients.shape, gradients.dtype), state

    return Defense(
        perturb=perturb, covers_label_party=covers_label_party, keeps_zero_sum=False
    )
