"""Does an experiment fit its data, and how the data get onto the device."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from vfljax import data
from vfljax.experiments.completion_specs import CompletionSpec
from vfljax.experiments.schema import Experiment


class Arrays(NamedTuple):
    """The data set on the device; features have one entry per party.

    `prepared` is what the defense trained beforehand, stacked; see `_Spec.prepare`.
    """

    features: tuple[Float[Array, "samples ..."], ...]
    labels: Int[Array, " samples"]
    table: data.ClassTable
    test_features: tuple[Float[Array, "test_samples ..."], ...]
    test_labels: Int[Array, " test_samples"]
    prepared: Any = ()


def take_samples(experiment: Experiment, dataset: data.Dataset) -> data.Dataset:
    """The samples that an experiment uses, of all that there are."""
    return data.take_rows(
        dataset, experiment.data.train_samples, experiment.data.test_samples
    )


def check_fits(experiment: Experiment, dataset: data.Dataset, num_classes: int) -> None:
    """Raises a `ValueError` where experiment and data don't fit, before anything runs.

    The split, the number of classes, and the sizes of batches are checked.
    """
    spec, total = experiment.data, len(dataset.class_names)
    if num_classes > total:
        raise ValueError(
            f"data.class_counts={num_classes}: {dataset.name} has {total} classes"
        )
    for label, defense in experiment.defenses.items():
        if defense.only_classes not in (None, num_classes):
            raise ValueError(
                f"defenses.{label}: is for {defense.only_classes} classes, this run "
                f"has {num_classes} (data.class_counts)"
            )
    for label, attack in experiment.attacks.items():
        if isinstance(attack, CompletionSpec):
            _check_known(label, attack, dataset, num_classes)
            continue
        known, smallest = attack.named_per_class, min(experiment.batch_sizes)
        if known and smallest <= known * num_classes:
            raise ValueError(
                f"attacks.{label}.named_per_class={known}: leaves nothing to infer in "
                f"a batch of {smallest} samples in {num_classes} classes; allowed is "
                "fewer, or larger batch_sizes"
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
        shares=spec.shares,
    )


def _check_known(label, attack, dataset, num_classes):
    """Enough samples of each class for those that are to be known."""
    counts = [(dataset.train_labels == number).sum() for number in range(num_classes)]
    if attack.known_per_class >= min(counts):
        raise ValueError(
            f"attacks.{label}.known_per_class={attack.known_per_class:g}: must be less "
            f"than {min(counts)}, the samples of the rarest class"
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
