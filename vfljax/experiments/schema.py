"""The typed experiment: what a config file holds, checked when it is built.

Everything here is plain data. A tuple is a swept axis; fields that hold one are named
in the plural. Configs never enter `jit` and are never handed down: `trial.py` reads
them once and gives functions the values they need.
"""

import dataclasses
from collections.abc import Mapping
from typing import Literal

import optax

from vfljax.experiments.attack_specs import (
    AttackSpec,
    LinearRecovery,
    RecoversMessages,
    RepeatedObservation,
)
from vfljax.experiments.checks import require, require_all, require_choice
from vfljax.experiments.defense_specs import DefenseSpec, NoDefense


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data:
    """Which samples, and who holds which of their features."""

    dataset: str = "digits"
    """Name of a data set; `vfljax list` shows them."""
    split: str = "rows"
    """Vertical split by name: rows, columns, quadrants or features."""
    columns: tuple[str, ...] | None = None
    """Explicit split instead: a text per party, numbers, ranges and names of columns,
    such as "0-9,12" "10,11,age"."""
    num_parties: int = 2
    """Number of parties, >= 2."""
    adversary: int = 0
    """Position of the party that attacks."""
    label_party: int = -1
    """Position of the party with the labels; negative counts from the last."""
    class_counts: tuple[int, ...] | None = None
    """Numbers of classes to run with; None for all classes of the data set."""
    class_choice: Literal["random", "first"] = "random"
    """Which ones, when not all: fresh ones per trial, or always the first."""

    def split_argument(self) -> str | list[list[int | str]]:
        """The split as `data.split_features` takes it: a name, or lists of columns."""
        if self.columns is None:
            return self.split
        lists = []
        for text in self.columns:
            entries: list[int | str] = []
            for word in filter(None, (part.strip() for part in text.split(","))):
                first, is_range, last = word.partition("-")
                if is_range and first.isdigit() and last.isdigit():
                    entries.extend(range(int(first), int(last) + 1))
                else:
                    entries.append(int(word) if word.isdigit() else word)
            lists.append(entries)
        return lists

    def __post_init__(self):
        """Checks what can be checked without the data."""
        parties = self.num_parties
        if self.columns is not None:
            parties = len(self.columns)
            require(parties >= 2, "data.columns", self.columns, "2 or more texts")
        require(parties >= 2, "data.num_parties", parties, ">= 2")
        for name in ("adversary", "label_party"):
            require(
                -parties <= getattr(self, name) < parties,
                f"data.{name}",
                getattr(self, name),
                f"in [{-parties}, {parties - 1}]",
            )
        require(
            self.adversary % parties != self.label_party % parties,
            "data.adversary",
            self.adversary,
            "another party than data.label_party",
        )
        require_choice("data.class_choice", self.class_choice, ("random", "first"))
        if self.class_counts is not None:
            require(bool(self.class_counts), "data.class_counts", (), "not empty")
            require_all(
                "data.class_counts", self.class_counts, lambda c: c >= 2, ">= 2"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class MLP:
    """A multi-layer perceptron per party, with ReLU between its layers."""

    hidden: tuple[int, ...] = (32,)
    """Widths of the hidden layers."""

    def __post_init__(self):
        """Checks the widths."""
        for width in self.hidden:
            require(width >= 1, "model.hidden", width, ">= 1")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training:
    """How the parties train; the same optimizer for each."""

    steps: int = 0
    """Number of steps; 0 trains nothing and reports no main-task accuracy."""
    batch_size: int = 256
    """Samples per training step; every epoch is a new permutation."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """Optax optimizer of every party."""
    learning_rate: float = 0.001
    """Its learning rate, > 0."""
    momentum: float = 0.0
    """Momentum of sgd, in [0, 1)."""

    def __post_init__(self):
        """Checks the ranges."""
        require(self.steps >= 0, "training.steps", self.steps, ">= 0")
        require(self.batch_size >= 1, "training.batch_size", self.batch_size, ">= 1")
        require(
            self.learning_rate > 0, "training.learning_rate", self.learning_rate, "> 0"
        )
        require(0 <= self.momentum < 1, "training.momentum", self.momentum, "in [0, 1)")
        require_choice("training.optimizer", self.optimizer, ("adam", "sgd"))
        require(
            self.momentum == 0 or self.optimizer == "sgd",
            "training.momentum",
            self.momentum,
            "0 unless training.optimizer is 'sgd'",
        )

    def make(self) -> optax.GradientTransformation:
        """Returns one party's optimizer."""
        if self.optimizer == "adam":
            return optax.adam(self.learning_rate)
        return optax.sgd(self.learning_rate, momentum=self.momentum or None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Execution:
    """Settings that change speed and memory, and results only by rounding."""

    chunk_size: int | None = None
    """Trials per program call; None: one per CPU device, what fits on a GPU or TPU."""

    def __post_init__(self):
        """Checks the range."""
        chunk_size = self.chunk_size
        require(chunk_size is None or chunk_size >= 1, "chunk_size", chunk_size, ">= 1")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """Everything that determines the rows of a run."""

    name: str
    """Short name; part of the default run folder."""
    title: str = ""
    """Heading of tables and figures."""
    data: Data = Data()
    model: MLP = MLP()
    training: Training = Training()
    batch_sizes: tuple[int, ...] = (128,)
    """Sizes of the batch that is attacked."""
    train_steps: tuple[int, ...] = (0,)
    """Training steps before which views are taken, in [0, training.steps]."""
    same_samples: bool = False
    """Whether the views at all train_steps are of the same samples, as when epochs
    repeat, so that attacks may combine them; else of fresh ones."""
    defenses: Mapping[str, DefenseSpec] = dataclasses.field(
        default_factory=lambda: {"none": NoDefense()}
    )
    """Defenses by label, each run at all its strengths."""
    attacks: Mapping[str, AttackSpec] = dataclasses.field(
        default_factory=lambda: {"linear_recovery": LinearRecovery()}
    )
    """Attacks by label."""
    record_confusion: bool = False
    """Whether rows hold the counts of true and inferred classes."""
    num_trials: int = 10
    """Repetitions, each with fresh samples, classes and weights."""
    seed: int = 0
    """Root of every trial's key."""
    execution: Execution = Execution()

    def __post_init__(self):
        """Checks what can be checked without the data."""
        require(bool(self.name), "name", self.name, "not empty")
        require(self.num_trials >= 1, "num_trials", self.num_trials, ">= 1")
        for name in ("batch_sizes", "train_steps", "defenses", "attacks"):
            require(bool(getattr(self, name)), name, getattr(self, name), "not empty")
        require_all("batch_sizes", self.batch_sizes, lambda size: size >= 1, ">= 1")
        require_all(
            "train_steps",
            self.train_steps,
            lambda step: 0 <= step <= self.training.steps,
            f"in [0, training.steps = {self.training.steps}]",
        )
        for label, spec in self.defenses.items():
            require(
                self.training.steps == 0
                or getattr(spec, "residual", None) != "by_row"
                or max(self.batch_sizes) <= self.training.batch_size,
                f"defenses.{label}.residual",
                "by_row",
                "another, or batch_sizes at most training.batch_size "
                f"= {self.training.batch_size}: rows must correspond",
            )
        earlier: dict[str, AttackSpec] = {}
        for label, spec in self.attacks.items():
            if isinstance(spec, RepeatedObservation):
                require(
                    self.same_samples,
                    "same_samples",
                    self.same_samples,
                    f"True for attacks.{label}, which combines observations",
                )
                require(
                    list(self.train_steps) == sorted(self.train_steps),
                    "train_steps",
                    self.train_steps,
                    f"in ascending order for attacks.{label}, which looks back",
                )
                require(
                    isinstance(earlier.get(spec.of), RecoversMessages),
                    f"attacks.{label}.of",
                    spec.of,
                    "the label of an attack before it that recovers messages",
                )
            earlier[label] = spec

    def view_of(self, attack: str) -> str:
        """What an attack of this experiment sees."""
        spec = self.attacks[attack]
        if isinstance(spec, RepeatedObservation):
            return self.view_of(spec.of)
        return spec.view
