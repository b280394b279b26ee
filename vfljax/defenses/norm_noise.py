"""Noise in proportion to the longest row of the message.

The two simple companions of MARVELL in Li et al. (2022, "Label leakage and protection
in two-party split learning", https://arxiv.org/abs/2102.08504).
"""

import jax
import jax.numpy as jnp

from vfljax.defenses.base import Defense, Number, check_number


def max_norm(share: Number = 1.0) -> Defense:
    """Stretches each row at random, so that lengths no longer tell the classes apart.

    Row g_i is sent as g_i (1 + share · z_i · √(max_j ‖g_j‖² / ‖g_i‖² − 1)) with
    z_i ~ N(0, 1). At share 1 every row but a zero one has the same expected squared
    length, that of the longest. Directions stay, up to the sign. Rows of length zero
    are sent as they are.

    Args:
        share: >= 0, of the published noise; 1 as published, 0 is exactly no defense.
            May be traced.

    Raises:
        ValueError: For a negative share.
    """
    check_number("share", share, low=0.0)

    def perturb(key, state, gradients, labels, sample_ids):
        norms = jnp.linalg.norm(gradients, axis=1, keepdims=True)
        times = jnp.where(norms > 0, jnp.max(norms) / norms, 1.0)
        # √(times² − 1), which must not overflow next to rows of length 1e-20.
        spread = jnp.sqrt(times - 1.0) * jnp.sqrt(times + 1.0)
        draws = jax.random.normal(key, norms.shape, gradients.dtype)
        return gradients * (1.0 + share * spread * draws), state

    return Defense(perturb=perturb)


def isotropic(ratio: Number) -> Defense:
    """Adds N(0, (ratio · max_j ‖g_j‖)² / d) to every entry of rows of width d.

    The noise on a row has the expected squared length (ratio · max_j ‖g_j‖)².

    Args:
        ratio: >= 0, length of the noise in units of the longest row; 0 is exactly no
            defense. May be traced.

    Raises:
        ValueError: For a negative ratio.
    """
    check_number("ratio", ratio, low=0.0)

    def perturb(key, state, gradients, labels, sample_ids):
        longest = jnp.max(jnp.linalg.norm(gradients, axis=1))
        std = ratio * longest / gradients.shape[1] ** 0.5
        draws = jax.random.normal(key, gradients.shape, gradients.dtype)
        return gradients + std * draws, state

    return Defense(perturb=perturb, keeps_zero_sum=False)
