"""One victim trained on real ciphertexts: the engine behind `Experiment.encryption`.

Keys, weights, batches and noise are those of the simulated trial. Where a view is
taken, the roles exchange the messages of its batch and nobody takes a step.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from vfljax import protocol
from vfljax.attacks import Attack
from vfljax.experiments.encryption import Encryption
from vfljax.experiments.folders import plain_data, write_json
from vfljax.experiments.trial import Start, Victim, begin, final_observations, rates
from vfljax.experiments.world import Observation, World
from vfljax.protocol import BatchGradientView, encrypted


class _Iteration(NamedTuple):
    """What happens in one iteration: a step of training, or a look between steps."""

    step: int
    rows: np.ndarray
    key: Any
    is_look: bool
    truth: Any = None


def encrypted_victim(
    encryption: Encryption,
    world: World,
    unit: Any,
    key: Key[Array, ""],
    attacks: Sequence[Attack],
    folder: Path,
) -> Victim:
    """Trains one model on ciphertexts, going on with what is in the folder.

    Args:
        encryption: How.
        world: What is trained, on what trained layers are given.
        unit: A cell, a strength and a trial.
        key: The trial's, of its victim.
        attacks: Those that share the victim.
        folder: The run folder; the roles' states and messages go into a part of it.

    Returns:
        As `make_victim`, of one trial. `main` has the largest difference of a weight
        from the simulated training besides, where both have the same loss.

    Raises:
        RoleFailed: If a role's process fails.
        EncryptionError: If a role refuses a message.
        ImportError: If the backend's library isn't installed.
    """
    kinds = {attack.sees for attack in attacks}
    at_steps = {kind for kind in kinds if not kind.is_final}
    start, arrays = begin(key, world, attacks[0], looks=bool(at_steps)), world.arrays
    plan = _plan(start)
    place = folder / "encrypted" / _folder_name(unit, attacks[0])
    result = _train(encryption, start, plan, place)
    observed = result.observations[_passive(world).index(world.adversary)]
    state = start.state._replace(params=_in_order(world, result.params))
    main = rates(start, state)
    if encryption.mode == "exact" and start.batches is not None:
        plain, _ = protocol.train(
            start.run,
            start.key,
            start.state,
            arrays.features,
            arrays.labels,
            start.batches,
        )
        main["weights_max_difference"] = _largest_difference(plain, state)
    write_json(place / "engine.json", _account(world, result, place))
    seen = {
        iteration.step: Observation(
            views={BatchGradientView.name: observed[number].view},
            rows=jnp.asarray(iteration.rows),
            truth=iteration.truth,
            public=world.public(),
            is_unprotected=jnp.array(False),
        )
        for number, iteration in enumerate(plan)
        if iteration.is_look
    }
    return Victim(
        at_steps=tuple(seen[step] for step in world.experiment.train_steps if seen),
        finally_=final_observations(start, state, kinds - at_steps),
        main=main,
    )


def _plan(start: Start) -> list[_Iteration]:
    """All iterations in order, with the batches and keys of the simulation."""
    plan, num_steps = [], start.world.experiment.training.steps
    for step in range(num_steps + 1):
        if step in start.looks:
            rows, truth, key = start.looks[step]
            plan.append(_Iteration(step, np.asarray(rows), key, True, truth))
        if step < num_steps:
            key = jax.random.fold_in(start.key, step)
            plan.append(_Iteration(step, np.asarray(start.batches[step]), key, False))
    return plan


def _train(encryption, start: Start, plan, place):
    """Runs the roles; the label party is their last one."""
    world, interference, state = start.world, start.interference, start.state
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
            jax.tree.map(np.asarray, state.params[party]),
            training.make,
            operations=_operations(interference, party, plan),
            observe=looks,
        )
        for party in _passive(world)
    ]
    label_party = _label_party(world)
    active = encrypted.ActiveInputs(
        activations[label_party],
        jax.tree.map(np.asarray, state.params[label_party]),
        training.make,
        labels=np.asarray(arrays.labels),
        keys=jnp.stack([each.key for each in plan]),
        defense=world.defense(len(plan[0].rows)),
        targets=np.asarray(state.targets) if len(state.targets) else None,
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
    """A word for what changes the training: no two have the same."""
    options = json.dumps(plain_data(attack.victim), sort_keys=True)
    return f"{type(attack).__name__}-{hashlib.sha256(options.encode()).hexdigest()[:8]}"


def _account(world, result, place):
    """Who learned what, from the log of messages, for the report."""
    log = (place / "messages.jsonl").read_text().splitlines()
    messages = encrypted.summarize_messages(map(json.loads, log))
    return {
        "description": result.description,
        "messages": messages,
        "learned": encrypted.who_learned_what(result.description, messages),
        "adversary": f"passive_{_passive(world).index(world.adversary)}",
    }
