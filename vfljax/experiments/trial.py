"""From an experiment to pure functions of one trial.

A trial is one line: data → parties → protocol → transcript → view → attack → inference
→ metrics. It is cut in two, so that several attacks share a victim and each is timed
alone: `make_victim` trains and returns what the adversary saw at each step of
interest, `make_attack` attacks one of these views. Both are written for one key and
one strength; `sweep.py` maps them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from vfljax import data, metrics, models, protocol
from vfljax.experiments.schema import (
    AttackSpec,
    DefenseSpec,
    Experiment,
    Shapes,
)


class Cell(NamedTuple):
    """What shapes the program: one program per cell, trials and strengths mapped."""

    num_classes: int
    batch_size: int
    defense: str


class Arrays(NamedTuple):
    """The data set on the device; features have one entry per party."""

    features: tuple[Float[Array, "samples ..."], ...]
    labels: Int[Array, " samples"]
    table: data.ClassTable
    test_features: tuple[Float[Array, "test_samples ..."], ...]
    test_labels: Int[Array, " test_samples"]


class Seen(NamedTuple):
    """What one adversary may see at one training step, and the truth for the metrics.

    Attributes:
        params: The adversary's parameters before the step.
        rows: Sample numbers of the batch.
        gradients: dL/dH as sent (batch, classes), for the plaintext protocol.
        gradient: The adversary's batch gradient, for the encrypted protocol.
        truth: Labels of the batch, in [0, classes).
    """

    params: Any
    rows: Int[Array, " batch"]
    gradients: Float[Array, "batch classes"]
    gradient: Any
    truth: Int[Array, " batch"]


class Victim(NamedTuple):
    """One trained model and the views on its training, by position of the step.

    `main_accuracy` is `nan` where nothing was trained; a model whose training diverged
    has no answers and is not `trained`.
    """

    seen: tuple[Seen, ...]
    main_accuracy: Float[Array, ""]
    trained: Bool[Array, ""]
    chance_accuracy: Float[Array, ""]


class Outcome(NamedTuple):
    """One attack on one view; `nan` stands for "there is no such number"."""

    attack_accuracy: Float[Array, ""]
    published_accuracy: Float[Array, ""]
    finite: Array
    residual: Float[Array, ""]
    bound_held: Int[Array, ""]


def check_fits(experiment: Experiment, dataset: data.Dataset, num_classes: int) -> None:
    """Raises a `ValueError` where experiment and data don't fit, before anything runs.

    The split, the number of classes, and the sizes of batches are checked.
    """
    spec, total = experiment.data, len(dataset.class_names)
    if num_classes > total:
        raise ValueError(
            f"data.class_counts={num_classes}: {dataset.name} has {total} classes"
        )
    trains_on_some = experiment.training.steps > 0 and num_classes < total
    if trains_on_some and spec.class_choice == "random":
        raise ValueError(
            "data.class_choice='random': must be 'first' where a model is trained "
            f"(training.steps > 0) on {num_classes} of {total} classes"
        )
    _split(experiment, dataset, dataset.train_features[:1])
    num_samples = len(dataset.train_labels)
    if spec.class_choice == "first":
        num_samples = int((dataset.train_labels < num_classes).sum())
    sizes = [("batch_sizes", size) for size in experiment.batch_sizes]
    if experiment.training.steps:
        sizes.append(("training.batch_size", experiment.training.batch_size))
    for name, size in sizes:
        if size > num_samples:
            raise ValueError(
                f"{name}={size}: larger than the data set, {dataset.name} has "
                f"{num_samples} training samples"
            )


def _split(experiment, dataset, features):
    spec = experiment.data
    return data.split_features(
        features,
        spec.split_argument(),
        None if spec.columns else spec.num_parties,
        feature_names=dataset.feature_names,
    )


def load_arrays(
    experiment: Experiment, dataset: data.Dataset, num_classes: int
) -> Arrays:
    """Splits a data set between the parties and puts it on the device."""
    spec, total = experiment.data, len(dataset.class_names)
    if spec.class_choice == "first" and num_classes < total:
        dataset = data.select_classes(dataset, range(num_classes))

    def split(features):
        parts = _split(experiment, dataset, features)
        return tuple(jnp.asarray(part) for part in parts)

    table = data.class_table(dataset.train_labels, len(dataset.class_names))
    return Arrays(
        features=split(dataset.train_features),
        labels=jnp.asarray(dataset.train_labels),
        table=jax.tree.map(jnp.asarray, table),
        test_features=split(dataset.test_features),
        test_labels=jnp.asarray(dataset.test_labels),
    )


def make_victim(experiment: Experiment, cell: Cell) -> Callable[..., Victim]:
    """Returns `victim(key, strength, arrays)`, which trains one model under attack.

    `key` is one trial's: two calls that differ in the strength alone start from the
    same weights and see the same batches. `strength` may be traced.
    """
    spec, training = experiment.data, experiment.training
    defense_spec = experiment.defenses[cell.defense]
    model = models.mlp(experiment.model.hidden, embed=cell.num_classes)

    def victim(key, strength, arrays: Arrays) -> Victim:
        num_samples, num_parties = len(arrays.labels), len(arrays.features)
        run = protocol.sum_of_logits(
            (model,) * num_parties,
            tuple(training.make() for _ in range(num_parties)),
            num_classes=cell.num_classes,
            defense=_make_defense(
                defense_spec, strength, num_samples, experiment, cell
            ),
            label_party=spec.label_party,
        )
        key_classes, key_weights, key_order, key_train, key_views = jax.random.split(
            key, 5
        )
        num_total = arrays.table.counts.size
        if cell.num_classes == num_total:
            classes = jnp.arange(num_total)  # in order: the model is trained on labels
        else:
            classes = data.draw_classes(key_classes, num_total, cell.num_classes)
        state = run.init(key_weights, [party[:1] for party in arrays.features])
        if training.steps:
            batches = protocol.epoch_batches(
                key_order, num_samples, training.batch_size, training.steps
            )
        seen, done = {}, 0
        for step in sorted({*experiment.train_steps, training.steps}):
            if step > done:
                state, _ = protocol.train(
                    run,
                    key_train,
                    state,
                    arrays.features,
                    arrays.labels,
                    batches[done:step],
                    first_step=done,
                )
                done = step
            if step in experiment.train_steps:
                key_view = jax.random.fold_in(key_views, step)
                seen[step] = _look(key_view, run, state, arrays, classes, spec, cell)
        if training.steps:
            logits = run.predict(state.params, arrays.test_features)
            is_answer = jnp.all(jnp.isfinite(logits), axis=1)
            predicted = jnp.where(is_answer, jnp.argmax(logits, axis=1), -1)
            main = metrics.accuracy(predicted, arrays.test_labels)
            is_trained = jnp.all(is_answer)
        else:
            main, is_trained = jnp.array(jnp.nan), jnp.array(True)
        return Victim(
            seen=tuple(seen[step] for step in experiment.train_steps),
            main_accuracy=main,
            trained=is_trained,
            chance_accuracy=metrics.chance_accuracy(arrays.table.counts[classes]),
        )

    return victim


def make_attack(
    experiment: Experiment, cell: Cell, spec: AttackSpec
) -> Callable[..., Outcome]:
    """Returns `attack(key, seen, arrays)`, one attack on one view and its score."""
    model = models.mlp(experiment.model.hidden, embed=cell.num_classes)
    adversary, keeps_zero_sum = (
        experiment.data.adversary,
        _keeps_zero_sum(experiment, cell),
    )

    def attack(key, seen: Seen, arrays: Arrays) -> Outcome:
        features = arrays.features[adversary][seen.rows]
        if spec.view == "sample_gradient":
            view = protocol.SampleGradientView(
                model=model,
                params=seen.params,
                features=features,
                gradients=seen.gradients,
                num_classes=cell.num_classes,
            )
        else:
            view = protocol.BatchGradientView(
                model=model,
                params=seen.params,
                features=features,
                gradient=seen.gradient,
                num_classes=cell.num_classes,
            )
        inference = spec.run(key, view, keeps_zero_sum)
        published = inference.published_labels
        none = jnp.array(jnp.nan)
        return Outcome(
            attack_accuracy=metrics.accuracy(inference.labels, seen.truth),
            published_accuracy=none
            if published is None
            else metrics.accuracy(published, seen.truth),
            finite=inference.finite,
            residual=getattr(inference.info, "residual", none),
            bound_held=getattr(inference.info, "bound_held", jnp.array(-1)),
        )

    return attack


def attack_program_key(experiment: Experiment, cell: Cell) -> tuple[Any, ...]:
    """Cells with equal keys share their compiled attacks, whatever the defense."""
    return cell.num_classes, cell.batch_size, _keeps_zero_sum(experiment, cell)


def _look(key, run, state, arrays, classes, spec, cell):
    """Draws a fresh batch and returns what the adversary sees of it."""
    key_batch, key_defense = jax.random.split(key)
    rows, labels = data.draw_batch(key_batch, arrays.table, classes, cell.batch_size)
    features = [party[rows] for party in arrays.features]
    adversary = spec.adversary % len(features)
    transcript, _ = run.exchange(key_defense, state, features, labels, rows)
    view = protocol.batch_gradient_view(
        run, state, features[adversary], transcript, adversary
    )
    return Seen(
        params=view.params,
        rows=rows,
        gradients=transcript.gradients[adversary],
        gradient=view.gradient,
        truth=labels,
    )


def _make_defense(spec: DefenseSpec, strength, num_samples, experiment, cell):
    trains = experiment.training.steps > 0
    shapes = Shapes(
        num_samples=num_samples,
        batch_size=experiment.training.batch_size if trains else cell.batch_size,
        num_classes=cell.num_classes,
    )
    return spec.make(strength, shapes)


def _keeps_zero_sum(experiment, cell):
    spec = experiment.defenses[cell.defense]
    shapes = Shapes(num_samples=1, batch_size=1, num_classes=2)
    return spec.make(spec.strengths[0], shapes).keeps_zero_sum
