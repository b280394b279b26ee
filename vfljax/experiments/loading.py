"""Does an experiment fit its data, and how the data get onto the device."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from vfljax import data
from vfljax.experiments.backdoor_specs import BackdoorSpec
from vfljax.experiments.completion_specs import CompletionSpec
from vfljax.experiments.schema import Data, Experiment


class Arrays(NamedTuple):
    """The data set on the device; features have one entry per party.

    `triggers` has, by the label of a backdoor, a mask and values for each party;
    `pretrained` is what every bottom model starts with instead of random weights;
    `prepared` is what the defense trained beforehand, stacked; see `BaseSpec.prepare`.
    """

    features: tuple[Float[Array, "samples ..."], ...]
    labels: Int[Array, " samples"]
    table: data.ClassTable
    test_features: tuple[Float[Array, "test_samples ..."], ...]
    test_labels: Int[Array, " test_samples"]
    triggers: Any = ()
    pretrained: Any = ()
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
        if isinstance(attack, BackdoorSpec):
            _check_backdoor(label, attack, experiment, dataset, num_classes)
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
    split_features(experiment.data, dataset, dataset.train_features[:1])
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


def split_features(
    spec: Data, dataset: data.Dataset, features: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Each party's part of the features of some samples."""
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


def _trigger_parts(experiment, dataset, attack):
    """The trigger's mask and values, split between the parties like the features."""
    trigger = data.TRIGGERS[attack.trigger]
    shape = dataset.train_features.shape[1:]
    mask, values = (
        split_features(experiment.data, dataset, part[None].astype(np.float32))
        for part in data.trigger_mask(trigger, shape)
    )
    return tuple(
        (of_mask[0] > 0, of_values[0])
        for of_mask, of_values in zip(mask, values, strict=True)
    )


def _check_backdoor(label, attack, experiment, dataset, num_classes):
    """The trigger is where the adversaries are, and there are enough samples."""
    spec = experiment.data
    try:
        parts = _trigger_parts(experiment, dataset, attack)
    except ValueError as error:
        raise ValueError(
            f"attacks.{label}.trigger={attack.trigger!r}: {error}"
        ) from None
    label_party = spec.label_party % len(parts)
    allowed = set(range(len(parts))) - {label_party}
    if attack.adversaries == "one":
        allowed = {spec.adversary % len(parts)}
    holders = {party for party, (mask, _) in enumerate(parts) if mask.any()}
    if not holders or not holders <= allowed:
        raise ValueError(
            f"attacks.{label}.trigger={attack.trigger!r}: lies in the features of "
            f"parties {sorted(holders)}, must be in those of the adversaries "
            f"{sorted(allowed)} (data.adversary, attacks.{label}.adversaries)"
        )
    if attack.target_class is not None and attack.target_class >= num_classes:
        raise ValueError(
            f"attacks.{label}.target_class={attack.target_class}: must be below "
            f"{num_classes}, the number of classes"
        )
    num_train, num_test = len(dataset.train_labels), len(dataset.test_labels)
    rarest = min((dataset.train_labels == c).sum() for c in range(num_classes))
    num_clean = num_train - experiment.training.batch_size
    num_targets = getattr(attack, "num_targets", 0)
    for name, number, most in (
        ("num_poisoned", attack.num_poisoned, num_clean),
        ("num_poisoned_test", attack.num_poisoned_test, num_test),
        ("num_targets", num_targets, rarest - attack.num_poisoned),
    ):
        if number > most:
            raise ValueError(
                f"attacks.{label}.{name}={number}: must be at most {most}, as "
                f"{dataset.name} has {num_train} training and {num_test} test samples"
            )


def load_arrays(
    experiment: Experiment, dataset: data.Dataset, num_classes: int
) -> Arrays:
    """Splits a data set between the parties and puts it on the device."""
    spec, total = experiment.data, len(dataset.class_names)
    if spec.class_choice == "first" and num_classes < total:
        dataset = data.select_classes(dataset, range(num_classes))

    def split(features):
        parts = split_features(experiment.data, dataset, features)
        return tuple(jnp.asarray(part) for part in parts)

    table = data.class_table(dataset.train_labels, len(dataset.class_names))
    triggers = {
        label: jax.tree.map(jnp.asarray, _trigger_parts(experiment, dataset, attack))
        for label, attack in experiment.attacks.items()
        if isinstance(attack, BackdoorSpec)
    }
    features = split(dataset.train_features)
    return Arrays(
        features=features,
        labels=jnp.asarray(dataset.train_labels),
        table=jax.tree.map(jnp.asarray, table),
        test_features=split(dataset.test_features),
        test_labels=jnp.asarray(dataset.test_labels),
        triggers=triggers,
        pretrained=experiment.model.pretrained(
            experiment.embed(num_classes), features[0][:1]
        ),
    )
