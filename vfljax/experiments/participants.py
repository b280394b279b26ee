"""Who holds which samples of horizontal learning, and does that fit the data."""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Int

from vfljax import data
from vfljax._checks import require
from vfljax.experiments.experiment import Data, Experiment

_MOST_RECORDS = 1000  # of each kind, unless another number is asked for


class WatchedArrays(NamedTuple):
    """What is there on the device for attacks that watch; () where nothing asks for it.

    Attributes:
        rows: Who holds which samples with the property.
        window_codes: Codes of the values that the windows name.
        auxiliary_properties: Which of the adversary's samples have the property.
        records: Features of the records whose membership is asked.
        is_member: Which of them are the target's training samples.
    """

    rows: Any = ()
    window_codes: Any = ()
    auxiliary_properties: Any = ()
    records: Any = ()
    is_member: Any = ()


def load_participants(
    experiment: Experiment, dataset: data.Dataset
) -> tuple[data.Dataset, dict[str, Any]]:
    """Divides samples between the participants and the adversary.

    Returns the set without the adversary's test samples, and fields of `Arrays`.
    """
    horizontal = experiment.data.horizontal
    target, rows = horizontal.target, None
    if target is None:
        labels, number = dataset.train_labels, experiment.num_parties
        partition = horizontal.divide(labels, number, experiment.seed)
    else:
        rows = _rows_with_property(experiment, dataset)
        partition = rows.partition
    part, own, others = _auxiliary(experiment, dataset, partition)
    codes = None if target is None else target.codes(dataset, part)[own]
    return others, {
        "auxiliary_features": jnp.asarray(getattr(dataset, f"{part}_features")[own]),
        "auxiliary_labels": jnp.asarray(getattr(dataset, f"{part}_labels")[own]),
        "partition": jax.tree.map(jnp.asarray, partition),
        "watched": _watched_arrays(experiment, others, rows, partition, codes),
    }


def _auxiliary(
    experiment, dataset, partition
) -> tuple[Literal["train", "test"], Any, data.Dataset]:
    """Part and numbers of the adversary's samples, and the set without test ones."""
    horizontal, generator = experiment.data.horizontal, np.random.default_rng(0)
    if horizontal.auxiliary_from == "participant":
        own = np.asarray(partition.rows[-1][: partition.counts[-1]])
        number = horizontal.auxiliary_samples
        allowed = f"at most {len(own)}, the samples of the last participant"
        is_fit = number is None or number <= len(own)
        require(is_fit, "data.horizontal.auxiliary_samples", number, allowed)
        if number is not None:  # of all kinds, as rows are sorted by them
            own = generator.permutation(own)[:number]
        return "train", own, dataset
    order = generator.permutation(len(dataset.test_labels))
    own = order[: horizontal.num_auxiliary(len(order))]
    others = data.keep_rows(dataset, slice(None), np.sort(order[len(own) :]))
    return "test", own, others


def _rows_with_property(experiment, dataset) -> data.PropertyRows:
    """The division where a property is to be inferred."""
    target, number = experiment.data.horizontal.target, experiment.num_parties
    codes = target.codes(dataset)
    for code in range(1, 1 + max([1, *target.window_codes(dataset)])):
        found, name = int(np.sum(codes == code)), "values" if code == 1 else "windows"
        called = f"data.horizontal.target.{name}"
        allowed = (
            f"of values that 2 or more of the training samples have, {found} have one"
        )
        require(found >= 2, called, getattr(target, name), allowed)
    free = int(np.sum(codes == 0))
    allowed = (
        f"so that a sample without any value looked at is left for each of {number} "
        f"participants, there are {free}"
    )
    called = "data.horizontal.target.values"
    require(free >= number, called, target.values, allowed)
    return data.partition_with_property(codes, number, experiment.seed)


def _watched_arrays(
    experiment: Experiment,
    dataset: data.Dataset,
    rows: data.PropertyRows | None,
    partition: data.Partition,
    own_codes: Int[np.ndarray, " auxiliary"] | None,
) -> WatchedArrays:
    """Puts on the device what attacks that watch need.

    `rows` say who holds samples with the property, if there is one, and `own_codes`
    are those of the adversary's samples.
    """
    horizontal, found = experiment.data.horizontal, {}
    target = horizontal.target
    if target is not None and rows is not None and own_codes is not None:
        found["rows"] = jax.tree.map(jnp.asarray, rows)
        found["window_codes"] = jnp.array(target.window_codes(dataset), jnp.int32)
        found["auxiliary_properties"] = jnp.asarray(own_codes == 1)
    attacks = experiment.attacks.values()
    if any("members" in attack.goal.wants for attack in attacks):
        of_target = np.unique(np.asarray(partition.rows[0][: partition.counts[0]]))
        records, is_member = _records(horizontal.records, dataset, of_target)
        found["records"] = jnp.asarray(records)
        found["is_member"] = jnp.asarray(is_member, jnp.int32)
    return WatchedArrays(**found)


def _records(
    number: int | None, dataset: data.Dataset, rows: Int[np.ndarray, " own"]
) -> tuple[np.ndarray, Bool[np.ndarray, " records"]]:
    """As many of the target's samples as test samples, and which are which."""
    num_test = len(dataset.test_labels)
    most = min(len(rows), num_test)
    number = min(most, _MOST_RECORDS) if number is None else min(number, most)
    generator = np.random.default_rng(0)
    inside = generator.permutation(rows)[:number]
    outside = generator.permutation(num_test)[:number]
    records = [dataset.train_features[inside], dataset.test_features[outside]]
    return np.concatenate(records), np.arange(2 * number) < number


def check_participants(
    experiment: Experiment, dataset: data.Dataset, num_classes: int
) -> None:
    """Whether there are samples for every participant and for the attackers.

    Raises:
        ValueError: If not, or if an option has no meaning here.
    """
    spec = experiment.data.horizontal
    is_all = num_classes == len(dataset.class_names)
    allowed = "'first' where participants hold samples of some of the classes"
    choice = experiment.data.class_choice
    is_met = is_all or choice == "first"
    require(is_met, "data.class_choice", choice, allowed)
    _check_auxiliary(experiment, dataset, num_classes)
    allowed = "left as it is where participants hold different samples"
    usual = Data()
    for name in ("split", "columns", "shares", "num_parties", "adversary"):
        value = getattr(experiment.data, name)
        require(value == getattr(usual, name), f"data.{name}", value, allowed)
    require(not experiment.record_alone, "record_alone", True, allowed)
    watches = any(attack.reader is not None for attack in experiment.attacks.values())
    allowed = "left as it is where no attack watches the training"
    is_fit = watches or not experiment.record_confusion
    require(is_fit, "record_confusion", True, allowed)
    if watches:
        _check_watched(experiment)
    looks = any(attack.reader is None for attack in experiment.attacks.values())
    allowed = "mean where attacks look at a round that is not part of the training"
    protocol: Any = experiment.protocol
    is_fit = protocol.announces == "mean" or not looks
    require(is_fit, "protocol.announces", protocol.announces, allowed)
    if spec.target is not None:
        chosen = dataset
        if not is_all:
            chosen = data.select_classes(dataset, range(num_classes))
        _check_target(experiment, chosen)
    else:
        labels = dataset.train_labels[dataset.train_labels < num_classes]
        spec.divide(labels, experiment.num_parties, experiment.seed)


def _check_auxiliary(experiment, dataset, num_classes) -> None:
    """Whether the adversary has samples of its own, and the main task some left."""
    spec = experiment.data.horizontal
    num_test = int(np.sum(dataset.test_labels < num_classes))
    number, name = spec.num_auxiliary(num_test), "data.horizontal.auxiliary_samples"
    if spec.auxiliary_from == "participant":
        number = 1 if spec.auxiliary_samples is None else spec.auxiliary_samples
    else:
        allowed = f"below {num_test}, the number of test samples"
        require(number < num_test, name, number, allowed)
    for label, attack in experiment.attacks.items():
        used = attack.uses + (() if attack.reader is None else attack.reader.uses)
        allowed = f"> 0 for attacks.{label}, which has labeled samples of its own"
        is_met = number > 0 or "auxiliary_features" not in used
        require(is_met, name, number, allowed)
        named, allowed = attack.named_per_class, "0, as an update has no rows"
        require(not named, f"attacks.{label}.named_per_class", named, allowed)
        wants = "auxiliary_properties" in used or "property_counts" in attack.goal.wants
        where, allowed = "data.horizontal.target", "TargetProperty(name=...)"
        is_met, allowed = (
            spec.target is not None or not wants,
            f"{allowed} for attacks.{label}, which infers a property",
        )
        require(is_met, where, spec.target, allowed)


def _check_watched(experiment) -> None:
    """Whether there are rounds to watch, of batches of the attacked size."""
    training, every = experiment.training, experiment.watch_every
    allowed = "at least 1 where attacks watch the training"
    require(training.steps > 0, "training.steps", training.steps, allowed)
    left = training.steps - experiment.watch_from
    allowed = f"so that one of {training.steps} rounds is watched"
    where, value = "watch_from, watch_every", (experiment.watch_from, every)
    require(left >= every, where, value, allowed)
    size, allowed = training.batch_size, "None, or batch_sizes that is it alone"
    is_fit = size is None or experiment.batch_sizes == (size,)
    require(is_fit, "training.batch_size", size, allowed)


def _check_target(experiment, dataset) -> None:
    """Whether the property is one of the data, and who holds it takes part."""
    target, protocol = experiment.data.horizontal.target, experiment.protocol
    allowed = "None where a target's property is to be inferred, so that it takes part"
    some = protocol.participants_per_round
    require(some is None, "protocol.participants_per_round", some, allowed)
    rows = _rows_with_property(experiment, dataset)
    part, own, _ = _auxiliary(experiment, dataset, rows.partition)
    has_it = target.codes(dataset, part)[own] == 1
    uses = [a.reader.uses for a in experiment.attacks.values() if a.reader is not None]
    allowed = (
        f"so that some have the property and some don't, {int(has_it.sum())} of "
        f"{len(has_it)} have it"
    )
    is_met = not any("auxiliary_properties" in each for each in uses)
    is_met = is_met or 0 < has_it.sum() < len(has_it)
    name, number = "data.horizontal.auxiliary_samples", len(has_it)
    require(is_met, name, number, allowed)
    for size in experiment.batch_sizes:
        allowed = f"0, or enough for one of batch_sizes={size} samples"
        share = target.fraction
        is_met = share == 0 or round(share * size) > 0
        require(is_met, "data.horizontal.target.fraction", share, allowed)
    is_single = protocol.observer == "server" and not protocol.secure_aggregation
    is_participant = protocol.observer == "participant"
    allowed = "participant where there is a target and secure aggregation: a mean of "
    allowed += "all participants has the last one's own samples with the property too"
    is_met = is_single or is_participant
    require(is_met, "protocol.observer", protocol.observer, allowed)
    allowed = "participant where the target joins late, as it sends nothing before"
    is_met = not target.joins_at or is_participant
    require(is_met, "protocol.observer", protocol.observer, allowed)
    last, steps = target.joins_at, experiment.training.steps
    is_fit = last == 0 or protocol.num_participants >= 3
    allowed = "3 or more where the target joins late"
    number = protocol.num_participants
    require(is_fit, "protocol.num_participants", number, allowed)
    for name, value in (
        ("joins_at", last),
        *((f"windows of {window}", window[0]) for window in target.windows),
    ):
        allowed, is_met = f"below training.steps = {steps}", value in range(steps)
        require(value == 0 or is_met, f"data.horizontal.target.{name}", value, allowed)
