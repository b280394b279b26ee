"""Send only the largest entries of a message.

Zou et al. (2022, https://arxiv.org/abs/2112.05409), "gradient sparsification", after
Aji and Heafield (2017). Their parameter s is the percentage dropped; `keep_fraction`
is 1 − s/100.
"""

from typing import Literal

import jax.numpy as jnp

from vfljax.defenses.base import Defense, Number, check_choice, check_number

Residual = Literal["none", "by_sample", "by_row"]


def sparsification(
    keep_fraction: Number,
    *,
    residual: Residual = "none",
    memory_shape: tuple[int, int] | None = None,
) -> Defense:
    """Zeroes the entries below the (1 − keep_fraction) quantile of their magnitudes.

    The quantile is taken over the whole message with linear interpolation; entries
    equal to it are kept, so `keep_fraction=1` is exactly no defense.

    Args:
        keep_fraction: In (0, 1], published 0.001 to 0.01, down from 0.1 against batch
            gradients. May be traced.
        residual: What becomes of the dropped part. `"none"` drops it, as in the
            published attacks on one batch. `"by_sample"` adds it to the next message
            about the same sample, the paper's reading. `"by_row"` adds it to the same
            row of the next batch, whichever sample that is now: the released code.
        memory_shape: (samples of the training set, embed) for `"by_sample"`, (batch,
            embed) for `"by_row"`; not given otherwise.

    Raises:
        ValueError: For arguments outside these ranges, or a memory shape that is
            missing or not needed.
    """
    check_number("keep_fraction", keep_fraction, low=0, high=1, low_excluded=True)
    check_choice("residual", residual, ("none", "by_sample", "by_row"))
    if (memory_shape is None) != (residual == "none"):
        raise ValueError(
            f"memory_shape={memory_shape}: needed for residual='by_sample' and "
            f"'by_row', and only then; residual={residual!r}"
        )

    def init():
        return () if memory_shape is None else jnp.zeros(memory_shape)

    def keep_largest(gradients):
        magnitudes = jnp.abs(gradients)
        threshold = jnp.quantile(magnitudes, 1.0 - keep_fraction)
        return jnp.where(magnitudes >= threshold, gradients, 0.0)

    def perturb(key, state, gradients, labels, sample_ids):
        if memory_shape is None:
            return keep_largest(gradients), state
        if residual == "by_row" and len(gradients) > memory_shape[0]:
            raise ValueError(
                f"memory_shape={memory_shape}: too small for a batch of "
                f"{len(gradients)} rows"
            )
        rows = sample_ids if residual == "by_sample" else jnp.arange(len(gradients))
        wanted = gradients + state[rows]
        sent = keep_largest(wanted)
        return sent, state.at[rows].set(wanted - sent)

    return Defense(init=init, perturb=perturb, keeps_zero_sum=False)
