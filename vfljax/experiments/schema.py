"""The typed experiment: what a config file holds, checked when it is built.

Everything here is plain data. A tuple is a swept axis; fields that hold one are named
in the plural. Configs never enter `jit` and are never handed down: `trial.py` reads
them once and gives functions the values they need.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import optax

from vfljax import attacks, defenses
from vfljax.defenses import Defense


def _require(is_met, name, value, allowed):
    if not is_met:
        raise ValueError(f"{name}={value!r}: must be {allowed}")


def _require_all(name, values, is_met, allowed):
    for value in values:
        _require(is_met(value), name, value, allowed)
    _require(len(set(values)) == len(values), name, values, "without repetitions")


ViewName = Literal["sample_gradient", "batch_gradient"]


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
            _require(parties >= 2, "data.columns", self.columns, "2 or more texts")
        _require(parties >= 2, "data.num_parties", parties, ">= 2")
        for name in ("adversary", "label_party"):
            _require(
                -parties <= getattr(self, name) < parties,
                f"data.{name}",
                getattr(self, name),
                f"in [{-parties}, {parties - 1}]",
            )
        _require(
            self.adversary % parties != self.label_party % parties,
            "data.adversary",
            self.adversary,
            "another party than data.label_party",
        )
        if self.class_counts is not None:
            _require(bool(self.class_counts), "data.class_counts", (), "not empty")
            _require_all(
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
            _require(width >= 1, "model.hidden", width, ">= 1")


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
        _require(self.steps >= 0, "training.steps", self.steps, ">= 0")
        _require(self.batch_size >= 1, "training.batch_size", self.batch_size, ">= 1")
        _require(
            self.learning_rate > 0, "training.learning_rate", self.learning_rate, "> 0"
        )
        _require(
            0 <= self.momentum < 1, "training.momentum", self.momentum, "in [0, 1)"
        )

        _require(
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
class NoDefense:
    """The message is sent as it is."""

    strengths: ClassVar[tuple[None, ...]] = (None,)
    strength_name: ClassVar[str | None] = None

    def make(self, strength: Any, shapes: "Shapes") -> Defense:
        """Returns the defense."""
        return defenses.no_defense()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shapes:
    """Shapes a defense's memory may need."""

    num_samples: int
    batch_size: int
    num_classes: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class DPGaussian:
    """Clip each sample's message and add Gaussian noise (DP-G)."""

    strengths: tuple[float, ...] = (0.0001, 0.001, 0.01, 0.1)
    """Standard deviations of the noise, >= 0, in units of dL/dH (which has 1/B)."""
    clip_norm: float = 0.2
    """2-norm to which messages are clipped; inf for no clipping."""
    reading: Literal["paper", "released"] = "paper"
    """Clip per sample (paper) or the whole batch by one factor (released code)."""
    strength_name: ClassVar[str] = "noise_std"

    def __post_init__(self):
        """Checks every strength by building the defense."""
        _check_strengths(self)

    def make(self, strength: Any, shapes: Shapes) -> Defense:
        """Returns the defense at one, possibly traced, strength."""
        return defenses.dp_gaussian(
            strength, clip_norm=self.clip_norm, reading=self.reading
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class DPLaplace:
    """Clip each sample's message and add Laplace noise (DP-L)."""

    strengths: tuple[float, ...] = (0.0001, 0.001, 0.01, 0.1)
    """Standard deviations (paper) or Laplace scales (released), >= 0."""
    clip_norm: float = 0.2
    """2-norm to which messages are clipped; inf for no clipping."""
    reading: Literal["paper", "released"] = "paper"
    """As for DP-Gaussian, and whether strengths are deviations or scales."""

    @property
    def strength_name(self) -> str:
        """What the strengths are, by the reading."""
        return "noise_std" if self.reading == "paper" else "noise_scale"

    def __post_init__(self):
        """Checks every strength by building the defense."""
        _check_strengths(self)

    def make(self, strength: Any, shapes: Shapes) -> Defense:
        """Returns the defense at one, possibly traced, strength."""
        return defenses.dp_laplace(
            strength, clip_norm=self.clip_norm, reading=self.reading
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sparsification:
    """Send only the largest entries of the message (gradient sparsification)."""

    strengths: tuple[float, ...] = (0.1, 0.05, 0.01, 0.001)
    """Shares of the entries that are kept, in (0, 1]."""
    residual: Literal["by_sample", "by_row", "none"] = "by_sample"
    """Where the dropped part is added later: to the same sample (paper), to the same
    row of the next batch (released code), or nowhere."""
    strength_name: ClassVar[str] = "keep_fraction"

    def __post_init__(self):
        """Checks every strength by building the defense."""
        _check_strengths(self)

    def make(self, strength: Any, shapes: Shapes) -> Defense:
        """Returns the defense at one, possibly traced, strength."""
        rows = {"by_sample": shapes.num_samples, "by_row": shapes.batch_size}
        return defenses.sparsification(
            strength,
            residual=self.residual,
            memory_shape=(rows[self.residual], shapes.num_classes)
            if self.residual in rows
            else None,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiscreteSGD:
    """Round the message to a few levels (DiscreteSGD)."""

    strengths: tuple[int, ...] = (24, 18, 12, 6)
    """Numbers of bins, >= 1."""
    reading: Literal["paper", "released"] = "paper"
    """Levels within two deviations (paper) or multiples of a fixed step (released)."""
    bound: float = 3e-4
    """Half the interval of the released reading, > 0."""
    strength_name: ClassVar[str] = "bins"

    def __post_init__(self):
        """Checks every strength by building the defense."""
        _check_strengths(self)

    def make(self, strength: Any, shapes: Shapes) -> Defense:
        """Returns the defense at one, possibly traced, strength."""
        return defenses.discrete_sgd(strength, reading=self.reading, bound=self.bound)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DirectInference:
    """Read labels off per-sample gradients (plaintext protocol)."""

    view: ClassVar[ViewName] = "sample_gradient"

    def run(self, key, view, keeps_zero_sum: bool) -> attacks.Inference:
        """Attacks one view."""
        return attacks.direct_inference(view)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearRecovery:
    """Solve the linear system behind a batch gradient (encrypted protocol)."""

    solver: Literal["auto", "cg", "exact"] = "auto"
    """Conjugate gradients, float64 Cholesky, or the latter where it fits."""
    iterations: int = 1000
    """Of conjugate gradients."""
    tolerance: float = 1e-6
    """Relative residual at which conjugate gradients freeze."""
    layers: tuple[str, ...] | None = None
    """Layers whose gradient is used; None for all."""
    zero_sum: bool | None = None
    """Look for rows that sum to zero; None: if the defense in use keeps them so."""
    view: ClassVar[ViewName] = "batch_gradient"

    def __post_init__(self):
        """Checks the ranges."""
        _require(self.iterations >= 1, "iterations", self.iterations, ">= 1")
        _require(self.tolerance >= 0, "tolerance", self.tolerance, ">= 0")

    def run(self, key, view, keeps_zero_sum: bool) -> attacks.Inference:
        """Attacks one view."""
        return attacks.linear_recovery(
            view,
            layers=self.layers,
            solver=self.solver,
            iterations=self.iterations,
            tolerance=self.tolerance,
            zero_sum=keeps_zero_sum if self.zero_sum is None else self.zero_sum,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class GradientInversion:
    """Match the batch gradient by gradient descent (encrypted protocol)."""

    steps: int = 10_000
    """Adam steps."""
    learning_rate: float = 0.05
    """Of Adam, > 0."""
    layers: tuple[str, ...] | None = None
    """Layers whose gradient is matched; None for all."""
    view: ClassVar[ViewName] = "batch_gradient"

    def __post_init__(self):
        """Checks the ranges."""
        _require(self.steps >= 1, "steps", self.steps, ">= 1")
        _require(self.learning_rate > 0, "learning_rate", self.learning_rate, "> 0")

    def run(self, key, view, keeps_zero_sum: bool) -> attacks.Inference:
        """Attacks one view."""
        return attacks.gradient_inversion(
            key,
            view,
            steps=self.steps,
            learning_rate=self.learning_rate,
            layers=self.layers,
        )


DefenseSpec = NoDefense | DPGaussian | DPLaplace | Sparsification | DiscreteSGD
AttackSpec = DirectInference | LinearRecovery | GradientInversion


@dataclasses.dataclass(frozen=True, kw_only=True)
class Execution:
    """Settings that change speed and memory, and results only by rounding."""

    chunk_size: int | None = None
    """Trials per program call; None: one per CPU device, what fits on a GPU or TPU."""

    def __post_init__(self):
        """Checks the range."""
        chunk_size = self.chunk_size
        _require(
            chunk_size is None or chunk_size >= 1, "chunk_size", chunk_size, ">= 1"
        )


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
    defenses: Mapping[str, DefenseSpec] = dataclasses.field(
        default_factory=lambda: {"none": NoDefense()}
    )
    """Defenses by label, each run at all its strengths."""
    attacks: Mapping[str, AttackSpec] = dataclasses.field(
        default_factory=lambda: {"linear_recovery": LinearRecovery()}
    )
    """Attacks by label."""
    num_trials: int = 10
    """Repetitions, each with fresh samples, classes and weights."""
    seed: int = 0
    """Root of every trial's key."""
    execution: Execution = Execution()

    def __post_init__(self):
        """Checks what can be checked without the data."""
        _require(bool(self.name), "name", self.name, "not empty")
        _require(self.num_trials >= 1, "num_trials", self.num_trials, ">= 1")
        for name in ("batch_sizes", "train_steps", "defenses", "attacks"):
            _require(bool(getattr(self, name)), name, getattr(self, name), "not empty")
        _require_all("batch_sizes", self.batch_sizes, lambda size: size >= 1, ">= 1")
        _require_all(
            "train_steps",
            self.train_steps,
            lambda step: 0 <= step <= self.training.steps,
            f"in [0, training.steps = {self.training.steps}]",
        )
        for label, spec in self.defenses.items():
            _require(
                self.training.steps == 0
                or getattr(spec, "residual", None) != "by_row"
                or max(self.batch_sizes) <= self.training.batch_size,
                f"defenses.{label}.residual",
                "by_row",
                "another, or batch_sizes at most training.batch_size "
                f"= {self.training.batch_size}: rows must correspond",
            )


def _check_strengths(spec):
    """A defense's strengths are its factory's business: let it judge each of them."""
    _require(bool(spec.strengths), "strengths", spec.strengths, "not empty")
    shapes = Shapes(num_samples=1, batch_size=1, num_classes=2)
    for strength in spec.strengths:
        _require(math.isfinite(strength), "strengths", strength, "finite")
        spec.make(strength, shapes)
