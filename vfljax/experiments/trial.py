"""One trial: data → parties → protocol → transcript → view → attack → inference.

It is cut in two, so that several attacks share a victim and each is timed alone:
`make_victim` trains and returns what one adversary sees, `make_attack` attacks one of
these views. Both are pure functions of one key and one setting; `sweep.py` maps them,
and `rows.py` scores what comes out.
"""

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Key

from vfljax import data, metrics, models, protocol
from vfljax.attacks import Attack, Inference
from vfljax.attacks.base import infer
from vfljax.experiments import federated
from vfljax.experiments.alone import alone_accuracy
from vfljax.experiments.experiment import Experiment
from vfljax.experiments.scene import make_scene
from vfljax.experiments.task import Arrays
from vfljax.experiments.watching import name_of, readers_of
from vfljax.experiments.world import (
    Cell,
    Observation,
    World,
    decisions,
    draw_knowledge,
    with_features,
    without_features,
)
from vfljax.protocol import HONEST, Interference, ProtocolState, VerticalProtocol

_OTHER = 2**32 - 1  # for keys of what no step has: steps are smaller numbers


class Look(NamedTuple):
    """A batch whose messages are looked at, between two steps of the training."""

    rows: Int[Array, " batch"]
    truth: Int[Array, " batch"]
    key: Key[Array, ""]


class Start(NamedTuple):
    """A training that can begin.

    Attributes:
        interference: How the adversary departs from the protocol.
        run: The protocol, with it.
        batches: Sample numbers of each step; None without training.
        looks: By the training step before which they are taken, in ascending order.
        alone_key: Of a model that the adversary trains alone.
        classes: Those of the attacked batches.
    """

    world: World
    interference: Interference
    run: VerticalProtocol
    state: ProtocolState
    batches: Any
    train_key: Key[Array, ""]
    looks: dict[int, Look]
    alone_key: Key[Array, ""]
    classes: Int[Array, " classes"]


class Victim(NamedTuple):
    """One trained model and what is seen of it.

    Attributes:
        at_steps: One per training step at which views are taken.
        finally_: What is seen of the trained model, by the name of the view.
        main: Rates of the main task, as columns of a row, and `trained`: whether all
            answers are finite, which they are not if training diverged.
        watched: What attacks that watch the training kept of it, by their `name_of`.
    """

    at_steps: tuple[Observation, ...]
    finally_: dict[str, Observation]
    main: dict[str, Any]
    watched: Mapping[str, Observation] = {}

    def seen(self, attack: Attack, number: int = 0) -> Observation:
        """What an attack sees: of the trained model, of all rounds, or at one step."""
        if attack.reader is not None:
            return self.watched[name_of(attack)]
        if attack.sees.is_final:
            return self.finally_[attack.sees.name]
        return self.at_steps[number]


class Answer(NamedTuple):
    """One attack on one view.

    Attributes:
        inference: What the adversary believes.
        is_known: Samples whose labels it was given; they don't count.
        own: softmax(H^p), what its own model says; () unless another attack builds on
            this one.
    """

    inference: Inference
    is_known: Bool[Array, " batch"]
    own: Any


def make_victim(
    experiment: Experiment, cell: Cell, attacks: Sequence[Attack]
) -> Callable[..., Victim]:
    """Returns `victim(key, (setting, numbers), arrays)`, which trains one model.

    `key` is one trial's: two calls that differ in the setting or in the attack alone
    start from the same weights and see the same batches. `attacks` share the victim:
    all interfere alike. `numbers` are their traced options by name.
    """
    kinds = {attack.sees for attack in attacks if attack.reader is None}
    readers = readers_of(attacks)
    at_steps = {kind for kind in kinds if not kind.is_final}
    wants = {want for attack in attacks for want in attack.goal.wants}
    layers = [getattr(attack, "layer", "") for attack in attacks]
    layer = next(filter(None, layers), "")
    stages = _stages(experiment)

    def victim(key, setting_and_numbers, arrays: Arrays) -> Victim:
        setting, numbers = setting_and_numbers
        attack = dataclasses.replace(attacks[0], **numbers)
        given = experiment, cell, setting, arrays
        world = stages.World(*given)
        start = stages.start(world, key, attack, looks=bool(at_steps))
        state, done, views, kept = start.state, 0, {}, []
        for step in sorted({*start.looks, experiment.training.steps}):
            if step > done:
                state, of_part = stages.advance(start, state, done, step, readers)
                kept, done = kept if of_part is None else [*kept, of_part], step
            if step in start.looks:
                look = start.looks[step]
                given = look, at_steps, wants, layer
                views[step] = stages.observe(start, state, *given)
        finals = kinds - at_steps
        finally_ = stages.final(start, state, finals) if finals else {}
        return Victim(
            at_steps=tuple(views[step] for step in experiment.train_steps if views),
            finally_=finally_,
            main=stages.rates(start, state),
            watched=stages.watched(start, attacks, kept) if readers else {},
        )

    return victim


def start_trial(
    world: World, key: Key[Array, ""], attack: Attack, *, looks: bool
) -> Start:
    """Everything that is drawn and planned before the first step.

    `attack` is one of those that share the victim, and `looks` says whether views are
    taken at the experiment's training steps.
    """
    training, arrays = world.experiment.training, world.arrays
    classes_key, weights_key, order_key, train_key, views_key = jax.random.split(key, 5)
    num_total = arrays.table.counts.size
    classes = jnp.arange(num_total)  # in order if all, as a model is trained so
    if world.cell.num_classes < num_total:
        classes = data.draw_classes(classes_key, num_total, world.cell.num_classes)
    state = world.honest.init(weights_key, [party[:1] for party in arrays.features])
    if arrays.pretrained:
        params = (models.put_in(own, arrays.pretrained) for own in state.params)
        state = state._replace(params=tuple(params))
    interference = HONEST
    if attack.victim is not None:
        interference = attack.interferes(views_key, make_scene(world, state))
        views_key = jax.random.fold_in(views_key, _OTHER)
    size, steps, batches = training.size(world.cell.batch_size), training.steps, None
    if steps and interference.batches is not None:
        batches = interference.batches(order_key, size, steps)
    elif steps:
        batches = protocol.epoch_batches(order_key, len(arrays.labels), size, steps)
    run = world.protocol(interference, batches)
    targets_key = jax.random.fold_in(train_key, _OTHER)
    return Start(
        world=world,
        interference=interference,
        run=run,
        state=run.prepare(targets_key, run.restart(state), arrays.labels),
        batches=batches,
        train_key=train_key,
        looks=_draw_looks(views_key, world, classes) if looks else {},
        alone_key=weights_key,
        classes=classes,
    )


def _draw_looks(key, world: World, classes) -> dict[int, Look]:
    """The batches that are attacked: the same at all steps, or fresh ones."""
    looks, drawn = {}, None
    for step in sorted(world.experiment.train_steps):
        batch_key, look_key = jax.random.split(jax.random.fold_in(key, step))
        if drawn is None or not world.experiment.same_samples:
            drawn = data.draw_batch(
                batch_key, world.arrays.table, classes, world.cell.batch_size
            )
        looks[step] = Look(*drawn, look_key)
    return looks


def make_attack(
    experiment: Experiment, cell: Cell, attack: Attack, *, is_built_on: bool
) -> Callable[..., Answer]:
    """Returns `attacked(key, (observation, earlier, numbers), arrays)`, one attack.

    `earlier` holds scores and own predictions of all observations up to this one, for
    attacks that combine them; else (). `numbers` are the attack's traced options.
    """
    stages = _stages(experiment)

    def attacked(key, inputs, arrays: Arrays) -> Answer:
        seen, earlier, numbers = inputs
        of_trial = dataclasses.replace(attack, **numbers)
        known_key, attack_key = jax.random.split(key)
        given = experiment, cell, attack, seen, arrays
        view, known, is_known = stages.look(known_key, *given)
        known = known.replace(earlier=earlier)
        inference = infer(of_trial, attack_key, view, known)
        own = ()
        if is_built_on:
            own = jax.nn.softmax(protocol.own_embedding(view))
        return Answer(inference, is_known, own)

    return attacked


def _look(
    key: Key[Array, ""],
    experiment: Experiment,
    cell: Cell,
    attack: Attack,
    seen: Observation,
    arrays: Arrays,
):
    """The attack's view, what it may know, and the samples whose labels it knows."""
    adversary, defense = experiment.data.adversary, experiment.defenses[cell.defense]
    view = with_features(seen.views[attack.sees.name], seen.rows, arrays, adversary)
    known, is_known = draw_knowledge(key, attack, defense, cell, seen, arrays)
    known = known.replace(other_features=arrays.test_features[adversary])
    return view, known, is_known


def _advance(start: Start, state: ProtocolState, first: int, last: int, *_):
    """Trains from one step to another; nobody watches all of it."""
    arrays = start.world.arrays
    given = start.train_key, state, arrays.features, arrays.labels
    batches = start.batches[first:last]
    return protocol.train(start.run, *given, batches, first_step=first)[0], None


def _observe(start: Start, state: ProtocolState, look: Look, kinds: Any, *_):
    """What the adversary sees of one batch."""
    given = look.key, start.run, state, look.rows, look.truth
    return start.world.observe(*given, start.world.adversary, kinds)


def rates(start: Start, state: ProtocolState) -> dict[str, Any]:
    """Rates of the trained model, as columns of a row."""
    world, found = start.world, main_task(start, state)
    if world.experiment.record_alone:
        key = jax.random.fold_in(start.alone_key, world.adversary)
        found["alone_accuracy"] = alone_accuracy(key, world, start.batches)
    of_classes = world.arrays.table.counts[start.classes]
    return found | {"chance_accuracy": metrics.chance_accuracy(of_classes)}


def main_task(start: Start, state: ProtocolState) -> dict[str, Any]:
    """The main task's rates on test samples."""
    if not start.world.experiment.training.steps:
        return {"main_accuracy": jnp.array(jnp.nan), "trained": jnp.array(True)}
    arrays = start.world.arrays
    logits, truth = start.run.predict(state, arrays.test_features), arrays.test_labels
    predicted, is_answer = decisions(logits)
    found = {
        "main_accuracy": metrics.accuracy(predicted, truth),
        "trained": jnp.all(is_answer),
    }
    if logits.shape[1] > 5:
        found["main_top5"] = metrics.top_k_accuracy(logits, truth, 5)
    if logits.shape[1] == 2:
        is_found = jnp.sum((predicted == 1) & (truth == 1))
        total = jnp.sum(predicted == 1) + jnp.sum(truth)
        found["main_f1"] = 2 * is_found / jnp.maximum(total, 1)
    return found


def final_observations(
    start: Start, state: ProtocolState, kinds: Collection[Any]
) -> dict[str, Observation]:
    """What is seen of the trained model, by the names of the views."""
    return {kind.name: _final(kind, start, state) for kind in kinds}


def _final(kind, start: Start, state: ProtocolState) -> Observation:
    """One's own part of the trained model, or its answers."""
    world, run, interference = start.world, start.run, start.interference
    arrays, adversary = world.arrays, world.adversary
    truth, facts = arrays.labels, dict(interference.facts)
    if kind is protocol.PredictionView:
        asked = interference.asks_about
        asked = jnp.arange(len(arrays.test_labels)) if asked is None else asked
        clean = [party[asked] for party in arrays.test_features]
        asked_with = interference.asks(clean) if interference.asks else clean
        logits, truth = run.predict(state, asked_with), arrays.test_labels[asked]
        view = protocol.PredictionView(logits, world.cell.num_classes)
        facts["without"] = decisions(run.predict(state, clean))[0]
    else:
        features = arrays.features[adversary]
        view = protocol.trained_model_view(run, state, features, adversary)
    return Observation(
        views={kind.name: without_features(view)},
        rows=(),
        truth=truth,
        public=world.public(),
        is_unprotected=jnp.array(False),
        facts=facts,
    )


class _Vertical:
    """The stages of a trial of vertical learning, as `federated` has its own."""

    World = World
    start = staticmethod(start_trial)
    advance = staticmethod(_advance)
    observe = staticmethod(_observe)
    final = staticmethod(final_observations)
    look = staticmethod(_look)
    rates = staticmethod(rates)


def _stages(experiment: Experiment) -> Any:
    """How a trial goes, by what is shared: features, or samples."""
    return federated if experiment.protocol.shares_rows else _Vertical
