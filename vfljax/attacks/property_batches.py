"""An adversary's own batches, with and without a property, for simulated updates."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from vfljax.attacks.property_features import hash_of
from vfljax.attacks.watching import Reader
from vfljax.data import ClassTable, draw_rows_of, rows_of_classes
from vfljax.known import Known
from vfljax.protocol import UpdateView


@dataclasses.dataclass(frozen=True, kw_only=True)
class SimulatingReader(Reader):
    """A reader that compares an update with those of the adversary's own samples.

    They are simulated with the same network in the same round, the defense included.
    """

    width: int = 4096
    """Number of sums, at least 1, that a projection of the whole update has."""
    batches_at_once: int = 1
    """Number of updates, at least 1, that are simulated at once, for speed and memory
    alone."""
    uses = (
        *("auxiliary_features", "auxiliary_labels", "auxiliary_properties"),
        "simulate",
    )
    ranges: ClassVar = {"width": {"low": 1}, "batches_at_once": {"low": 1}}


class OwnSamples(NamedTuple):
    """The auxiliary samples, and which of them may be drawn for what.

    Attributes:
        features: Of each sample.
        labels: Their classes.
        table: Rows of each kind: those without the property of the first half, those
            with it; and of the second half.
        is_fit: Whether there are samples with and without the property.
    """

    features: Float[Array, "auxiliary ..."]
    labels: Int[Array, " auxiliary"]
    table: ClassTable
    is_fit: Bool[Array, ""]


def own_samples(known: Known) -> OwnSamples:
    """Sorts the auxiliary samples; every second of either kind is of the other half.

    They are counted in an order that looks random, so that whatever repeats in their
    own order, such as labels, falls to both halves, and that is the same in all rounds.
    """
    properties = jnp.asarray(known.auxiliary_properties).astype(jnp.int32)
    order = jnp.argsort(hash_of(len(properties)))
    there = properties[order]
    rank = jnp.where(there == 1, jnp.cumsum(there), jnp.cumsum(1 - there))
    halves = jnp.zeros_like(properties).at[order].set((rank - 1) % 2)
    table = rows_of_classes(2 * halves + properties, 4)
    # Of a kind with a single sample the second half is the first.
    is_empty = table.counts == 0
    first = jnp.array([0, 1, 0, 1])
    table = ClassTable(
        order=table.order,
        starts=jnp.where(is_empty, table.starts[first], table.starts),
        counts=jnp.where(is_empty, table.counts[first], table.counts),
    )
    return OwnSamples(
        features=jnp.asarray(known.auxiliary_features),
        labels=jnp.asarray(known.auxiliary_labels),
        table=table,
        is_fit=jnp.all(table.counts > 0),
    )


def simulate_batch(
    key: Key[Array, ""],
    view: UpdateView,
    known: Known,
    samples: OwnSamples,
    fraction: Float[Array, ""],
    half: Int[Array, ""],
) -> tuple[Any, Float[Array, ""]]:
    """The update that would be seen of a batch of one half of the auxiliary samples.

    In each local step of the first participant a share of the samples, rounded to a
    number of them, has the property; of the others none has.

    Returns:
        The update, and the share that has the property.
    """
    key_rows, key_update = jax.random.split(key)
    size = samples_of_target(view)
    number = jnp.round(fraction * size)
    kind = (jnp.arange(view.batch_size) < number).astype(jnp.int32) + 2 * half
    kinds = jnp.broadcast_to(kind[None, :], (view.num_steps, view.batch_size))
    rows = draw_rows_of(key_rows, samples.table, kinds)
    update = known.simulate(key_update, samples.features[rows], samples.labels[rows])
    return update, number / size


def samples_of_target(view: UpdateView) -> int:
    """How many samples of a local step's batch are of one participant."""
    return view.batch_size // view.num_participants
