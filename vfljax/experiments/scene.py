"""What an adversary may look at before training, to plan its interference."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from vfljax import protocol
from vfljax.attacks import Attack
from vfljax.attacks.base import infer
from vfljax.experiments.world import World, draw_knowledge, with_features
from vfljax.protocol import ProtocolState, Scene


def make_scene(world: World, untrained: ProtocolState) -> Scene:
    """The scene before the first step, with the parties' untrained networks."""
    arrays = world.arrays

    def samples_of(key, target, number, excluded):
        is_eligible = (arrays.labels == target) & ~excluded
        lots = jax.random.uniform(key, arrays.labels.shape) + is_eligible
        return jax.lax.top_k(lots, number)[1]

    return Scene(
        num_samples=len(arrays.labels),
        num_test=len(arrays.test_labels),
        num_classes=world.cell.num_classes,
        adversary=world.adversary,
        passive=world.experiment.data.passive,
        batch_size=world.cell.batch_size,
        prepared=arrays.of_attack,
        samples_of=samples_of,
        infer=functools.partial(_infer, world, untrained),
    )


def _infer(world: World, state, key, attack: Attack, party: int, rows) -> Any:
    """Labels of some samples, and what they seem to be trained on, in whole batches."""
    run, arrays, size = world.honest, world.arrays, world.cell.batch_size
    num_batches = -(-len(rows) // size)
    padded = rows[jnp.arange(num_batches * size) % len(rows)]
    defense = world.experiment.defenses[world.cell.defense]

    def one_batch(number, of_batch):
        look_key, known_key, attack_key = jax.random.split(
            jax.random.fold_in(key, number), 3
        )
        truth = arrays.labels[of_batch]
        seen = world.observe(
            look_key, run, state, of_batch, truth, party, {attack.sees}
        )
        view = with_features(seen.views[attack.sees.name], of_batch, arrays, party)
        known, _ = draw_knowledge(known_key, attack, defense, world.cell, seen, arrays)
        inference = infer(attack, attack_key, view, known)
        recovers, recovered = attack.source or attack, inference.scores
        if recovers is not attack:
            recovered = infer(recovers, attack_key, view, known).scores
        targets = recovered + jax.nn.softmax(protocol.own_embedding(view))
        return inference.labels, targets

    batches = padded.reshape(num_batches, size)
    labels, targets = jax.vmap(one_batch)(jnp.arange(num_batches), batches)
    targets = targets.reshape(-1, world.cell.num_classes)[: len(rows)]
    return labels.reshape(-1)[: len(rows)], targets
