"""The typed experiment: what a config file holds, checked when it is built.

Everything here is plain data. A tuple is a swept axis; fields that hold one are named
in the plural. Configs never enter `jit` and are never handed down: `trial.py` reads
them once and gives functions the values they need.
"""

import dataclasses
from collections.abc import Mapping
from typing import Literal

from vfljax.experiments.attack_specs import (
    AttackSpec,
    LinearRecovery,
    RecoversClasses,
    RecoversMessages,
    RepeatedObservation,
    ScoresMessages,
    ViewName,
)
from vfljax.experiments.backdoor_specs import BackdoorSpec, LabelFlip
from vfljax.experiments.chain_spec import Chain, DefenseSpec
from vfljax.experiments.checks import require, require_all, require_choice
from vfljax.experiments.completion_specs import CompletionSpec
from vfljax.experiments.defense_specs import NoDefense
from vfljax.experiments.model_specs import MLP, ModelSpec, Top
from vfljax.experiments.training_spec import Training

AnyAttack = AttackSpec | CompletionSpec | BackdoorSpec

_DEFAULT_MODEL, _NO_TRAINING = MLP(), Training()


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
    shares: tuple[float, ...] | None = None
    """Each party's share of the image rows, columns or features; None: equal ones."""
    train_samples: int | None = None
    """How many training samples to use, drawn once; None: all."""
    test_samples: int | None = None
    """How many test samples to use, drawn once; None: all."""
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
        require(
            self.shares is None or len(self.shares) == parties,
            "data.shares",
            self.shares,
            f"one for each of the {parties} parties",
        )
        for name in ("train_samples", "test_samples"):
            number = getattr(self, name)
            require(number is None or number >= 1, f"data.{name}", number, ">= 1")
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
class Execution:
    """Settings that change speed and memory, and results only by rounding."""

    chunk_size: int | None = None
    """Trials per program call; None: one per device, but of perceptrons, which run all
    at once, as many as fit on a GPU or TPU."""

    def __post_init__(self):
        """Checks the range."""
        chunk_size = self.chunk_size
        require(chunk_size is None or chunk_size >= 1, "chunk_size", chunk_size, ">= 1")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Variant:
    """Parts of an experiment that are replaced as a whole; None: as they are."""

    data: Data | None = None
    """Other data, or the same ones split in another way."""
    model: ModelSpec | None = None
    """Other bottom models."""
    top: Top | None = None
    """Another top model."""
    training: Training | None = None
    """Another training."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """Everything that determines the rows of a run."""

    name: str
    """Short name; part of the default run folder."""
    title: str = ""
    """Heading of tables and figures."""
    data: Data = Data()
    model: ModelSpec = _DEFAULT_MODEL
    """Every party's bottom model."""
    top: Top | None = None
    """The label party's trainable top model; None: embeddings are summed as logits."""
    training: Training = _NO_TRAINING
    mode: Literal["training", "evaluation"] = "training"
    """In which batch normalization and dropout run while messages are exchanged."""
    variants: Mapping[str, Variant] = dataclasses.field(default_factory=dict)
    """Settings to run in turn by label, each the experiment but for what it replaces;
    none: the experiment as it is."""
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
    attacks: Mapping[str, AnyAttack] = dataclasses.field(
        default_factory=lambda: {"linear_recovery": LinearRecovery()}
    )
    """Attacks by label."""
    record_confusion: bool = False
    """Whether rows hold the counts of true and inferred classes."""
    record_alone: bool = False
    """Whether rows hold what the adversary's features alone would give a model that
    is trained with all labels: an upper bound of any attack on such features."""
    num_trials: int = 10
    """Repetitions, each with fresh samples, classes and weights."""
    seed: int = 0
    """Root of every trial's key."""
    execution: Execution = Execution()

    def __post_init__(self):
        """Checks what can be checked without the data."""
        require(bool(self.name), "name", self.name, "not empty")
        require_choice("mode", self.mode, ("training", "evaluation"))
        require(
            self.top is not None or self.model.embed is None,
            "model.embed",
            self.model.embed,
            "None without a top model: embeddings are logits",
        )
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
                or not _goes_by_row(spec)
                or max(self.batch_sizes) <= self.training.batch_size,
                f"defenses.{label}.residual",
                "by_row",
                "another, or batch_sizes at most training.batch_size "
                f"= {self.training.batch_size}: rows must correspond",
            )
        require(
            not self.record_alone or self.training.steps > 0,
            "record_alone",
            self.record_alone,
            "False where nothing is trained (training.steps = 0)",
        )
        self._check_attacks()
        for label in self.variants:
            self.variant(label)

    def _check_attacks(self):
        earlier: dict[str, AnyAttack] = {}
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
            elif isinstance(spec, CompletionSpec):
                self._check_completion(label, spec)
            elif isinstance(spec, BackdoorSpec):
                self._check_backdoor(label, spec, earlier)
            else:
                require(
                    self.top is None or isinstance(spec, ScoresMessages),
                    f"attacks.{label}",
                    type(spec).__name__,
                    "one that needs no sum of logits, as there is a top model",
                )
            earlier[label] = spec

    def _check_completion(self, label: str, spec: CompletionSpec):
        require(
            spec.optimizer == "benign" or self.training.optimizer == "sgd",
            f"attacks.{label}.optimizer",
            spec.optimizer,
            "'benign' unless training.optimizer is 'sgd', which it replaces",
        )
        require(
            self.training.steps > 0,
            "training.steps",
            self.training.steps,
            f">= 1 for attacks.{label}, which completes a trained model",
        )

    def _check_backdoor(
        self, label: str, spec: BackdoorSpec, earlier: Mapping[str, AnyAttack]
    ):
        require(
            self.training.steps > 0,
            "training.steps",
            self.training.steps,
            f">= 1 for attacks.{label}, which plants a backdoor in training",
        )
        require(
            self.top is None,
            f"attacks.{label}",
            type(spec).__name__,
            "one that needs no sum of logits, as there is a top model",
        )
        if isinstance(spec, LabelFlip):
            require(
                isinstance(earlier.get(spec.of), RecoversClasses),
                f"attacks.{label}.of",
                spec.of,
                "the label of an attack before it that infers classes from messages",
            )

    def variant(self, label: str) -> "Experiment":
        """The experiment that a variant stands for; errors name the variant."""
        changes = {
            field.name: getattr(self.variants[label], field.name)
            for field in dataclasses.fields(Variant)
            if getattr(self.variants[label], field.name) is not None
        }
        try:
            return dataclasses.replace(self, **changes, variants={})
        except ValueError as error:
            raise ValueError(f"variants.{label}: {error}") from None

    def embed(self, num_classes: int) -> int:
        """Width of every party's embedding."""
        return self.model.embed or num_classes

    def view_of(self, attack: str) -> ViewName:
        """What an attack of this experiment sees."""
        spec = self.attacks[attack]
        if isinstance(spec, RepeatedObservation):
            return self.view_of(spec.of)
        return spec.view


def _goes_by_row(spec: DefenseSpec) -> bool:
    """Whether a defense remembers rows of a batch."""
    parts = spec.parts if isinstance(spec, Chain) else (spec,)
    return any(getattr(part, "residual", None) == "by_row" for part in parts)
