"""One victim trained on real ciphertexts: the engine behind `Experiment.encryption`.

Keys, weights, batches and noise are those of the simulated trial. Where a view is
taken, the roles exchange the messages of its batch and nobody takes a step.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vfljax import data, metrics, protocol
from vfljax.attacks import Attack
from vfljax.experiments.encryption import Encryption
from vfljax.experiments.experiment import Experiment
from vfljax.experiments.folders import write_json
from vfljax.experiments.scene import make_scene
from vfljax.experiments.task import Arrays
from vfljax.experiments.trial import (
    Victim,
    draw_batches,
    draw_classes,
    final_observation,
    initial_state,
    main_task,
    prepared_targets,
)
from vfljax.experiments.world import Observation, Setting, World
from vfljax.protocol import HONEST, BatchGradientView, encrypted


class _Iteration(NamedTuple):
    """What happens in one iteration: a step of training, or a look between steps."""

    rows: np.ndarray
    key: Any
    is_look: bool
    truth: Any = None


def encrypted_victim(
    encryption: Encryption,
    experiment: Experiment,
    unit: Any,
    attack: Attack,
    arrays: Arrays,
    folder: Path,
) -> Victim:
    """Trains one model on ciphertexts, going on with what is in the folder.

    Args:
        encryption: How.
        experiment: What is run.
        unit: A cell, a strength and a trial.
        attack: One of those that share the victim.
        arrays: The data, as the trained layers are given it.
        folder: The run folder; the roles' states and messages go into a part of it.

    Returns:
        As `make_victim`, of one trial. `main` has the largest difference of a weight
        from the simulated training besides, where both have the same loss.

    Raises:
        RoleFailed: If a role's process fails.
        EncryptionError: If a role refuses a message.
        ImportError: If the backend's library isn't installed.
    """
    spec = experiment.defenses[unit.cell.defense]
    setting = Setting(
        strength=jnp.float32(unit.strength or 0.0),
        choice=jnp.int32(spec.choice(unit.strength, unit.trial)),
    )
    world = World(experiment, unit.cell, setting, arrays)
    trial_key = jax.random.fold_in(jax.random.key(experiment.seed), unit.trial)
    classes_key, weights_key, order_key, train_key, views_key = jax.random.split(
        jax.random.split(trial_key)[0], 5
    )
    classes = draw_classes(classes_key, unit.cell, arrays)
    start = initial_state(world.honest, weights_key, arrays)
    interference = HONEST
    if attack.victim is not None:
        interference = attack.interferes(views_key, make_scene(world, start))
    batches = draw_batches(order_key, interference, experiment.training, arrays)
    run = world.protocol(interference, batches)
    start = run.restart(start)
    start = prepared_targets(run, train_key, start, arrays)
    view_steps = () if attack.sees.is_final else experiment.train_steps
    plan = _plan(experiment, world, classes, batches, train_key, views_key, view_steps)
    place = folder / "encrypted" / _folder_name(unit, attack)
    result = _train(encryption, world, interference, start, plan, place)
    adversary = experiment.data.adversary % world.num_parties
    observed = result.observations[_passive(world).index(adversary)]
    state = start._replace(params=_in_order(world, result.params))
    main = main_task(experiment, run, state, arrays)
    if encryption.mode == "exact" and batches is not None:
        plain, _ = protocol.train(
            run, train_key, start, arrays.features, arrays.labels, batches
        )
        main["weights_max_difference"] = _largest_difference(plain, state)
    write_json(place / "engine.json", _account(world, result, place))
    return Victim(
        at_steps=tuple(
            Observation(
                views={BatchGradientView.name: observed[number].view},
                rows=jnp.asarray(iteration.rows),
                truth=iteration.truth,
                public=world.public(),
                is_unprotected=jnp.array(False),
            )
            for number, iteration in enumerate(plan)
            if iteration.is_look
        ),
        finally_=final_observation(
            world, run, state, arrays, adversary, {attack.sees}, interference
        )
        if attack.sees.is_final
        else None,
        main=main
        | {"chance_accuracy": metrics.chance_accuracy(arrays.table.counts[classes])},
    )


def _plan(experiment, world, classes, batches, train_key, views_key, view_steps):
    """All iterations in order, with the batches and keys of the simulation."""
    plan, rows, truth = [], None, None
    for step in range(experiment.training.steps + 1):
        if step in view_steps:
            batch_key, defense_key = jax.random.split(
                jax.random.fold_in(views_key, step)
            )
            if rows is None or not experiment.same_samples:
                rows, truth = data.draw_batch(
                    batch_key, world.arrays.table, classes, world.cell.batch_size
                )
            plan.append(_Iteration(np.asarray(rows), defense_key, True, truth))
        if step < experiment.training.steps:
            key = jax.random.fold_in(train_key, step)
            plan.append(_Iteration(np.asarray(batches[step]), key, False))
    return plan


def _train(encryption, world, interference, start, plan, place):
    """Runs the roles; the label party is their last one."""
    arrays, training = world.arrays, world.experiment.training
    everyone = np.arange(len(arrays.labels))
    activations = [
        np.asarray(cheat.alter(part, everyone) if cheat else part, np.float32).reshape(
            len(everyone), -1
        )
        for part, cheat in zip(
            arrays.features,
            map(interference.manipulations.get, range(world.num_parties)),
            strict=True,
        )
    ]
    looks = tuple(number for number, each in enumerate(plan) if each.is_look)
    passive = [
        encrypted.PassiveInputs(
            activations[party],
            jax.tree.map(np.asarray, start.params[party]),
            training.make,
            operations=_operations(interference, party, plan),
            observe=looks,
        )
        for party in _passive(world)
    ]
    label_party = _label_party(world)
    active = encrypted.ActiveInputs(
        activations[label_party],
        jax.tree.map(np.asarray, start.params[label_party]),
        training.make,
        labels=np.asarray(arrays.labels),
        keys=jnp.stack([each.key for each in plan]),
        defense=world.defense(len(plan[0].rows)),
        targets=np.asarray(start.targets) if len(start.targets) else None,
    )
    agreement = encrypted.Agreement(
        num_classes=world.cell.num_classes,
        batch_size=len(plan[0].rows),
        widths=tuple(
            activations[party].shape[1] for party in (*_passive(world), label_party)
        ),
        mode=encryption.mode,
        layout=encryption.layout,
        backend=encryption.backend,
        preset=encryption.preset,
        looks=looks,
    )
    train = encrypted.run_in_processes if encryption.processes else encrypted.run_here
    return train(
        agreement,
        passive,
        active,
        np.stack([each.rows for each in plan]),
        folder=place,
        resume=(place / "agreement.json").exists(),
    )


def _operations(interference, party, plan):
    """What a party that cheats does to encrypted rows, by iteration."""
    cheat = interference.manipulations.get(party)
    if cheat is None:
        return {}
    if cheat.on_ciphertexts is None:
        raise ValueError(
            "encryption: what this attack does to messages can't be done to "
            "ciphertexts; must be one that moves rows, multiplies them by a whole "
            "number or adds a known one"
        )
    return {
        number: encrypted.RowOperations(**cheat.on_ciphertexts(each.rows))
        for number, each in enumerate(plan)
        if not each.is_look
    }


def _label_party(world):
    return world.experiment.data.label_party % world.num_parties


def _passive(world):
    """The passive parties, in the order of the roles."""
    return [p for p in range(world.num_parties) if p != _label_party(world)]


def _in_order(world, params):
    """Parameters in the order of the parties, from that of the roles."""
    roles = [*_passive(world), _label_party(world)]
    return tuple(params[roles.index(party)] for party in range(world.num_parties))


def _largest_difference(plain, state):
    """The largest distance of two weights at the same place."""
    distances = jax.tree.map(
        lambda a, b: jnp.max(jnp.abs(a - b)), plain.params, state.params
    )
    return jnp.max(jnp.stack(jax.tree.leaves(distances)))


def _folder_name(unit, attack):
    """A name for the part of a unit; attacks that train their own have theirs."""
    cell = unit.cell
    words = [cell.variant, cell.defense, f"{unit.strength}", f"B{cell.batch_size}"]
    words += [f"trial{unit.trial}", "" if attack.victim is None else _slug(attack)]
    return "-".join(word for word in words if word).replace("/", "_")


def _slug(attack):
    numbers = "-".join(f"{getattr(attack, name):g}" for name in attack.traced)
    return f"{type(attack).__name__}-{numbers}"


def _account(world, result, place):
    """Who learned what, from the log of messages, for the report."""
    log = (place / "messages.jsonl").read_text().splitlines()
    messages = encrypted.summarize_messages(map(json.loads, log))
    adversary = world.experiment.data.adversary % world.num_parties
    return {
        "description": result.description,
        "messages": messages,
        "learned": encrypted.who_learned_what(result.description, messages),
        "adversary": f"passive_{_passive(world).index(adversary)}",
    }
