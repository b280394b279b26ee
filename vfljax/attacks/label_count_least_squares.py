"""Count labels by least squares on the simplex, from what each class would add.

The last layer's gradient of B samples is G = (1/B) Σ_b δ_b h_bᵀ (n × d) and that of its
bias g = (1/B) Σ_b δ_b, with δ_b = softmax(z_b) − e_{y_b}. Labeled samples of the
adversary's own say what a sample of class y adds on average, M_y = E[δ hᵀ | y] and
E[δ | y], so that for shares q = counts/B

    G ≈ Σ_y q_y M_y     and     g ≈ Σ_y q_y E[δ | y],     q >= 0,  Σ_y q_y = 1.

One forward pass over these samples, no backward pass, and no rule "negative means
present", which is what noise breaks. For K local steps G/K takes the place of G, as if
the steps were taken at one point.
"""

import dataclasses
from typing import Literal, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from vfljax.attacks.base import CountInference
from vfljax.attacks.counting import (
    CountAttack,
    bias_of,
    count_inference,
    mean_messages,
    simplex_least_squares,
)
from vfljax.known import NOTHING, Known
from vfljax.protocol import check_update, head_of


class FitInfo(NamedTuple):
    """How well the shares explain the update.

    Attributes:
        residual: Norm of what they leave of it, as a share of its own norm.
    """

    residual: Float[Array, ""]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelCountLeastSquares(CountAttack):
    """Count labels by least squares on what each class adds to the last layer's update.

    Without an answer where a class has no auxiliary sample.
    """

    of: Literal["bias", "all"] = "all"
    """What is explained: the gradient of the bias, n numbers (bias), or that of the
    kernel, n·d numbers (all), which resists noise on every entry."""
    uses = ("auxiliary_features", "auxiliary_labels")
    knowledge = "the network and labeled samples"

    def __call__(self, key, view, known: Known = NOTHING) -> CountInference:
        """Infers from one view and the samples; the key is not used."""
        check_update(view, self.layer)
        of_bias = self.of == "bias"
        kernel = head_of(view.update, self.layer)[0]
        target = bias_of(view, self.layer) if of_bias else kernel.reshape(-1)
        target = target / view.num_steps
        means = mean_messages(view, known, self.layer, of_bias=of_bias)
        columns = means.reshape(view.num_classes, -1).T
        shares = simplex_least_squares(columns, target)
        left = jnp.linalg.norm(columns @ shares - target)
        info = FitInfo(left / jnp.linalg.norm(target))
        return count_inference(view.num_labels * shares, view.num_labels, info)
