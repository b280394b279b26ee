"""Training as plain data: steps, batches, and every party's optimizer."""

import dataclasses
from typing import Literal, get_args

import optax

from vfljax import optimizers
from vfljax._checks import check_choice, require, require_all

OptimizerName = Literal["adam", "sgd"]
_OF_SGD = "0 unless training.optimizer is 'sgd'"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training:
    """How the parties train; the same optimizer for each."""

    steps: int = 0
    """Number of training steps; 0 trains nothing and reports no main-task accuracy."""
    batch_size: int | None = 256
    """Samples per training step; every epoch is a new permutation of all samples, but
    participants of horizontal learning draw theirs with replacement. None for a
    training of its own for each of the attacked sizes, with batches of that size."""
    optimizer: OptimizerName = "adam"
    """Optimizer that every party trains with: adam or sgd."""
    learning_rate: float = 0.001
    """Learning rate of every party's optimizer, above 0."""
    momentum: float = 0.0
    """Momentum of the optimizer sgd, in [0, 1)."""
    weight_decay: float = 0.0
    """Weight decay of the optimizer sgd: this share of the weights, at least 0, is
    added to their gradient."""
    milestones: tuple[float, ...] = ()
    """Shares of the training steps, in (0, 1), after which the learning rate falls to a
    tenth."""
    decay: float = 1.0
    """Factor in (0, 1] by which the learning rate is multiplied every decay_steps."""
    decay_steps: int = 1
    """Training steps from one decay of the learning rate to the next."""
    top_learning_rate: float | None = None
    """Learning rate of the label party's top model, above 0; None for that of all
    others."""
    malicious_mode: optimizers.Mode = "released"
    """Reading of the malicious optimizer that active attacks train with: as in the
    released code, numerically stable, or as printed in the paper."""

    def __post_init__(self):
        """Checks the ranges, and what goes with what."""
        top_rate, is_sgd = self.top_learning_rate, self.optimizer == "sgd"
        size = self.batch_size
        steady = f"empty where the rate decays (training.decay = {self.decay})"
        for name, is_met, allowed in (
            ("steps", self.steps >= 0, ">= 0"),
            ("batch_size", size is None or size >= 1, ">= 1"),
            ("learning_rate", self.learning_rate > 0, "> 0"),
            ("top_learning_rate", top_rate is None or top_rate > 0, "> 0"),
            ("momentum", 0 <= self.momentum < 1, "in [0, 1)"),
            ("weight_decay", self.weight_decay >= 0, ">= 0"),
            ("decay", 0 < self.decay <= 1, "in (0, 1]"),
            ("decay_steps", self.decay_steps >= 1, ">= 1"),
            ("milestones", self.decay == 1 or not self.milestones, steady),
            ("momentum", is_sgd or self.momentum == 0, _OF_SGD),
            ("weight_decay", is_sgd or self.weight_decay == 0, _OF_SGD),
        ):
            require(is_met, f"training.{name}", getattr(self, name), allowed)
        require_all(
            "training.milestones", self.milestones, lambda s: 0 < s < 1, "in (0, 1)"
        )
        check_choice("training.optimizer", self.optimizer, get_args(OptimizerName))
        modes = get_args(optimizers.Mode)
        check_choice("training.malicious_mode", self.malicious_mode, modes)

    def size(self, attacked: int) -> int:
        """Samples per training step where batches of a size are attacked."""
        return attacked if self.batch_size is None else self.batch_size

    def make(self) -> optax.GradientTransformation:
        """Returns one honest party's optimizer."""
        return self._honest(self.learning_rate)

    def make_top(self) -> optax.GradientTransformation:
        """Returns the top model's optimizer."""
        return self._honest(self.top_learning_rate or self.learning_rate)

    def make_malicious(self) -> optax.GradientTransformation:
        """Returns the adversary's optimizer: malicious where the others have sgd."""
        return optimizers.malicious_sgd(
            self._schedule(self.learning_rate),
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            mode=self.malicious_mode,
        )

    def _honest(self, rate):
        schedule = self._schedule(rate)
        if self.optimizer == "adam":
            return optax.adam(schedule)
        sgd = optax.sgd(schedule, momentum=self.momentum or None)
        if not self.weight_decay:
            return sgd
        return optax.chain(optax.add_decayed_weights(self.weight_decay), sgd)

    def _schedule(self, rate):
        if self.decay < 1:
            return optax.exponential_decay(
                rate, self.decay_steps, self.decay, staircase=True
            )
        if not self.milestones:
            return rate
        falls = {int(share * self.steps): 0.1 for share in self.milestones}
        return optax.piecewise_constant_schedule(rate, falls)
