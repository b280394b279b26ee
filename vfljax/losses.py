"""The label party's loss and its derivative with respect to the summed logits."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def cross_entropy(
    logits: Float[Array, "batch classes"], targets: Float[Array, "batch classes"]
) -> Float[Array, ""]:
    """Mean softmax cross-entropy in nats, for one-hot or soft targets.

    Zou et al. (2022), Eq. 2, with the batch mean.
    """
    return -jnp.mean(jnp.sum(targets * jax.nn.log_softmax(logits), axis=-1))


def logit_gradient(
    logits: Float[Array, "batch classes"], targets: Float[Array, "batch classes"]
) -> Float[Array, "batch classes"]:
    """Derivative of `cross_entropy` with respect to the logits: (softmax − Y) / B.

    Zou et al. (2022), Eq. 5 times 1/B. Rows sum to zero when the targets' rows sum to
    one; with one-hot targets the label's entry is the only negative one of its row, as
    long as float32 keeps the softmax below 1 there.

    Example:
        >>> import jax.numpy as jnp
        >>> logit_gradient(jnp.zeros((1, 2)), jnp.array([[0.0, 1.0]]))
        Array([[ 0.5, -0.5]], dtype=float32)
    """
    return (jax.nn.softmax(logits) - targets) / logits.shape[0]
