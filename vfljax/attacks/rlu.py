"""Count labels by least squares on the last layer's update: the idea of RLU.

Chen and Vikalo, "Recovering Labels from Local Updates in Federated Learning" (ICML
2024, https://arxiv.org/abs/2405.00955): the update of the last layer's bias is linear
in the label counts, with the mean confidence in wrong classes, from labeled samples of
the adversary's own, as coefficients; over several local steps this confidence changes,
which is simulated. Only the abstract and summaries of it were at hand, so this is its
idea, not a reproduction: the simulated networks lie on the straight line from the one
before the steps to the one after them, which the update itself gives, where the paper
draws confidences by a Monte Carlo method; and the counts are not negative and sum to
the number of labels while they are solved for, not afterwards. Local training is
simulated without a defense, which this attack knows nothing of.
"""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from vfljax.attacks.base import CountInference
from vfljax.attacks.counting import (
    CountAttack,
    bias_of,
    count_inference,
    mean_messages,
    simplex_least_squares,
)
from vfljax.known import NOTHING, Known
from vfljax.protocol import check_update


@dataclasses.dataclass(frozen=True, kw_only=True)
class RLU(CountAttack):
    """Count labels by least squares with confidences along the local steps (RLU).

    For one local step it is least squares on the bias's gradient. Without an answer
    where a class has no auxiliary sample.
    """

    points: int = 10
    """Number of networks on the way of the local steps, at least 1, of which the mean
    confidence is taken, or one for each step where there are fewer."""
    uses = ("auxiliary_features", "auxiliary_labels")
    knowledge = "the network and labeled samples"
    ranges: ClassVar = {"points": {"low": 1}}

    def __call__(self, key, view, known: Known = NOTHING) -> CountInference:
        """Infers from one view and the samples; the key is not used."""
        check_update(view, self.layer)
        target = bias_of(view, self.layer) / view.num_steps

        def messages_at(share):
            moved = jax.tree.map(
                lambda w, g: w - share * view.learning_rate * g,
                view.params,
                view.update,
            )
            there = dataclasses.replace(view, params=moved)
            return mean_messages(there, known, self.layer, of_bias=True)

        points = min(self.points, view.num_steps)
        shares_of_way = jnp.arange(points) / points
        columns = jnp.mean(jax.lax.map(messages_at, shares_of_way), axis=0).T
        shares = simplex_least_squares(columns, target)
        return count_inference(view.num_labels * shares, view.num_labels)
