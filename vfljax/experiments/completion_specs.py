"""Attacks with a few known labels and a model of one's own, as plain data."""

import dataclasses
from typing import ClassVar, Literal

from vfljax import attacks
from vfljax.experiments.attack_specs import ViewName
from vfljax.experiments.checks import require, require_choice
from vfljax.experiments.training_spec import AdversaryOptimizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Completes:
    """What model completion and its baseline have in common."""

    known_per_class: int | float = 4
    """Known labels of each class; below 1, the share of the classes that has one."""
    epochs: int = 25
    """Of MixMatch; what is known is evaluated after each."""
    steps_per_epoch: int = 1024
    """Its steps in each."""
    batch_size: int = 16
    """Labeled samples of a step, and as many unlabeled ones; even."""
    learning_rate: float = 0.002
    """Of its Adam, > 0."""
    ema_decay: float = 0.999
    """Of the averaged weights that are evaluated, in [0, 1)."""
    head_layers: int = 1
    """Layers on top of the bottom model."""
    view: ClassVar[ViewName] = "trained_model"
    depends_on: ClassVar[tuple[str, ...]] = ()
    is_adaptive: ClassVar[bool] = False
    named_per_class: ClassVar[int] = 0

    def __post_init__(self):
        """Checks the ranges."""
        require(
            self.known_per_class > 0, "known_per_class", self.known_per_class, "> 0"
        )
        is_whole = self.known_per_class == int(self.known_per_class)
        require(
            self.known_per_class < 1 or is_whole,
            "known_per_class",
            self.known_per_class,
            "a whole number, or below 1",
        )
        for name in ("epochs", "steps_per_epoch", "head_layers"):
            require(getattr(self, name) >= 1, name, getattr(self, name), ">= 1")
        is_even = self.batch_size >= 2 and self.batch_size % 2 == 0
        require(is_even, "batch_size", self.batch_size, "an even number >= 2")
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "> 0")
        require(0 <= self.ema_decay < 1, "ema_decay", self.ema_decay, "in [0, 1)")

    @property
    def knowledge(self) -> str | None:
        """What the attack uses besides its view."""
        if self.known_per_class < 1:
            return f"1 known label in {100 * self.known_per_class:g} % of the classes"
        plural = "" if self.known_per_class == 1 else "s"
        return f"{self.known_per_class:g} known label{plural} per class"

    def _options(self):
        return {
            "settings": attacks.MixMatch(
                learning_rate=self.learning_rate, ema_decay=self.ema_decay
            ),
            "num_layers": self.head_layers,
            "num_epochs": self.epochs,
            "steps_per_epoch": self.steps_per_epoch,
            "batch_size": self.batch_size,
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelCompletion(_Completes):
    """Complete one's own trained bottom model with a few known labels (Fu et al.)."""

    optimizer: AdversaryOptimizer = "benign"
    """What the adversary trains with: benign is the passive attack, malicious the
    active one; with all_malicious every party does."""
    finetune_bottom: bool = False
    """As released, the head alone is trained; True is the paper's text."""
    mix: Literal["input", "feature"] = "input"
    """Mix samples, as published, or embeddings computed once, which is much faster."""

    def __post_init__(self):
        """Checks the choices."""
        super().__post_init__()
        choices = ("benign", "malicious", "all_malicious")
        require_choice("optimizer", self.optimizer, choices)
        require_choice("mix", self.mix, ("input", "feature"))
        require(
            not self.finetune_bottom or self.mix == "input",
            "mix",
            self.mix,
            "'input' where finetune_bottom is True",
        )

    @property
    def family(self) -> str:
        """What such attacks are called that differ in the number of known labels."""
        name = "passive" if self.optimizer == "benign" else "active"
        extras = [
            word
            for word, applies in (
                ("everybody", self.optimizer == "all_malicious"),
                ("fine-tuned", self.finetune_bottom),
                ("features mixed", self.mix == "feature"),
            )
            if applies
        ]
        return f"{name} ({', '.join(extras)})" if extras else name

    def run(self, key, view, known, other_features) -> attacks.Inference:
        """Attacks a trained model."""
        return attacks.model_completion(
            key,
            view,
            known,
            other_features=other_features,
            finetune_bottom=self.finetune_bottom,
            mix=self.mix,
            **self._options(),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class DirectSemiSupervised(_Completes):
    """The same few labels and features without federated learning: the baseline."""

    optimizer: ClassVar[AdversaryOptimizer] = "benign"
    family: ClassVar[str] = "direct"

    def run(self, key, view, known, other_features) -> attacks.Inference:
        """Learns from the adversary's own data alone."""
        return attacks.direct_semi_supervised(
            key, view, known, other_features=other_features, **self._options()
        )


CompletionSpec = ModelCompletion | DirectSemiSupervised
