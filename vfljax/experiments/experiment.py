"""The typed experiment: what a config file holds, checked when it is built.

Everything here is plain data. A tuple is a swept axis; fields that hold one are named
in the plural. Configs never enter `jit` and are never handed down: `trial.py` reads
them once and gives functions the values they need.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Literal

from vfljax import models
from vfljax._checks import check_choice, require, require_all
from vfljax.attacks import Attack, LinearRecovery
from vfljax.attacks.base import check_attack
from vfljax.data import Dataset, take_rows, top_words, with_task
from vfljax.defenses import Defense, NoDefense
from vfljax.defenses.base import check_defense
from vfljax.experiments.encryption import Encryption
from vfljax.experiments.horizontal import Horizontal
from vfljax.experiments.training import Training
from vfljax.models import Network
from vfljax.protocol import (
    FederatedAveraging,
    FederatedSGD,
    ModelSplitting,
    SumOfLogits,
)
from vfljax.protocol.vertical import check_protocol

_EVEN = Horizontal()
_DEFAULT_MODEL, _NO_TRAINING, _SUM = models.MLP(), Training(), SumOfLogits()
Protocol = SumOfLogits | ModelSplitting | FederatedSGD | FederatedAveraging
"""What a config may run."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data:
    """Which samples, and who holds which of their features."""

    dataset: str | Dataset = "digits"
    """Name of a data set that `vfljax list` shows, or in Python a data set of one's own
    from `vfljax.data.from_arrays`."""
    task: str | None = None
    """Name of a further label column of the data set that is the main task instead of
    its labels, which become such a column; None for the labels."""
    vocabulary_size: int | None = None
    """How many of the most frequent words of a data set of texts are used, all others
    being left out; None for all."""
    split: str = "rows"
    """Vertical split between the parties by name: rows, columns, quadrants or
    features."""
    columns: tuple[str, ...] | None = None
    """Explicit split instead of a named one: a text per party with numbers, ranges and
    names of columns, such as "0-9,12" "10,11,age"."""
    num_parties: int = 2
    """Number of parties, at least 2."""
    shares: tuple[float, ...] | None = None
    """Each party's share of the image rows, columns or features; None for equal
    shares."""
    train_samples: int | None = None
    """How many training samples to use, drawn once; None for all."""
    test_samples: int | None = None
    """How many test samples to use, drawn once; None for all."""
    adversary: int = 0
    """Position of the party that attacks."""
    label_party: int = -1
    """Position of the party with the labels; negative counts from the last."""
    class_counts: tuple[int, ...] | None = None
    """Numbers of classes to run with; None for all classes of the data set."""
    class_choice: Literal["random", "first"] = "random"
    """Which classes are used where not all are: fresh ones per trial, or always the
    first."""
    horizontal: Horizontal = _EVEN
    """Who holds which samples, where participants hold different ones."""

    @property
    def parties(self) -> range:
        """Positions of all parties, which a negative position indexes too."""
        return range(self.num_parties if self.columns is None else len(self.columns))

    @property
    def passive(self) -> tuple[int, ...]:
        """Positions of all parties but the label party."""
        return tuple(p for p in self.parties if p != self.parties[self.label_party])

    def choose(self, dataset: Dataset) -> Dataset:
        """The data set with the task, words and samples that are used.

        Raises:
            ValueError: If it has no such task or samples, or no words.
        """
        if self.task is not None:
            columns = (dataset.task_name, *dataset.train_properties)
            allowed = f"of {dataset.name}: {', '.join(columns)}"
            require(self.task in columns, "data.task", self.task, allowed)
            dataset = with_task(dataset, self.task)
        if self.vocabulary_size is not None:
            allowed = f"None, as {dataset.name} has no words"
            has_words, name = dataset.vocabulary is not None, "data.vocabulary_size"
            require(has_words, name, self.vocabulary_size, allowed)
            dataset = top_words(dataset, self.vocabulary_size)
        return take_rows(dataset, self.train_samples, self.test_samples)

    def split_argument(self) -> str | list[list[int | str]]:
        """The split as `data.split_features` takes it: a name, or lists of columns."""
        if self.columns is None:
            return self.split
        return [
            [column for word in text.split(",") for column in _columns(word.strip())]
            for text in self.columns
        ]

    def __post_init__(self):
        """Checks what can be checked without the data."""
        kind, allowed = type(self.dataset).__name__, "a name or a data.Dataset"
        require(isinstance(self.dataset, str | Dataset), "data.dataset", kind, allowed)
        parties, columns = len(self.parties), self.columns
        are_enough = columns is None or parties >= 2
        require(are_enough, "data.columns", columns, "2 or more texts")
        require(parties >= 2, "data.num_parties", parties, ">= 2")
        shares, allowed = self.shares, f"one for each of the {parties} parties"
        is_fit = shares is None or len(shares) == parties
        require(is_fit, "data.shares", shares, allowed)
        for name in ("train_samples", "test_samples", "vocabulary_size"):
            number = getattr(self, name)
            require(number is None or number >= 1, f"data.{name}", number, ">= 1")
        for name in ("adversary", "label_party"):
            party, allowed = getattr(self, name), f"in [{-parties}, {parties - 1}]"
            require(-parties <= party < parties, f"data.{name}", party, allowed)
        is_passive = self.parties[self.adversary] in self.passive
        allowed = "another party than data.label_party"
        require(is_passive, "data.adversary", self.adversary, allowed)
        check_choice("data.class_choice", self.class_choice, ("random", "first"))
        counts = self.class_counts
        if counts is not None:
            require(bool(counts), "data.class_counts", counts, "not empty")
            require_all("data.class_counts", counts, lambda count: count >= 2, ">= 2")


def _columns(word: str) -> list[int | str]:
    """The columns that a word stands for: a range, a number, a name, or none."""
    first, is_range, last = word.partition("-")
    if is_range and first.isdigit() and last.isdigit():
        return list(range(int(first), int(last) + 1))
    return [int(word) if word.isdigit() else word] if word else []


@dataclasses.dataclass(frozen=True, kw_only=True)
class Execution:
    """Settings that change speed and memory, and results only by rounding."""

    chunk_size: int | None = None
    """Trials per program call; None for one per device, but of perceptrons, which run
    all at once, as many as fit on a GPU or TPU."""

    def __post_init__(self):
        """Checks the range."""
        chunk_size = self.chunk_size
        require(chunk_size is None or chunk_size >= 1, "chunk_size", chunk_size, ">= 1")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Variant:
    """Parts of an experiment that are replaced as a whole; None leaves them as is."""

    data: Data | None = None
    """Other data of this variant, or the same data split in another way."""
    model: Network | models.PartyModel | None = None
    """Other bottom models of this variant."""
    protocol: Protocol | None = None
    """Another protocol of this variant, such as one with another top model."""
    training: Training | None = None
    """Another training of this variant."""


_KINDS: dict[str, tuple[Any, str]] = {
    "name": (str, "a text"),
    "data": (Data, "Data(...), such as Data(dataset=...)"),
    "training": (Training, "Training(...)"),
    "execution": (Execution, "Execution(...)"),
    "encryption": (Encryption | None, "Encryption(...), or None"),
    "variants": (Mapping, "a dictionary: variants by label"),
    "defenses": (Mapping, "a dictionary: defenses by label"),
    "attacks": (Mapping, "a dictionary: attacks by label"),
    "batch_sizes": (tuple, "a tuple of sizes, such as (128,)"),
    "train_steps": (tuple, "a tuple of steps, such as (0,)"),
    "num_trials": (int, "a whole number"),
    "seed": (int, "a whole number"),
}
"""What kind of value a field holds, and how one is written."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """Everything that determines the rows of a run."""

    name: str
    """Short name of the experiment; part of the default run folder."""
    title: str = ""
    """Heading of the report and of figures."""
    data: Data = Data()
    model: Network | models.PartyModel = _DEFAULT_MODEL
    """Every party's bottom model: a network of `vfljax.models`, or in Python any
    `PartyModel`."""
    protocol: Protocol = _SUM
    """How the model is trained together: parties hold different features, and the label
    party adds up their logits or trains a top model; or participants hold different
    samples, and send gradients or updates."""
    training: Training = _NO_TRAINING
    variants: Mapping[str, Variant] = dataclasses.field(default_factory=dict)
    """Settings to run in turn by label, each the experiment but for what it replaces;
    without any, the experiment runs as it is."""
    batch_sizes: tuple[int, ...] = (128,)
    """Sizes of the batch that is attacked."""
    train_steps: tuple[int, ...] = (0,)
    """Training steps before which views are taken, in [0, training.steps]."""
    watch_from: int = 0
    """Round of the training from which attacks that watch it do so, at least 0."""
    watch_every: int = 1
    """Attacks that watch the training see the last of so many consecutive rounds, at
    least 1."""
    same_samples: bool = False
    """Whether the views at all train_steps are of the same samples, as when epochs
    repeat, so that attacks may combine them; otherwise they are of fresh ones."""
    defenses: Mapping[str, Defense] = dataclasses.field(
        default_factory=lambda: {"none": NoDefense()}
    )
    """Defenses by label, each run at all values of its swept field."""
    attacks: Mapping[str, Attack] = dataclasses.field(
        default_factory=lambda: {"linear_recovery": LinearRecovery()}
    )
    """Attacks by label, each run against every defense."""
    record_confusion: bool = False
    """Whether rows hold the counts of true and inferred classes."""
    record_alone: bool = False
    """Whether rows hold what the adversary's features alone would give a model that
    is trained with all labels: an upper bound of any attack on such features."""
    num_trials: int = 10
    """Repetitions, each with fresh samples, classes and weights."""
    seed: int = 0
    """Root of the random keys of all trials."""
    encryption: Encryption | None = None
    """Real encryption of what the parties send; None simulates the encrypted protocol,
    whose views are the same."""
    execution: Execution = Execution()

    def __post_init__(self):
        """Checks what can be checked without the data."""
        for name, (kind, allowed) in _KINDS.items():
            value = getattr(self, name)
            require(isinstance(value, kind), name, value, allowed)
        training = self.training
        is_name = bool(self.name) and "/" not in self.name
        require(is_name, "name", self.name, "a name without a slash")
        check_protocol("protocol", self.protocol)
        embed = self.network.embed
        allowed = "None without a top model: embeddings are logits"
        is_fit = embed is None or not (
            self.protocol.sums_logits or self.protocol.shares_rows
        )
        require(is_fit, "model.embed", embed, allowed)
        require(self.num_trials >= 1, "num_trials", self.num_trials, ">= 1")
        require(self.watch_from >= 0, "watch_from", self.watch_from, ">= 0")
        require(self.watch_every >= 1, "watch_every", self.watch_every, ">= 1")
        for name in ("batch_sizes", "train_steps", "defenses", "attacks"):
            require(bool(getattr(self, name)), name, getattr(self, name), "not empty")
        require_all("batch_sizes", self.batch_sizes, lambda size: size >= 1, ">= 1")
        allowed = f"in [0, training.steps = {training.steps}]"
        steps = range(training.steps + 1)
        require_all(
            "train_steps", self.train_steps, lambda step: step in steps, allowed
        )
        for name in ("variants", "defenses", "attacks"):
            labels = list(getattr(self, name))
            options = {re.sub("[-_.]", "-", str(label)) for label in labels}
            allowed = "different ones, also where - and _ and . are the same"
            require(len(options) == len(labels), f"labels of {name}", labels, allowed)
        for label, attack in self.attacks.items():
            check_attack(f"attacks.{label}", attack)
        allowed = (
            f"another, or batch_sizes at most training.batch_size = "
            f"{training.batch_size}: rows must correspond"
        )
        largest = max(self.batch_sizes)
        has_room = not training.steps or largest <= training.size(largest)
        for label, defense in self.defenses.items():
            check_defense(f"defenses.{label}", defense)
            is_fit = has_room or not defense.remembers_rows
            require(is_fit, f"defenses.{label}.residual", "by_row", allowed)
        allowed = "False where nothing is trained (training.steps = 0)"
        is_fit = not self.record_alone or training.steps > 0
        require(is_fit, "record_alone", self.record_alone, allowed)
        if self.encryption is not None:
            self.encryption.check(self)
        for label in self.variants:
            self.variant(label)

    def variant(self, label: str) -> "Experiment":
        """The experiment that a variant stands for; errors name the variant."""
        parts = vars(self.variants[label]).items()
        changes: dict[str, Any] = {n: part for n, part in parts if part is not None}
        own = getattr(changes.get("data"), "dataset", self.data.dataset)
        where, allowed = f"variants.{label}.data.dataset", "that of the experiment"
        is_same = own is self.data.dataset or own == self.data.dataset
        require(is_same, where, own, allowed)
        try:
            return dataclasses.replace(self, **changes, variants={})
        except ValueError as error:
            raise ValueError(f"variants.{label}: {error}") from None

    @property
    def network(self) -> Network:
        """Every party's bottom model, as a record that makes one."""
        return models.as_network("model", self.model)

    @property
    def num_parties(self) -> int:
        """How many parties hold features, or participants samples."""
        parties = len(self.data.parties)
        return getattr(self.protocol, "num_participants", parties)

    def embed(self, num_classes: int) -> int:
        """Width of every party's embedding."""
        return self.network.embed or num_classes
