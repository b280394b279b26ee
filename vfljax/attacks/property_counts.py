"""Count the samples with a property behind an update, by least squares on the simplex.

An update is linear in its samples' gradients, so it is the mean of what samples of each
label, with the property and without, add on average, with their shares as weights:
counting a property is counting labels with classes (label, property). The adversary's
own samples say what each class adds, at the network of the round in question and
through the defense; nothing is trained.
"""

import dataclasses
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from vfljax.attacks.base import Attack, RoundInference, map_with_keys
from vfljax.attacks.counting import simplex_least_squares
from vfljax.attacks.property_batches import SimulatingReader, samples_of_target
from vfljax.attacks.property_features import projected_features
from vfljax.data import draw_rows_of, rows_of_classes
from vfljax.goals import PROPERTY, Goal
from vfljax.known import NOTHING, Known
from vfljax.protocol import UpdateView


class CountReadings(NamedTuple):
    """What is kept of a round.

    Attributes:
        shares: Of all samples behind the update those of each label, without the
            property and with it.
        num_labels: How many samples there are.
        num_samples: How many of these are the target's.
    """

    shares: Float[Array, "classes 2"]
    num_labels: Int[Array, ""]
    num_samples: Int[Array, ""]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PropertyCountReader(SimulatingReader):
    """Solve for the shares of labels and property in each round.

    What a class adds is the mean of simulated updates of that class alone, projected. A
    label without auxiliary samples of one kind is taken for the most frequent one of
    that kind; NaN where no auxiliary sample has the property, or all have it.
    """

    batches_per_class: int = 4
    """Number of simulated updates, at least 1, of each label with the property and
    without; the cost is proportional to it."""
    ranges: ClassVar = SimulatingReader.ranges | {"batches_per_class": {"low": 1}}

    def __call__(self, key, view: UpdateView, known: Known = NOTHING):
        """Solves one round."""
        num_kinds = 2 * view.num_classes
        features = jnp.asarray(known.auxiliary_features)
        labels = jnp.asarray(known.auxiliary_labels)
        properties = jnp.asarray(known.auxiliary_properties).astype(jnp.int32)
        table = rows_of_classes(2 * labels + properties, num_kinds)
        by_property = table.counts.reshape(-1, 2)
        largest = 2 * jnp.argmax(by_property, axis=0) + jnp.arange(2)
        own = jnp.arange(num_kinds)
        drawn_for = jnp.where(table.counts > 0, own, largest[own % 2])
        kinds = jnp.repeat(drawn_for, self.batches_per_class)

        def simulate(key, kind):
            key_rows, key_update = jax.random.split(key)
            wanted = jnp.full((view.num_steps, view.batch_size), kind)
            rows = draw_rows_of(key_rows, table, wanted)
            update = known.simulate(key_update, features[rows], labels[rows])
            return projected_features(update, self.width)

        found = map_with_keys(
            key, simulate, kinds, number=len(kinds), at_once=self.batches_at_once
        )
        columns = jnp.mean(found.reshape(num_kinds, -1, self.width), axis=1).T
        target = projected_features(view.update, self.width)
        shares = simplex_least_squares(columns, target).reshape(-1, 2)
        is_fit = jnp.all(jnp.max(by_property, axis=0) > 0)
        target_size = view.num_steps * samples_of_target(view)
        return CountReadings(
            shares=jnp.where(is_fit, shares, jnp.nan),
            num_labels=jnp.array(view.num_labels),
            num_samples=jnp.array(target_size),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PropertyCounts(Attack):
    """Count samples with a property by least squares, round by round.

    All samples that are found to have the property are taken to be the target's. The
    score of a round is their number over that of the target's samples, which may be
    above 1 where the property is mistaken for what others' samples have in common; the
    count is no more than the target has.
    """

    reader: PropertyCountReader = PropertyCountReader()
    """What is solved in each round, and what is simulated for it."""
    sees = UpdateView
    goal: ClassVar[Goal] = PROPERTY
    is_adaptive = True
    knowledge = "the network, the defense and samples with the property and without"

    def __call__(self, key, view: CountReadings, known: Known = NOTHING):
        """Reads the answers of all rounds; the key is not used."""
        found = jnp.sum(view.shares[:, :, 1], axis=1) * view.num_labels
        counts = jnp.clip(found, 0.0, view.num_samples)
        scores = found / view.num_samples
        return RoundInference(scores, counts, jnp.all(jnp.isfinite(scores)))
