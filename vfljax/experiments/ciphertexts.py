"""One victim trained on real ciphertexts: the engine behind `Experiment.encryption`.

Keys, weights, batches and noise are those of the simulated trial. Where a view is
taken, the roles exchange the messages of its batch and nobody takes a step.
"""

import hashlib
import json
import re
import statistics
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vfljax import protocol
from vfljax.attacks import Attack
from vfljax.defenses.base import relabel
from vfljax.experiments.experiment import Experiment
from vfljax.experiments.folders import plain_data, read_json, write_json
from vfljax.experiments.task import Arrays
from vfljax.experiments.trial import (
    Start,
    Victim,
    final_observations,
    rates,
    start_trial,
)
from vfljax.experiments.world import Observation, Setting, World
from vfljax.protocol import BatchGradientView, encrypted


class _Iteration(NamedTuple):
    """What happens in one iteration: a step of training, or a look between steps."""

    step: int
    rows: np.ndarray
    key: Any
    is_look: bool
    truth: Any = None


def encrypted_victims(
    experiment: Experiment,
    units: Sequence[Any],
    attacks: Sequence[Attack],
    arrays: Arrays,
    folder: Path,
) -> Generator[str, None, Victim]:
    """Trains a model per unit on ciphertexts, going on with what is in the folder.

    Args:
        experiment: What is run, and how it is encrypted.
        units: A cell, a strength and a trial each; trained once if repeated.
        attacks: That share the victim: all interfere alike.
        arrays: The data.
        folder: Of the run; roles' states and messages go into a part of it.

    Yields:
        How far it is, in words.

    Returns:
        As `make_victim`, stacked. `main` has the largest difference of a weight from
        the simulated training besides, where both have the same loss; an entry that is
        nothing but rounding Adam may enlarge up to its step, as it divides a gradient
        by its size.

    Raises:
        ValueError: If an interference or a defense can't act on ciphertexts.
        RoleFailed: If a role's process fails.
        EncryptionError: If a role refuses a message.
        ImportError: If the backend's library isn't installed.
    """
    made = {}
    for unit in dict.fromkeys(units):
        made[unit] = yield from _victim(experiment, unit, attacks, arrays, folder)
    of_units = [made[unit] for unit in units]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *of_units)


def _victim(experiment, unit, attacks, arrays, folder):
    """The victim of one unit."""
    encryption, spec = experiment.encryption, experiment.defenses[unit.cell.defense]
    choice = spec.choice(unit.strength, unit.trial)
    setting = Setting(jnp.float32(unit.strength or 0.0), jnp.int32(choice))
    world = World(experiment, unit.cell, setting, arrays)
    trial_key = jax.random.fold_in(jax.random.key(experiment.seed), unit.trial)
    victim_key, kinds = jax.random.split(trial_key)[0], {each.sees for each in attacks}
    finally_kinds = {kind for kind in kinds if kind.is_final}
    start = start_trial(world, victim_key, attacks[0], looks=kinds != finally_kinds)
    plan = _plan(start)
    place = folder / "encrypted" / _folder_name(unit, attacks[0])
    what = f"{unit.cell.defense} {unit.strength or ''} trial {unit.trial}"
    yield f"{what}: the roles start"
    operations = _operations(attacks[0], unit, start.interference, plan)
    steps = _iterate(encryption, world, start, plan, operations, place)
    ends = []

    def said(number):
        ends.append(time.perf_counter())
        return f"{what}: iteration {number + 1} of {len(plan)}"

    result = yield from relabel(steps, said)
    params = dict(zip(_roles(world), result.params, strict=True))
    in_order = tuple(params[party] for party in sorted(params))
    state = start.state._replace(params=in_order)
    position = _roles(world).index(world.adversary)
    path, description = place / "engine.json", result.description
    seconds = None  # per iteration; of an earlier call, if this one had nothing to do
    if len(ends) > 1:
        seconds = statistics.median(np.diff(ends))
    elif path.is_file():
        seconds = read_json(path)["seconds_per_iteration"]
    main = rates(start, state)
    if encryption.mode == "exact" and start.batches is not None:
        main["weights_max_difference"] = _largest_difference(start, state, arrays)
    log = map(json.loads, (place / "messages.jsonl").read_text().splitlines())
    messages = encrypted.summarize_messages(log)
    account = {
        **unit.cell._asdict(),
        "defense_strength": unit.strength,
        "trial": unit.trial,
        "is_honest": attacks[0].victim is None,
        "adversary": f"passive_{position}",
        "num_iterations": len(plan),
        "processes": encryption.processes,
        "seconds_per_iteration": seconds,
        "weights_max_difference": main.get("weights_max_difference"),
        "description": description,
        "messages": messages,
        "learned": encrypted.who_learned_what(description, messages),
    }
    write_json(path, account)
    return Victim(
        at_steps=_observations(world, plan, result, position),
        finally_=final_observations(start, state, finally_kinds),
        main=main,
    )


def _observations(world, plan, result, position):
    """What the passive party at that position saw in each look, as in `train_steps`."""
    seen = {
        each.step: Observation(
            views={BatchGradientView.name: result.observations[position][number].view},
            rows=jnp.asarray(each.rows),
            truth=each.truth,
            public=world.public(),
            is_unprotected=jnp.asarray(result.unprotected[number]),
        )
        for number, each in enumerate(plan)
        if each.is_look
    }
    return tuple(seen[step] for step in world.experiment.train_steps if seen)


def _plan(start: Start) -> list[_Iteration]:
    """All iterations in order, with the batches and keys of the simulation."""
    plan, num_steps = [], start.world.experiment.training.steps
    for step in range(num_steps + 1):
        if step in start.looks:
            rows, truth, key = start.looks[step]
            plan.append(_Iteration(step, np.asarray(rows), key, True, truth))
        if step < num_steps:
            key = jax.random.fold_in(start.train_key, step)
            plan.append(_Iteration(step, np.asarray(start.batches[step]), key, False))
    return plan


def _iterate(encryption, world, start, plan, operations, place):
    """The roles' iterations; the label party is their last one."""
    arrays, everyone = world.arrays, np.arange(len(world.arrays.labels))
    optimizers, targets = world.optimizers(start.interference), start.state.targets
    looks = tuple(number for number, each in enumerate(plan) if each.is_look)
    brought = []
    for party in _roles(world):
        features = arrays.features[party]
        if cheat := start.interference.manipulations.get(party):
            features = cheat.alter(features, everyone)
        activations = np.asarray(features, np.float32).reshape(len(everyone), -1)
        params = jax.tree.map(np.asarray, start.state.params[party])
        brought.append((activations, params, optimizers[party]))
    agreement = encrypted.Agreement(
        num_classes=world.cell.num_classes,
        batch_size=len(plan[0].rows),
        widths=tuple(activations.shape[1] for activations, *_ in brought),
        mode=encryption.mode,
        layout=encryption.layout,
        backend=encryption.backend,
        preset=encryption.preset,
        looks=looks,
    )
    passive = [
        encrypted.PassiveInputs(
            *own, operations=operations.get(party, {}), observe=looks
        )
        for party, own in zip(_roles(world)[:-1], brought[:-1], strict=True)
    ]
    active = encrypted.ActiveInputs(
        *brought[-1],
        labels=np.asarray(arrays.labels),
        keys=jnp.stack([each.key for each in plan]),
        defense=world.defense(agreement.batch_size),
        targets=np.asarray(targets) if len(targets) else None,
    )
    batches = np.stack([each.rows for each in plan])
    network = encrypted.Processes() if encryption.processes else None
    return encrypted.iterate(
        agreement, passive, active, batches, network=network, folder=place
    )


def _operations(attack, unit, interference, plan):
    """What parties that cheat do to encrypted rows, by party and iteration."""
    for cheat in interference.manipulations.values():
        if cheat.on_ciphertexts is None:
            raise ValueError(
                f"{type(attack).__name__} with defenses.{unit.cell.defense}: what it "
                "does to messages can't be done to ciphertexts; must be one that moves "
                "rows, multiplies them by a whole number or adds a known one"
            )

    def of_party(cheat):
        return {
            number: encrypted.RowOperations(
                **cheat.on_ciphertexts(each.rows, unit.cell.num_classes)
            )
            for number, each in enumerate(plan)
            if not each.is_look
        }

    manipulations = interference.manipulations.items()
    return {party: of_party(cheat) for party, cheat in manipulations}


def _roles(world: World) -> list[int]:
    """The parties in the order of the roles: the passive ones, then the label party."""
    label_party = world.experiment.data.label_party % world.num_parties
    return [*(p for p in range(world.num_parties) if p != label_party), label_party]


def _largest_difference(start, state, arrays):
    """The largest distance of a weight from the simulated training's."""
    sides = arrays.features, arrays.labels
    plain, _ = protocol.train(
        start.run, start.train_key, start.state, *sides, start.batches
    )
    distances = jax.tree.map(
        lambda a, b: np.max(np.abs(a - b)), plain.params, state.params
    )
    return float(max(jax.tree.leaves(distances)))


def _folder_name(unit, attack: Attack) -> str:
    """A name for the training of a unit that says which it is, and is no other's."""
    cell, victim = unit.cell, attack.victim
    all_of_it = [*cell, unit.strength, unit.trial, plain_data(victim)]
    digest = hashlib.sha256(json.dumps(all_of_it, default=str).encode()).hexdigest()
    words = [cell.variant, cell.defense, unit.strength, f"B{cell.batch_size}"]
    words += [f"trial{unit.trial}", "" if victim is None else type(attack).__name__]
    name = "-".join(str(word) for word in words if word not in ("", None))
    name = re.sub(r"[^\w.-]", "_", name)
    return f"{name}-{digest[:8]}"
