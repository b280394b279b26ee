"""One trial of a backdoor: draw who is marked, train under attack, try the trigger."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from vfljax import attacks, data, metrics, protocol
from vfljax.experiments.attack_specs import RecoversClasses, RecoversMessages
from vfljax.experiments.backdoor_specs import BackdoorSpec, LabelFlip
from vfljax.experiments.loading import Arrays
from vfljax.experiments.schema import Experiment
from vfljax.experiments.trial import (
    Cell,
    Seen,
    Setting,
    auxiliary_of,
    initial_state,
    look,
    main_task,
    make_defense,
    make_protocol,
    public_knowledge,
    view_of,
)
from vfljax.protocol import Manipulation


class Backdoored(NamedTuple):
    """What comes of one training with a backdoor.

    Attributes:
        labels: Predictions for the test samples with the trigger (poisoned,).
        labels_without: For the same samples without it (poisoned,).
        truth: Their true classes (poisoned,).
        target: The class that the trigger is to lead to.
        main_accuracy: On all test samples, without the trigger.
        main_top5: The same for the five most likely classes, or () if no more.
        main_f1: F1 of class 1, or () unless there are two.
        trained: Whether all answers are finite: not if training diverged.
        inferred_accuracy: Share of the poisoned samples whose label was inferred
            rightly beforehand; NaN where none was.
    """

    labels: Any
    labels_without: Any
    truth: Any
    target: Any
    main_accuracy: Any
    main_top5: Any
    main_f1: Any
    trained: Any
    inferred_accuracy: Any


class _Marked(NamedTuple):
    """Rows of the training set."""

    target: Int[Array, ""]
    poisoned: Int[Array, " poisoned"]
    targets: Int[Array, " targets"]
    tried: Int[Array, " tried"]  # of the test set


def program_spec(spec: BackdoorSpec) -> BackdoorSpec:
    """Specs that are equal after this share a program: amplification is traced."""
    return dataclasses.replace(spec, amplification=1.0)


def make_backdoor(
    experiment: Experiment, cell: Cell, label: str
) -> Callable[..., Backdoored]:
    """Returns `backdoored(key, (setting, amplification), arrays)`, one training.

    `key` is one trial's, as for a victim: weights are those of the training without a
    backdoor. Setting and amplification may be traced.
    """
    spec, training = experiment.attacks[label], experiment.training
    assert isinstance(spec, BackdoorSpec)
    plant = _plant_flips if isinstance(spec, LabelFlip) else _plant_replacement

    def backdoored(key, setting_and_amplification, arrays: Arrays) -> Backdoored:
        setting, amplification = setting_and_amplification
        num_parties, num_samples = len(arrays.features), len(arrays.labels)
        _, key_weights, key_order, key_train, key_marked = jax.random.split(key, 5)
        key_marked, key_pairs, key_infer = jax.random.split(key_marked, 3)
        marked = _draw_marked(key_marked, spec, arrays)
        parties = _adversaries(experiment, spec, num_parties)
        defense = make_defense(experiment, cell, setting, arrays, spec.extra_rows)
        honest = make_protocol(experiment, cell, num_parties, defense)
        state = initial_state(honest, key_weights, arrays)
        cheats, inferred_accuracy = {}, jnp.array(jnp.nan)
        if spec.num_poisoned:
            planted = plant(
                _Scene(experiment, cell, setting, arrays, state),
                key_infer,
                spec,
                parties,
                marked,
                amplification,
            )
            is_poisoned = jnp.zeros(num_samples, bool).at[marked.poisoned].set(True)
            cheats = {
                party: _with_trigger(cheat, is_poisoned, arrays.triggers[label][party])
                for party, cheat in planted.cheats.items()
            }
            inferred_accuracy = planted.inferred_accuracy
        run = make_protocol(
            experiment, cell, num_parties, defense, manipulations=cheats
        )
        state, _ = protocol.train(
            run,
            key_train,
            state,
            arrays.features,
            arrays.labels,
            _batches(key_order, key_pairs, spec, marked, num_samples, training),
        )
        clean = [party[marked.tried] for party in arrays.test_features]
        with_trigger = [
            data.add_trigger(features, *arrays.triggers[label][party])
            if party in parties
            else features
            for party, features in enumerate(clean)
        ]
        return Backdoored(
            labels=_predict(run, state, with_trigger),
            labels_without=_predict(run, state, clean),
            truth=arrays.test_labels[marked.tried],
            target=marked.target,
            **main_task(run, state, arrays, was_trained=True),
            inferred_accuracy=inferred_accuracy,
        )

    return backdoored


class _Scene(NamedTuple):
    """What a training starts from."""

    experiment: Experiment
    cell: Cell
    setting: Setting
    arrays: Arrays
    state: protocol.ProtocolState


class _Planted(NamedTuple):
    """What each adversary does, and how well it knew the labels if it had to."""

    cheats: dict[int, Manipulation]
    inferred_accuracy: Any


def _plant_replacement(scene: _Scene, key, spec: Any, parties, marked, gamma):
    """Every adversary swaps the same rows."""
    nobody = jnp.zeros(len(scene.arrays.labels), bool)
    cheat = attacks.label_replacement(
        nobody.at[marked.poisoned].set(True),
        nobody.at[marked.targets].set(True),
        gamma,
        uses_targets=spec.uses_targets,
        is_stealthy=spec.is_stealthy,
    )
    return _Planted(dict.fromkeys(parties, cheat), jnp.array(jnp.nan))


def _plant_flips(scene: _Scene, key, spec: Any, parties, marked, gamma):
    """Every adversary infers the poisoned samples' labels on its own."""
    nobody = jnp.full(len(scene.arrays.labels), -1)
    truth = scene.arrays.labels[marked.poisoned]
    cheats, rates = {}, []
    for party in parties:
        labels, codes = _infer_labels(
            scene, jax.random.fold_in(key, party), spec.of, party, marked.poisoned
        )
        inferred = nobody.at[marked.poisoned].set(labels)
        cheats[party] = attacks.label_flip(inferred, marked.target, gamma, codes=codes)
        rates.append(metrics.accuracy(labels, truth))
    return _Planted(cheats, jnp.mean(jnp.stack(rates)))


def _adversaries(experiment, spec, num_parties):
    """The positions of those that cheat."""
    if spec.adversaries == "one":
        return (experiment.data.adversary % num_parties,)
    label_party = experiment.data.label_party % num_parties
    return tuple(party for party in range(num_parties) if party != label_party)


def _draw_marked(key, spec, arrays):
    """The target class, its known samples, and those that get the trigger."""
    key_class, key_poison, key_target, key_tried = jax.random.split(key, 4)
    num_classes = arrays.table.counts.size
    target = (
        jax.random.randint(key_class, (), 0, num_classes)
        if spec.target_class is None
        else jnp.array(spec.target_class)
    )
    num_samples, num_test = len(arrays.labels), len(arrays.test_labels)
    poisoned = jax.random.permutation(key_poison, num_samples)[: spec.num_poisoned]
    num_targets = getattr(spec, "num_targets", 0)
    is_poisoned = jnp.zeros(num_samples, bool).at[poisoned].set(True)
    is_eligible = (arrays.labels == target) & ~is_poisoned
    lots = jax.random.uniform(key_target, (num_samples,)) + is_eligible
    targets = jax.lax.top_k(lots, num_targets)[1]
    tried = jax.random.permutation(key_tried, num_test)[: spec.num_poisoned_test]
    return _Marked(target, poisoned, targets, tried)


def _batches(key_order, key_pairs, spec, marked, num_samples, training):
    """Sample numbers of each step (steps, batch), or two or one more where extended."""
    size, steps = training.batch_size, training.steps
    if spec.extra_rows == 0:
        return protocol.epoch_batches(key_order, num_samples, size, steps)
    is_poisoned = jnp.zeros(num_samples, bool).at[marked.poisoned].set(True)
    num_clean = num_samples - spec.num_poisoned
    clean = jnp.flatnonzero(~is_poisoned, size=num_clean)
    batches = [clean[protocol.epoch_batches(key_order, num_clean, size, steps)]]
    key_poison, key_target = jax.random.split(key_pairs)
    batches.append(jax.random.choice(key_poison, marked.poisoned, (steps, 1)))
    if len(marked.targets):
        batches.append(jax.random.choice(key_target, marked.targets, (steps, 1)))
    return jnp.concatenate(batches, axis=1)


def _with_trigger(cheat: Manipulation, is_poisoned, mask_and_values):
    """The same, on features that carry the trigger where they should."""

    def alter(features, sample_ids):
        shape = (-1,) + (1,) * (features.ndim - 1)
        marked = data.add_trigger(features, *mask_and_values)
        return jnp.where(is_poisoned[sample_ids].reshape(shape), marked, features)

    return cheat._replace(alter=alter)


def _infer_labels(scene: _Scene, key, of: str, party: int, rows):
    """Labels of some samples, and a code per class, from the first messages.

    The code of a class is the mean of what the label party seems to have trained its
    samples on, softmax(H^p) − B·u; of a class that was never inferred, one-hot.
    """
    experiment, cell, setting, arrays, state = scene
    defense = make_defense(experiment, cell, setting, arrays)
    run = make_protocol(experiment, cell, len(arrays.features), defense)
    state = state._replace(defense_state=defense.init())  # batches have no extra rows
    public = public_knowledge(experiment, cell, setting, defense)
    attack = experiment.attacks[of]
    assert isinstance(attack, RecoversClasses)
    size = cell.batch_size
    num_batches = -(-len(rows) // size)
    padded = rows[jnp.arange(num_batches * size) % len(rows)]

    def one_batch(number, of_batch):
        key_look, key_known, key_attack = jax.random.split(
            jax.random.fold_in(key, number), 3
        )
        truth = arrays.labels[of_batch]
        seen = Seen(
            **look(key_look, run, state, arrays, of_batch, truth, party), **public
        )
        view = view_of(experiment, cell, of, seen, arrays.features[party])
        auxiliary = auxiliary_of(key_known, experiment, cell, of, seen)
        inference = attack.run(key_attack, view, auxiliary)
        recovered = (
            inference.scores
            if isinstance(attack, RecoversMessages)
            else attack.recover(view, auxiliary)
        )
        targets = recovered + jax.nn.softmax(protocol.own_embedding(view))
        return inference.labels, targets

    batches = padded.reshape(num_batches, size)
    labels, targets = jax.vmap(one_batch)(jnp.arange(num_batches), batches)
    labels = labels.reshape(-1)[: len(rows)]
    targets = targets.reshape(-1, cell.num_classes)[: len(rows)]
    of_class = jax.nn.one_hot(labels, cell.num_classes)  # none for an answer of −1
    counts = jnp.sum(of_class, axis=0)[:, None]
    means = of_class.T @ targets / jnp.maximum(counts, 1)
    return labels, jnp.where(counts > 0, means, jnp.eye(cell.num_classes))


def _predict(run, state, features):
    """Decisions; −1 where there is no finite answer."""
    logits = run.predict(state, features)
    is_answer = jnp.all(jnp.isfinite(logits), axis=1)
    return jnp.where(is_answer, jnp.argmax(logits, axis=1), -1)
