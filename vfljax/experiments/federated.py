"""What a trial of horizontal learning trains and lets an adversary see."""

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from vfljax import data, metrics
from vfljax.attacks import Attack, Reader
from vfljax.defenses import Defense, NoDefense
from vfljax.defenses.base import update_shapes
from vfljax.experiments import watching
from vfljax.experiments.experiment import Experiment
from vfljax.experiments.task import Arrays
from vfljax.experiments.world import AnyWorld, Cell, Observation, decisions
from vfljax.known import NOTHING, Known
from vfljax.models import PartyModel
from vfljax.protocol import (
    HONEST,
    Batches,
    FederatedAveraging,
    FederatedProtocol,
    FederatedSGD,
    FederatedState,
    Scene,
    Upload,
    inputs_of_head,
    train_rounds,
)

_MOST_ALONE = 4  # participants whose training alone is computed, for the floor


class FederatedStart(NamedTuple):
    """A training that can begin.

    Attributes:
        run: The protocol.
        state: Before the first round.
        train_key: Of what is random in training; round t uses `fold_in(key, t)`.
        looks: Keys of the rounds that are looked at between those of the training, by
            the round before which they are, in ascending order.
        watch_key: Of what adversaries draw who watch the training.
    """

    world: "World"
    run: FederatedProtocol
    state: FederatedState
    train_key: Key[Array, ""]
    looks: dict[int, Key[Array, ""]]
    watch_key: Key[Array, ""]


@dataclasses.dataclass(frozen=True)
class World(AnyWorld):
    """Network, defense and protocol at one setting."""

    @property
    def protocol(self) -> FederatedSGD | FederatedAveraging:
        """The protocol's options."""
        return cast(Any, self.experiment.protocol)

    @property
    def model(self) -> PartyModel:
        """The shared network."""
        return self.experiment.network.make(self.cell.num_classes)

    @property
    def samples_each(self) -> int:
        """How many samples a participant has, on average."""
        return len(self.arrays.labels) // self.protocol.num_participants

    def num_steps(self, batch_size: int) -> int:
        """K, local steps of a round with such batches."""
        return self.protocol.num_steps(batch_size, self.samples_each)

    def defense(self) -> Defense:
        """The cell's defense at the strength of the setting, which may be traced."""
        features = self.arrays.features[0][:1]
        params = jax.eval_shape(self.model.init, jax.random.key(0), features)
        return self.defense_for(update_shapes(params, self.protocol.num_in_round))

    @property
    def train_size(self) -> int:
        """Samples of a local step of the training."""
        return self.experiment.training.size(self.cell.batch_size)

    def run(
        self,
        batch_size: int,
        defense: Defense | None = None,
        upload: Upload | None = None,
    ) -> FederatedProtocol:
        """The protocol with batches of a size, and the cell's defense or another."""
        experiment = self.experiment
        return self.protocol.make(
            self.model,
            experiment.training.make(),
            defense=self.defense() if defense is None else defense,
            num_classes=self.cell.num_classes,
            learning_rate=experiment.training.learning_rate,
            num_steps=self.num_steps(batch_size),
            upload=upload,
        )


def start(
    world: World, key: Key[Array, ""], attack: Attack, *, looks: bool
) -> FederatedStart:
    """Everything that is drawn before the first round."""
    weights_key, train_key, views_key = jax.random.split(key, 3)
    interference = HONEST
    if attack.victim is not None:
        interference = attack.interferes(views_key, _scene(world))
    run = world.run(world.train_size, upload=interference.upload)
    steps = sorted(world.experiment.train_steps) if looks else []
    look_keys = {
        step: jax.random.fold_in(
            views_key, 0 if world.experiment.same_samples else step
        )
        for step in steps
    }
    state = run.init(weights_key, world.arrays.features[0][:1])
    watch_key = jax.random.fold_in(views_key, 2**32 - 1)
    return FederatedStart(world, run, state, train_key, look_keys, watch_key)


def _scene(world: World) -> Scene:
    """What a participant may look at before training: sizes alone."""
    number = world.protocol.num_participants
    return Scene(
        num_samples=len(world.arrays.labels),
        num_test=len(world.arrays.test_labels),
        num_classes=world.cell.num_classes,
        adversary=number - 1,
        passive=tuple(range(number)),
        batch_size=world.cell.batch_size,
        prepared=world.arrays.of_attack,
        samples_of=_not_offered,
        infer=_not_offered,
    )


def _not_offered(*_: Any) -> Any:
    """Services that only the scene of vertical learning has."""
    raise ValueError("scene: participants of horizontal learning are told of no labels")


def advance(
    start: FederatedStart,
    state: FederatedState,
    first: int,
    last: int,
    readers: Sequence[Reader] = (),
) -> tuple[FederatedState, Any]:
    """Trains from one round to another, as scans over data on the device.

    Returns the state and, where there are readers, what they kept and the truth about
    each watched round; else None.
    """
    experiment = start.world.experiment
    begin = min(max(first, experiment.watch_from), last)
    every = experiment.watch_every
    end = begin + (last - begin) // every * every
    if not readers or begin == end:
        return _train(start, state, first, last)
    state, _ = _train(start, state, first, begin)
    state, kept = _train(start, state, begin, end, readers)
    return _train(start, state, end, last)[0], kept


def _train(start, state, first, last, readers=()) -> tuple[FederatedState, Any]:
    """Some rounds; what readers kept of them, or None where there are none."""
    if first == last:
        return state, None
    world, arrays = start.world, start.world.arrays
    experiment, options = world.experiment, {}
    target, watched = experiment.data.horizontal.target, arrays.watched
    if target is not None:
        options |= {
            "properties": watched.rows.codes,
            "draw": watching.draw_for(target, watched, arrays.partition),
            "shares": watching.shares_for(target, start.run.num_steps),
        }
    if readers:
        given = start.run, readers, _known_of(arrays)
        options["watch"] = watching.watch_for(start.watch_key, *given)
        options["watch_every"] = experiment.watch_every
    return train_rounds(
        start.run,
        start.train_key,
        state,
        arrays.features[0],
        arrays.labels,
        arrays.partition,
        jnp.arange(first, last),
        batch_size=world.train_size,
        num_in_round=world.protocol.num_in_round,
        **options,
    )


def watched(
    start: FederatedStart, attacks: Sequence[Attack], kept: Sequence[Any]
) -> dict[str, Observation]:
    """What attacks that watch are given, from what was kept in the training's parts."""
    world, readers = start.world, watching.readers_of(attacks)
    size = start.run.num_steps * world.train_size
    given = attacks, readers, kept, world.arrays.watched, size, world.setting
    return watching.observations(*given) if kept else {}


def _known_of(arrays: Arrays) -> dict[str, Any]:
    """Fields of `Known` that an adversary has of its own, in any round."""
    found = {}
    if len(arrays.auxiliary_labels):
        found["auxiliary_features"] = arrays.auxiliary_features
        found["auxiliary_labels"] = arrays.auxiliary_labels
    if len(arrays.watched.auxiliary_properties):
        found["auxiliary_properties"] = arrays.watched.auxiliary_properties
    if len(arrays.watched.records):
        found["records"] = arrays.watched.records
    return found


def observe(
    start: FederatedStart,
    state: FederatedState,
    look: Key[Array, ""],
    kinds: Collection[Any],
    wants: Collection[str],
    layer: str,
) -> Observation:
    """What is seen of one round with batches of the attacked size.

    The round is not part of the training. The first participant takes part, or as many
    of the first ones as a round has where an aggregate is seen, with equal weights: an
    update is then that of one larger batch. `truth` has the labels behind what is seen,
    and facts what goals want of them, about the network's last `layer`.
    """
    world, protocol = start.world, start.world.protocol
    arrays, size = world.arrays, world.cell.batch_size
    run = world.run(size)
    number = protocol.num_in_round if protocol.sees_aggregate else 1
    label_key, row_key, send_key = jax.random.split(look, 3)
    shape = (run.num_steps, size)
    chosen = jnp.arange(number)
    if world.experiment.data.horizontal.batch_labels == "own":
        rows = data.draw_own_rows(row_key, arrays.partition, chosen, shape)
    else:
        kind = world.experiment.data.horizontal.batch_labels

        def draw(key):
            return data.draw_labels(key, kind, shape, world.cell.num_classes)

        labels = jax.vmap(draw)(jax.random.split(label_key, number))
        rows = data.draw_rows_of(row_key, arrays.table, labels)
    features, labels = arrays.features[0][rows], arrays.labels[rows]
    weights = jnp.full(number, 1.0 / number)
    batches = Batches(features, labels, chosen, weights)
    remembering = run.restart(state)._replace(defense_states=state.defense_states)
    with jax.default_matmul_precision("highest"):  # as attacks compare it with theirs
        transcript, _ = run.exchange(send_key, remembering, batches)
    view = run.view(state, transcript, size, features.shape[3:])
    seen = view.num_labels // (run.num_steps * size)
    facts = {}
    if "head_inputs" in wants:  # batch by batch: normalization depends on the batch
        inputs = jax.vmap(jax.vmap(lambda x: inputs_of_head(view, x, layer)))
        facts["head_inputs"] = inputs(features[:seen]).reshape(labels[:seen].size, -1)
    return Observation(
        views={kind.name: view for kind in kinds},
        rows=(),
        truth=labels[:seen].reshape(-1),
        public=NOTHING,
        is_unprotected=jnp.array(False),
        facts=facts,
        setting=world.setting,
    )


def look(
    key: Key[Array, ""],
    experiment: Experiment,
    cell: Cell,
    attack: Attack,
    seen: Observation,
    arrays: Arrays,
) -> tuple[Any, Known, Bool[Array, " labels"]]:
    """What is seen, what an adversary may know, and that it knows no label.

    Of attacks that watch the training, what is seen is what their readers kept, and
    what they could simulate they did while they watched.
    """
    world, known = World(experiment, cell, seen.setting, arrays), _known_of(arrays)
    (view,) = seen.views.values()
    if attack.reader is None:
        run = world.run(cell.batch_size)
        known["simulate"] = watching.simulate_for(run, view)
    return view, Known(**known), jnp.zeros(seen.truth.shape, bool)


def rates(start: FederatedStart, state: FederatedState) -> dict[str, Any]:
    """Rates of the main task, and of participants that train alone, as columns."""
    world, arrays = start.world, start.world.arrays
    counts = jnp.asarray(arrays.table.counts)
    found = {"chance_accuracy": metrics.chance_accuracy(counts)}
    if not world.experiment.training.steps:
        return found | {
            "main_accuracy": jnp.array(jnp.nan),
            "trained": jnp.array(True),
        }
    logits = start.run.predict(state, arrays.test_features[0])
    predicted, is_answer = decisions(logits)
    found |= {
        "main_accuracy": metrics.accuracy(predicted, arrays.test_labels),
        "trained": jnp.all(is_answer),
        "floor_accuracy": _floor_accuracy(start),
    }
    if logits.shape[1] == 2:
        margin = logits[:, 1] - logits[:, 0]
        found["main_auc"] = metrics.binary_auc(margin, arrays.test_labels == 1)
    return found


def _floor_accuracy(start: FederatedStart) -> Float[Array, ""]:
    """Mean test accuracy of participants that train alone, undefended.

    Each trains as the protocol does, but with itself as the only participant: as many
    rounds of as many local steps. The mean is over the first participants, four at
    most.
    """
    world, experiment = start.world, start.world.experiment
    arrays, total = world.arrays, world.protocol.num_participants
    steps, size = experiment.training.steps, world.train_size
    alone = dataclasses.replace(world.run(size, NoDefense()), num_participants=1)
    shape = alone.num_steps, size
    key = jax.random.fold_in(start.train_key, 2**32 - 1)

    def of_one(participant):
        own_key = jax.random.fold_in(key, participant)

        def one_step(state, step):
            row_key, step_key = jax.random.split(jax.random.fold_in(own_key, step))
            own = arrays.partition, participant[None], shape
            rows = data.draw_own_rows(row_key, *own)
            given = arrays.features[0][rows], arrays.labels[rows]
            batches = Batches(*given, jnp.zeros(1, jnp.int32), jnp.ones(1))
            return alone.step(step_key, state, batches)[0], None

        untrained = alone.restart(start.state)
        state, _ = jax.lax.scan(one_step, untrained, jnp.arange(steps))
        logits = alone.predict(state, arrays.test_features[0])
        return metrics.accuracy(decisions(logits)[0], arrays.test_labels)

    return jnp.mean(jax.lax.map(of_one, jnp.arange(min(total, _MOST_ALONE))))
