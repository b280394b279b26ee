"""One trial: data → parties → protocol → transcript → view → attack → inference.

It is cut in two, so that several attacks share a victim and each is timed alone:
`make_victim` trains and returns what one adversary sees, `make_attack` attacks one of
these views. Both are pure functions of one key and one setting; `sweep.py` maps them,
and `rows.py` scores what comes out.
"""

import dataclasses
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from vfljax import data, metrics, models, protocol
from vfljax.attacks import Attack, Inference
from vfljax.experiments.alone import alone_accuracy
from vfljax.experiments.experiment import Experiment
from vfljax.experiments.scene import make_scene
from vfljax.experiments.task import Arrays
from vfljax.experiments.world import (
    Cell,
    Observation,
    World,
    draw_knowledge,
    with_features,
    without_features,
)
from vfljax.protocol import HONEST, Interference, ProtocolState, VerticalProtocol


class Start(NamedTuple):
    """A trial before its first step.

    Attributes:
        classes: Of the attacked batch.
        weights_key: Of the parties' weights.
        train_key: Of the steps.
        views_key: Of the batches that are attacked; of the interference too.
        interference: What the adversary does besides looking.
        batches: Sample numbers of each step (steps, rows); None without training.
        run: The protocol.
        state: Its state, with what is pretrained and prepared.
        chance: The accuracy of always naming the most frequent class.
    """

    classes: Int[Array, " classes"]
    weights_key: Key[Array, ""]
    train_key: Key[Array, ""]
    views_key: Key[Array, ""]
    interference: Interference
    batches: Any
    run: VerticalProtocol
    state: ProtocolState
    chance: Float[Array, ""]


class Victim(NamedTuple):
    """One trained model and what is seen of it.

    Attributes:
        at_steps: One per training step at which views are taken.
        finally_: The views of the trained model; None if no attack wants one.
        main: Rates of the main task, as columns of a row, and `trained`: whether all
            answers are finite, which they are not if training diverged.
    """

    at_steps: tuple[Observation, ...]
    finally_: Observation | None
    main: dict[str, Any]


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
    experiment: Experiment, cell: Cell, attacks: Sequence[Attack], num_parties: int
) -> Callable[..., Victim]:
    """Returns `victim(key, (setting, numbers), arrays)`, which trains one model.

    `key` is one trial's: two calls that differ in the setting or in the attack alone
    start from the same weights and see the same batches. `numbers` are the attack's
    traced options by name. Setting and numbers may be traced.

    Args:
        experiment: What is run.
        cell: What shapes the program.
        attacks: That share the victim: all interfere alike.
        num_parties: K.
    """
    training, adversary = experiment.training, experiment.data.adversary % num_parties
    kinds = {attack.sees for attack in attacks}
    at_steps = {kind for kind in kinds if not kind.is_final}
    view_steps = experiment.train_steps if at_steps else ()

    def victim(key, setting_and_numbers, arrays: Arrays) -> Victim:
        setting, numbers = setting_and_numbers
        attack = dataclasses.replace(attacks[0], **numbers)
        world = World(experiment, cell, setting, arrays)
        start = start_trial(world, key, attack)
        run, state, batches = start.run, start.state, start.batches
        views, done, rows, truth = {}, 0, None, None
        for step in sorted({*view_steps, training.steps}):
            if step > done:
                state, _ = protocol.train(
                    run,
                    start.train_key,
                    state,
                    arrays.features,
                    arrays.labels,
                    batches[done:step],
                    first_step=done,
                )
                done = step
            if step in view_steps:
                view_key = jax.random.fold_in(start.views_key, step)
                batch_key, defense_key = jax.random.split(view_key)
                if rows is None or truth is None or not experiment.same_samples:
                    rows, truth = data.draw_batch(
                        batch_key, arrays.table, start.classes, cell.batch_size
                    )
                views[step] = world.observe(
                    defense_key, run, state, rows, truth, adversary, at_steps
                )
        return Victim(
            at_steps=tuple(views[step] for step in view_steps),
            finally_=final_observation(
                world,
                run,
                state,
                arrays,
                adversary,
                kinds - at_steps,
                start.interference,
            ),
            main=main_task(experiment, run, state, arrays)
            | alone_rate(experiment, cell, run, start.weights_key, batches, arrays)
            | {"chance_accuracy": start.chance},
        )

    return victim


def make_attack(
    experiment: Experiment, cell: Cell, attack: Attack, *, is_built_on: bool
) -> Callable[..., Answer]:
    """Returns `attacked(key, (observation, earlier), arrays)`, one attack on one view.

    `earlier` holds scores and own predictions of all observations up to this one, for
    attacks that combine them; else ().
    """
    adversary, defense = experiment.data.adversary, experiment.defenses[cell.defense]

    def attacked(key, observation_and_earlier, arrays: Arrays) -> Answer:
        seen, earlier = observation_and_earlier
        known_key, attack_key = jax.random.split(key)
        view = with_features(seen.views[attack.sees.name], seen.rows, arrays, adversary)
        known, is_known = draw_knowledge(known_key, attack, cell, seen, arrays)
        known = known.replace(
            **dict(seen.public.items()),
            earlier=earlier,
            other_features=arrays.test_features[adversary],
            keeps_zero_sum=defense.keeps_zero_sum,
            drops_entries=defense.drops_entries,
        )
        inference = attack(attack_key, view, known.only(attack.uses))
        own = ()
        if is_built_on:
            own = jax.nn.softmax(protocol.own_embedding(view))
        return Answer(inference, is_known, own)

    return attacked


def start_trial(world: World, key: Key[Array, ""], attack: Attack) -> Start:
    """Everything that is drawn and planned before the first step.

    Args:
        world: What is trained.
        key: Of the trial's victim.
        attack: The one that interferes, or any that doesn't.
    """
    classes_key, weights_key, order_key, train_key, views_key = jax.random.split(key, 5)
    arrays, training = world.arrays, world.experiment.training
    classes = draw_classes(classes_key, world.cell, arrays)
    state, interference = initial_state(world.honest, weights_key, arrays), HONEST
    if attack.victim is not None:
        interference = attack.interferes(views_key, make_scene(world, state))
    batches = draw_batches(order_key, interference, training, arrays)
    run = world.protocol(interference, batches)
    state = run.restart(state)
    return Start(
        classes=classes,
        weights_key=weights_key,
        train_key=train_key,
        views_key=views_key,
        interference=interference,
        batches=batches,
        run=run,
        state=prepared_targets(run, train_key, state, arrays),
        chance=metrics.chance_accuracy(arrays.table.counts[classes]),
    )


def draw_classes(
    key: Key[Array, ""], cell: Cell, arrays: Arrays
) -> Int[Array, " classes"]:
    """The classes of the attacked batch: in order if all, as a model is trained so."""
    num_total = arrays.table.counts.size
    if cell.num_classes == num_total:
        return jnp.arange(num_total)
    return data.draw_classes(key, num_total, cell.num_classes)


def initial_state(
    run: VerticalProtocol, key: Key[Array, ""], arrays: Arrays
) -> ProtocolState:
    """The state before training, with what is pretrained put in."""
    state = run.init(key, [party[:1] for party in arrays.features])
    if not arrays.pretrained:
        return state
    start = (models.put_in(params, arrays.pretrained) for params in state.params)
    return state._replace(params=tuple(start))


def prepared_targets(
    run: VerticalProtocol, key: Key[Array, ""], state: ProtocolState, arrays: Arrays
) -> ProtocolState:
    """The state with what the defense prepares of all labels; steps use other keys."""
    return run.prepare(jax.random.fold_in(key, 2**32 - 1), state, arrays.labels)


def draw_batches(
    key: Key[Array, ""], interference: Interference, training: Any, arrays: Arrays
) -> Any:
    """Sample numbers of each training step (steps, rows); None without training."""
    if not training.steps:
        return None
    size, steps = training.batch_size, training.steps
    if interference.batches is not None:
        return interference.batches(key, size, steps)
    return protocol.epoch_batches(key, len(arrays.labels), size, steps)


def main_task(
    experiment: Experiment, run: VerticalProtocol, state: ProtocolState, arrays: Arrays
) -> dict[str, Any]:
    """The main task's rates on test samples."""
    if not experiment.training.steps:
        return {"main_accuracy": jnp.array(jnp.nan), "trained": jnp.array(True)}
    logits, truth = run.predict(state, arrays.test_features), arrays.test_labels
    predicted, is_answer = _decisions(logits)
    rates = {
        "main_accuracy": metrics.accuracy(predicted, truth),
        "trained": jnp.all(is_answer),
    }
    if logits.shape[1] > 5:
        rates["main_top5"] = metrics.top_k_accuracy(logits, truth, 5)
    if logits.shape[1] == 2:
        is_found = jnp.sum((predicted == 1) & (truth == 1))
        total = jnp.sum(predicted == 1) + jnp.sum(truth)
        rates["main_f1"] = 2 * is_found / jnp.maximum(total, 1)
    return rates


def alone_rate(
    experiment: Experiment,
    cell: Cell,
    run: VerticalProtocol,
    weights_key: Key[Array, ""],
    batches: Any,
    arrays: Arrays,
) -> dict[str, Any]:
    """What the adversary's features alone would give with all labels, if asked for."""
    if not experiment.record_alone:
        return {}
    adversary = experiment.data.adversary % len(arrays.features)
    return {
        "alone_accuracy": alone_accuracy(
            jax.random.fold_in(weights_key, adversary),
            run.models[adversary],
            experiment.training,
            batches,
            arrays.features[adversary],
            arrays.labels,
            arrays.test_features[adversary],
            arrays.test_labels,
            cell.num_classes,
            arrays.pretrained,
        )
    }


def final_observation(
    world: World,
    run: VerticalProtocol,
    state: ProtocolState,
    arrays: Arrays,
    adversary: int,
    kinds: Collection[Any],
    interference: Interference,
) -> Observation | None:
    """What is seen of the trained model: one's own part of it, or its answers."""
    if not kinds:
        return None
    (kind,) = kinds
    truth, facts = arrays.labels, dict(interference.facts)
    if kind is protocol.PredictionView:
        asked = interference.asks_about
        asked = jnp.arange(len(arrays.test_labels)) if asked is None else asked
        clean = [party[asked] for party in arrays.test_features]
        asks = interference.asks or (lambda features: features)
        view = protocol.PredictionView(
            run.predict(state, asks(clean)), world.cell.num_classes
        )
        truth = arrays.test_labels[asked]
        facts["without"] = _decisions(run.predict(state, clean))[0]
    else:
        view = without_features(
            protocol.trained_model_view(
                run, state, arrays.features[adversary], adversary
            )
        )
    return Observation(
        views={kind.name: view},
        rows=(),
        truth=truth,
        public=world.public(),
        is_unprotected=jnp.array(False),
        facts=facts,
    )


def _decisions(logits):
    """Classes, −1 where there is no finite answer; and whether there is one."""
    is_answer = jnp.all(jnp.isfinite(logits), axis=1)
    return jnp.where(is_answer, jnp.argmax(logits, axis=1), -1), is_answer
