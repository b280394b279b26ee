"""What an encrypted training and the plain one beside it have in common."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Key

from vfljax import data, metrics, models, protocol
from vfljax.attacks import label_replacement
from vfljax.defenses import Defense
from vfljax.experiments.base_spec import Shapes
from vfljax.experiments.chain_spec import DefenseSpec
from vfljax.experiments.encrypted.backdoor import (
    Plan,
    mark,
    plan_backdoor,
    row_operations,
)
from vfljax.experiments.encrypted.spec import EncryptedRun
from vfljax.experiments.loading import split_features
from vfljax.protocol import encrypted
from vfljax.protocol.encrypted.label_code import check_additive


class Prepared(NamedTuple):
    """Both trainings' common part.

    Attributes:
        agreement: The public settings.
        activations: What each party's trained layer is given, of the samples in use.
        labels: Of the samples in use.
        batches: Their numbers in each iteration (iterations, batch).
        plain: The plain protocol on the activations.
        state: Its state before the first iteration.
        make_defense: What the label party does.
        key_defense: For the defense.
        key_attacks: For the attacks.
        operations: What the adversary does to rows, the same in every iteration.
        tests: What each party's trained layer is given of test samples.
        marked_tests: The same with the backdoor's mark; empty without a backdoor.
        test_labels: Of the test samples.
        chance: What always naming the most frequent class would get.
    """

    agreement: encrypted.Agreement
    activations: tuple[np.ndarray, ...]
    labels: np.ndarray
    batches: np.ndarray
    plain: protocol.VerticalProtocol
    state: protocol.ProtocolState
    make_defense: Callable[[], Defense]
    key_defense: Key[Array, ""]
    key_attacks: Key[Array, ""]
    operations: encrypted.RowOperations
    tests: tuple[np.ndarray, ...]
    marked_tests: tuple[np.ndarray, ...]
    test_labels: np.ndarray
    chance: float


def check_fits_data(experiment: EncryptedRun, dataset: data.Dataset) -> None:
    """Raises a `ValueError` where experiment and data don't fit."""
    num_classes = len(dataset.class_names)
    if experiment.target_class >= num_classes:
        raise ValueError(
            f"target_class={experiment.target_class}: must be below {num_classes}, the "
            "number of classes"
        )
    if experiment.defense.only_classes not in (None, num_classes):
        raise ValueError(
            f"defense: is for {experiment.defense.only_classes} classes, "
            f"{dataset.name} has {num_classes}"
        )
    train_samples = experiment.data.train_samples or len(dataset.train_labels)
    if experiment.batch_size > train_samples:
        raise ValueError(
            f"batch_size={experiment.batch_size}: larger than the data set, "
            f"{dataset.name} has {train_samples} training samples"
        )
    split_features(experiment.data, dataset, dataset.train_features[:1])


def prepare(experiment: EncryptedRun, dataset: data.Dataset) -> Prepared:
    """Draws batches and weights, and runs the layers that are not trained.

    Only samples that are in some batch are kept.
    """
    key_weights, key_body, key_order, key_defense, key_attacks = jax.random.split(
        jax.random.key(experiment.seed), 5
    )
    spec, num_classes = experiment.data, len(dataset.class_names)
    dataset = data.take_rows(dataset, spec.train_samples, spec.test_samples)
    plan = _draw_batches(experiment, key_order, dataset.train_labels)
    used, places = np.unique(plan.batches, return_inverse=True)

    def activations_of(features, is_marked):
        parts = list(split_features(experiment.data, dataset, features))
        parts[experiment.adversary] = mark(parts[experiment.adversary], is_marked)
        return tuple(
            random_body(jax.random.fold_in(key_body, party), experiment.hidden, part)
            for party, part in enumerate(parts)
        )

    activations = activations_of(dataset.train_features[used], plan.is_marked[used])
    every_test = np.ones(len(dataset.test_labels), bool)
    agreement = encrypted.Agreement(
        num_classes=num_classes,
        batch_size=experiment.batch_size,
        widths=tuple(part.shape[1] for part in activations),
        mode=experiment.mode,
        layout=experiment.layout,
        backend=experiment.backend,
        preset=experiment.preset,
    )
    make_defense = _defense_maker(experiment, len(used), num_classes)
    if experiment.mode == "taylor":
        check_additive(make_defense(), num_classes, experiment.batch_size)
    plain = protocol.sum_of_logits(
        [models.mlp((), embed=num_classes)] * len(activations),
        [optimizer_maker(experiment)() for _ in activations],
        num_classes=num_classes,
        defense=make_defense(),
        manipulations=_manipulations(experiment, plan, used),
    )
    counts = np.bincount(dataset.train_labels, minlength=num_classes)
    return Prepared(
        agreement=agreement,
        activations=activations,
        labels=dataset.train_labels[used],
        batches=places.reshape(plan.batches.shape),
        plain=plain,
        state=plain.init(key_weights, [jnp.asarray(part[:1]) for part in activations]),
        make_defense=make_defense,
        key_defense=key_defense,
        key_attacks=key_attacks,
        operations=row_operations(experiment.replaced_pairs, experiment.amplification),
        tests=activations_of(dataset.test_features, ~every_test),
        marked_tests=activations_of(dataset.test_features, every_test)
        if experiment.replaced_pairs
        else (),
        test_labels=dataset.test_labels,
        chance=float(metrics.chance_accuracy(jnp.asarray(counts))),
    )


def random_body(
    key: Key[Array, ""], hidden: Sequence[int], features: np.ndarray
) -> np.ndarray:
    """Output (samples, width) of random hidden layers with ReLU; none: the features."""
    features = features.reshape(len(features), -1)
    if not hidden:
        return features
    body = models.mlp(tuple(hidden[:-1]), embed=hidden[-1], relu_output=True)
    flat = jnp.asarray(features)
    params = body.init(key, flat[:1])
    return np.asarray(models.embed_in_parts(body, params, flat))


def optimizer_maker(
    experiment: EncryptedRun,
) -> Callable[[], optax.GradientTransformation]:
    """Makes every party's optimizer, in any process."""
    return functools.partial(optax.sgd, experiment.learning_rate)


def _draw_batches(experiment, key, labels):
    """The batches, with marked samples and targets where there is a backdoor."""
    size, iterations = experiment.batch_size, experiment.iterations
    if experiment.replaced_pairs:
        pairs, target = experiment.replaced_pairs, experiment.target_class
        return plan_backdoor(key, labels, size, iterations, pairs, target)
    batches = protocol.epoch_batches(key, len(labels), size, iterations)
    nobody = np.zeros(len(labels), bool)
    return Plan(np.asarray(batches), nobody, nobody)


def _manipulations(experiment, plan, used):
    """The same backdoor in the plain training."""
    if not experiment.replaced_pairs:
        return {}
    cheat = label_replacement(
        jnp.asarray(plan.is_marked[used]),
        jnp.asarray(plan.is_target[used]),
        experiment.amplification,
    )
    return {experiment.adversary: cheat}


def _defense_maker(experiment, num_samples, num_classes):
    """Makes the defense in any process."""
    preparing = experiment.defense.prepare(num_classes)
    while True:
        try:
            next(preparing)
        except StopIteration as stop:
            trained = jax.tree.map(lambda leaf: np.asarray(leaf[0]), stop.value)
            break
    shapes = Shapes(num_samples, experiment.batch_size, num_classes)
    return functools.partial(_make_defense, experiment.defense, shapes, trained)


def _make_defense(spec: DefenseSpec, shapes: Shapes, trained: Any) -> Defense:
    return spec.make(spec.strengths[0], shapes, trained)
