"""Infer from updates whether the samples behind them share a property.

Melis, Song, De Cristofaro, Shmatikov, "Exploiting Unintended Feature Leakage in
Collaborative Learning" (S&P 2019, https://doi.org/10.1109/SP.2019.00029), passive
inference. In every round the adversary makes updates of its own samples, with and
without the property, at the network that all participants start from; a classifier that
is trained on those of all rounds judges what was observed. The property need have
nothing to do with the labels.

Differences. The paper describes batches that all have the property or have none; its
code adds mixtures, as is done here. The code computes the adversary's updates with the
network after the round; here as in the paper they are of the network before it, which
the observed update is of too. Features and classifier that are published can be
chosen; by default both are ours, which find as much in a trained network, more in one
that hardly is, and count.
"""

import dataclasses
from typing import ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from vfljax._checks import require
from vfljax.attacks.base import Attack, RoundInference, map_with_keys
from vfljax.attacks.property_batches import (
    SimulatingReader,
    own_samples,
    samples_of_target,
    simulate_batch,
)
from vfljax.attacks.property_classifiers import ClassifierKind, classify
from vfljax.attacks.property_features import FeatureKind, update_features
from vfljax.goals import PROPERTY, Goal
from vfljax.known import NOTHING, Known
from vfljax.protocol import UpdateView


class PropertyReadings(NamedTuple):
    """What is kept of a round.

    Attributes:
        observed: Features of the observed update.
        simulated: Features of the adversary's own.
        shares: Of the samples of each of these that have the property, of those that
            take the target's place.
        num_samples: How many samples of the target are behind the update.
    """

    observed: Float[Array, " features"]
    simulated: Float[Array, "rows features"]
    shares: Float[Array, " rows"]
    num_samples: Int[Array, ""]


class FeatureWeights(NamedTuple):
    """What the classifier goes by.

    Attributes:
        weights: Of each feature, standardized, for the property; NaN of trees.
    """

    weights: Float[Array, " features"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PropertyReader(SimulatingReader):
    """Keep features of the observed update and of simulated ones, in each round.

    Every second simulated batch is of every second auxiliary sample, so that there are
    two halves without a sample in common. Where an aggregate is observed, the samples
    of all participants but the first have no property. NaN where no auxiliary sample
    has the property, or all have it.
    """

    features: FeatureKind = "norms"
    """What is kept of an update: logarithms of the norms of all slices, as shares of
    the whole (norms); largest absolute values, as published (published); a linear
    random projection of all entries (projected); or, of a network of texts, which rows
    of its table of words moved (words)."""
    fractions: tuple[float, ...] = (1.0, 1.0, 0.4, 0.4, 0.6, 0.6, 0.8, 0.8)
    """Share of the samples with the property, above 0 and at most 1, in each simulated
    batch that has some; as published."""
    num_negatives: int = 8
    """Number of simulated batches, at least 1, without any such sample; published 8."""
    ranges: ClassVar = SimulatingReader.ranges | {"num_negatives": {"low": 1}}

    def __post_init__(self):
        """Checks words and ranges."""
        super().__post_init__()
        is_fit = self.fractions and all(0 < share <= 1 for share in self.fractions)
        allowed = "one number or more, each in (0, 1]"
        require(is_fit, "fractions", self.fractions, allowed)

    def __call__(self, key, view: UpdateView, known: Known = NOTHING):
        """Keeps features of one round."""
        samples = own_samples(known)
        fractions = jnp.array(self.fractions + self.num_negatives * (0.0,))
        number = len(fractions)

        def simulate(key, kind):
            update, share = simulate_batch(key, view, known, samples, *kind)
            return update_features(update, self.features, self.width), share

        kinds = fractions, halves_of(number)
        simulated, shares = map_with_keys(
            key, simulate, kinds, number=number, at_once=self.batches_at_once
        )
        return PropertyReadings(
            observed=update_features(view.update, self.features, self.width),
            simulated=jnp.where(samples.is_fit, simulated, jnp.nan),
            shares=shares,
            num_samples=jnp.array(view.num_steps * samples_of_target(view)),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PropertyInference(Attack):
    """Tell which updates are of samples with a property, by a trained classifier.

    It is trained on the simulated updates of all watched rounds. The ridge also
    estimates how many samples have the property; its scores are those of a regression
    on whether any has. Without an answer, NaN, where a training row is not finite.
    """

    reader: PropertyReader = PropertyReader()
    """What is kept of each round, and what is simulated."""
    classifier: ClassifierKind = "ridge"
    """What tells updates with the property from others: linear regression with a
    penalty (ridge), logistic regression (logistic), 50 random trees as published
    (forest), 100 as in the released code (released_forest), or boosted trees
    (boosting)."""
    sees = UpdateView
    goal: ClassVar[Goal] = PROPERTY
    is_adaptive = True
    knowledge = "the network, the defense and samples with the property and without"

    @property
    def runs_on_host(self) -> bool:
        """Whether trees are grown, which no program can do."""
        return self.classifier not in ("ridge", "logistic")

    def __call__(self, key, view: PropertyReadings, known: Known = NOTHING):
        """Infers from what was kept of all rounds, stacked along the first axis."""
        rounds, number = view.shares.shape
        rows = view.simulated.reshape(rounds * number, -1)
        judged = classify(
            self.classifier,
            key,
            rows,
            view.shares.reshape(-1),
            jnp.tile(halves_of(number), rounds),
            view.observed,
        )
        return RoundInference(
            scores=judged.scores,
            counts=judged.shares * view.num_samples,
            finite=jnp.all(jnp.isfinite(judged.scores)),
            info=FeatureWeights(judged.weights),
        )


def halves_of(number: int) -> Int[Array, " batches"]:
    """The half of the auxiliary samples that each simulated batch of a round is of."""
    return jnp.arange(number) % 2
