"""Does an experiment fit its data, and how the data get onto the device."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from vfljax import data
from vfljax.defenses import check_for_messages, check_for_updates
from vfljax.experiments.experiment import Experiment
from vfljax.experiments.participants import check_participants, load_participants
from vfljax.experiments.watching import WatchedArrays


class Arrays(NamedTuple):
    """The data set on the device; features have one entry per party, labels are < C.

    Attributes:
        table: Rows of each class.
        pretrained: What every bottom model starts with instead of random weights.
        of_defense: What `Defense.prepare` trained beforehand, stacked.
        of_attack: What `Attack.prepare` made.
        partition: Who holds which rows, where participants hold different ones.
        auxiliary_features: Of samples that an attacker of updates has of its own.
        auxiliary_labels: Their classes.
        watched: What attacks that watch a training need.
    """

    features: tuple[Float[Array, "samples ..."], ...]
    labels: Int[Array, " samples"]
    table: data.ClassTable
    test_features: tuple[Float[Array, "test_samples ..."], ...]
    test_labels: Int[Array, " test_samples"]
    pretrained: Any = ()
    of_defense: Any = ()
    of_attack: Any = ()
    partition: Any = ()
    auxiliary_features: Any = ()
    auxiliary_labels: Any = ()
    watched: WatchedArrays = WatchedArrays()


@dataclasses.dataclass(frozen=True)
class Task:
    """An experiment without variants and the samples it uses, for C classes of theirs.

    Everything is in host memory.
    """

    experiment: Experiment
    dataset: data.Dataset
    num_classes: int

    @property
    def dataset_name(self) -> str:
        """What the data set is called."""
        return self.dataset.name

    @property
    def num_train(self) -> int:
        """Number of training samples."""
        return len(self.dataset.train_labels)

    @property
    def num_test(self) -> int:
        """Number of test samples."""
        return len(self.dataset.test_labels)

    @property
    def class_counts(self) -> np.ndarray:
        """Number of training samples of each class."""
        counts = np.bincount(self.dataset.train_labels, minlength=self.num_classes)
        return counts[: self.num_classes]

    @property
    def samples_each(self) -> int:
        """How many training samples a participant has, on average."""
        return self.num_train // self.experiment.num_parties

    @property
    def local_steps(self) -> tuple[int, ...]:
        """K, local steps of a round, by attacked size."""
        protocol: Any = self.experiment.protocol
        sizes = self.experiment.batch_sizes
        return tuple(protocol.num_steps(size, self.samples_each) for size in sizes)

    @property
    def numbers_of_labels(self) -> tuple[int, ...]:
        """How many labels are behind what is seen of a round, by attacked size."""
        protocol: Any = self.experiment.protocol
        sizes = self.experiment.batch_sizes
        return tuple(protocol.num_labels(size, self.samples_each) for size in sizes)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample, before it is split."""
        return self.dataset.train_features.shape[1:]

    @property
    def adversary(self) -> int:
        """Position of the party that attacks, counted from the first."""
        return self.experiment.data.parties[self.experiment.data.adversary]

    @property
    def passive(self) -> tuple[int, ...]:
        """Positions of all parties but the label party."""
        return self.experiment.data.passive

    def split(self, features: np.ndarray) -> tuple[np.ndarray, ...]:
        """Each party's part of the features of some samples."""
        spec = self.experiment.data
        if self.experiment.protocol.shares_rows:
            return (features,)
        return data.split_features(
            features,
            spec.split_argument(),
            None if spec.columns else spec.num_parties,
            feature_names=self.dataset.feature_names,
            shares=spec.shares,
        )


def make_tasks(
    experiment: Experiment, dataset: data.Dataset
) -> dict[tuple[str, int], Task]:
    """What is run in turn, by variant and number of classes; "" without variants.

    Raises:
        ValueError: If some part doesn't fit the data, with the variant's label.
    """
    tasks = {}
    for variant in experiment.variants or ("",):
        part = experiment.variant(variant) if experiment.variants else experiment
        spec = part.data
        try:
            kept = spec.choose(dataset)
            for num_classes in spec.class_counts or (len(kept.class_names),):
                tasks[variant, num_classes] = Task(part, kept, num_classes)
                check_fits(tasks[variant, num_classes])
        except ValueError as error:
            where = f"variants.{variant}: " if variant else ""
            raise ValueError(f"{where}{error}") from None
    return tasks


def check_fits(task: Task) -> None:
    """Raises a `ValueError` where experiment and data don't fit, before anything runs.

    The split, the number of classes, the sizes of batches, and what each defense and
    attack says of itself are checked.
    """
    experiment, num_classes = task.experiment, task.num_classes
    training, total = experiment.training, len(task.dataset.class_names)
    is_first = experiment.data.class_choice == "first"
    if num_classes > total:
        raise ValueError(
            f"data.class_counts={num_classes}: {task.dataset_name} has {total} classes"
        )
    is_horizontal = experiment.protocol.shares_rows
    check_defense = check_for_updates if is_horizontal else check_for_messages
    for label, defense in experiment.defenses.items():
        check_defense(f"defenses.{label}", defense)
        if defense.only_classes not in (None, num_classes):
            raise ValueError(
                f"defenses.{label}: is for {defense.only_classes} classes, this run "
                f"has {num_classes} (data.class_counts)"
            )
    if training.steps and num_classes < total and not is_first:
        raise ValueError(
            "data.class_choice='random': must be 'first' where a model is trained "
            f"(training.steps > 0) on {num_classes} of {total} classes"
        )
    parts = task.split(task.dataset.train_features[:2])
    if experiment.protocol.sums_logits or is_horizontal:
        for features in parts:
            experiment.network.check_width(num_classes, features)
    num_samples = sum(task.class_counts) if is_first else task.num_train
    sizes = [("batch_sizes", size) for size in experiment.batch_sizes]
    if training.steps and training.batch_size is not None:
        sizes.append(("training.batch_size", training.batch_size))
    for name, size in sizes:
        if size > num_samples:
            raise ValueError(
                f"{name}={size}: larger than the data set, {task.dataset_name} has "
                f"{num_samples} training samples"
            )
    _check_attacks(task)
    if is_horizontal:
        check_participants(experiment, task.dataset, num_classes)


def _check_attacks(task: Task) -> None:
    """Whether the protocol makes what each attack sees, and what attacks say."""
    experiment = task.experiment
    for label, attack in experiment.attacks.items():
        unknown = [f for f in attack.uses if f not in experiment.protocol.knowledge]
        if unknown and attack.sees.name in [v.name for v in experiment.protocol.views]:
            raise ValueError(
                f"attacks.{label}: {type(attack).__name__}.uses has {unknown[0]!r}, "
                f"which nobody knows in {experiment.protocol.name}; must be of "
                f"{', '.join(experiment.protocol.knowledge)}"
            )
        if attack.sees.name not in [view.name for view in experiment.protocol.views]:
            raise ValueError(
                f"attacks.{label}={type(attack).__name__}: sees {attack.sees.name}, "
                f"must see what {experiment.protocol.name} shows, one of "
                f"{', '.join(view.name for view in experiment.protocol.views)}"
            )
        named, smallest = attack.named_per_class, min(experiment.batch_sizes)
        if named and smallest <= named * task.num_classes:
            raise ValueError(
                f"attacks.{label}.named_per_class={named}: leaves nothing to infer in "
                f"a batch of {smallest} samples in {task.num_classes} classes; allowed "
                "is fewer, or larger batch_sizes"
            )
        if attack.needs_sum_of_logits and not experiment.protocol.sums_logits:
            raise ValueError(
                f"attacks.{label}={type(attack).__name__}: must be one that needs no "
                "sum of logits, as there is a top model"
            )
        if attack.sees.is_final and experiment.training.steps == 0:
            raise ValueError(
                f"training.steps=0: must be >= 1 for attacks.{label}, which sees a "
                "trained model"
            )
        reason = attack.fits(task)
        if reason is not None:
            raise ValueError(f"attacks.{label}.{reason}")


def load_arrays(task: Task) -> Arrays:
    """Splits a data set between the parties and puts it on the device."""
    experiment, dataset, num_classes = task.experiment, task.dataset, task.num_classes
    total = len(dataset.class_names)
    if experiment.data.class_choice == "first" and num_classes < total:
        dataset = data.select_classes(dataset, range(num_classes))
    more = {}
    if experiment.protocol.shares_rows:
        dataset, more = load_participants(experiment, dataset)
    train, test = (
        jax.tree.map(jnp.asarray, task.split(features))
        for features in (dataset.train_features, dataset.test_features)
    )
    table = data.class_table(dataset.train_labels, len(dataset.class_names))
    embed = experiment.embed(num_classes)
    return Arrays(
        features=train,
        labels=jnp.asarray(dataset.train_labels),
        table=jax.tree.map(jnp.asarray, table),
        test_features=test,
        test_labels=jnp.asarray(dataset.test_labels),
        pretrained=experiment.network.pretrained(embed, train[0][:1]),
        **more,
    )
