"""The label party's loss and its derivative with respect to the summed logits."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def cross_entropy(
    logits: Float[Array, "batch classes"],
    targets: Float[Array, "batch classes"],
    class_weights: Float[Array, " classes"] | None = None,
) -> Float[Array, ""]:
    """Mean softmax cross-entropy in nats, for one-hot or soft targets.

    Zou et al. (2022), Eq. 2, with the batch mean. With `class_weights` it is the mean
    weighted by each sample's own, Σ_i w_i ℓ_i / Σ_i w_i with w_i = Σ_c Y_ic w_c.
    """
    per_sample = -jnp.sum(targets * jax.nn.log_softmax(logits), axis=-1)
    if class_weights is None:
        return jnp.mean(per_sample)
    weights = targets @ class_weights
    return jnp.sum(weights * per_sample) / jnp.sum(weights)


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
