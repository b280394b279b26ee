"""Plant a backdoor by adding to encrypted rows: the samples' labels are inferred first.

Zou et al. (2022, https://arxiv.org/abs/2112.05409), Eqs. 12 and 13. The message about a
sample of class y is U_i = (S_i − onehot(y))/B. Who knows y makes of it what the message
would be if the label were the target class τ,

    U_i ← U_i + (onehot(y) − onehot(τ))/B,

two additions to a ciphertext (Eq. 13 prints ±1, for a loss without the batch mean).
A label encoder trains on a code ỹ_y instead of onehot(y); an adversary that clusters
recovered messages knows the codes as well as the classes, and adds ỹ_y − ỹ_τ.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from vfljax.protocol import Manipulation


def label_flip(
    inferred: Int[Array, " samples"],
    target_class: int | Int[Array, ""],
    amplification: int | float | Float[Array, ""] = 1.0,
    *,
    codes: Float[Array, "classes classes"] | None = None,
) -> Manipulation:
    """Returns what the adversary does to the messages it receives.

    Args:
        inferred: Labels of the training samples that carry the trigger, as inferred by
            some attack; −1 for all other samples, which are left as they are.
        target_class: τ; may be traced.
        amplification: By which the rows are multiplied afterwards; may be traced.
        codes: What the label party trains on in place of each class, as far as the
            adversary knows, a row per class; `None` for one-hot labels.

    Returns:
        For `manipulations` of a protocol.

    Example:
        >>> flip = label_flip(jnp.array([0, -1]), target_class=1)
        >>> flip.receive(jnp.array([[-0.25, 0.25], [0.1, -0.1]]), jnp.array([0, 1]))
        Array([[ 0.25, -0.25],
               [ 0.1 , -0.1 ]], dtype=float32)
    """

    def receive(gradient, sample_ids):
        own = jnp.eye(gradient.shape[1]) if codes is None else codes
        label = inferred[sample_ids]
        change = own[jnp.maximum(label, 0)] - own[target_class][None]
        flipped = amplification * (gradient + change / len(gradient))
        return jnp.where((label >= 0)[:, None], flipped, gradient)

    return Manipulation(receive=receive)
