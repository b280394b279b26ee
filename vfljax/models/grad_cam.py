"""Where in an image a network looks: gradient-weighted class activation maps."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def grad_cam(
    score_fn: Callable[
        [Float[Array, "batch height width channels"]], Float[Array, " batch"]
    ],
    feature_map: Float[Array, "batch height width channels"],
) -> Float[Array, "batch height width"]:
    """Returns one heat map per image, >= 0, as large as the feature map.

    Selvaraju et al. (2017, https://arxiv.org/abs/1610.02391), Eqs. 1 and 2, with the
    feature map A, y the score of the class in question and Z = height·width:

        α_k = 1/Z Σ_ij ∂y/∂A_ijk,      L = ReLU(Σ_k α_k A_k)

    A map of zeros says that no place speaks for the class.

    Args:
        score_fn: From feature maps to y (batch,), before the softmax. The score of an
            image may depend on that image's feature map alone, as in evaluation mode.
        feature_map: A, such as `ResNet.feature_map` gives.

    Example:
        The score is three times the mean of the first channel, minus the second's.

        >>> import jax.numpy as jnp
        >>> feature_map = jnp.array([[[[1.0, 0.0], [2.0, 7.0]]]])
        >>> def score_fn(feature_map):
        ...     return feature_map.mean(axis=(1, 2)) @ jnp.array([3.0, -1.0])
        >>> grad_cam(score_fn, feature_map)  # 3/2·1 and 3/2·2 − 1/2·7 < 0
        Array([[[1.5, 0. ]]], dtype=float32)
    """
    gradient = jax.grad(lambda maps: jnp.sum(score_fn(maps)))(feature_map)
    weights = jnp.mean(gradient, axis=(1, 2), keepdims=True)
    return jax.nn.relu(jnp.sum(weights * feature_map, axis=3))
