"""What both ways of planting a backdoor have in common: who is marked, and how."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Key

from vfljax import data
from vfljax._checks import check_choice, check_number
from vfljax.attacks.base import Attack, Inference, Number, inference_from_scores
from vfljax.goals import BACKDOOR
from vfljax.known import NOTHING, Known
from vfljax.protocol import (
    Interference,
    Manipulation,
    PredictionView,
    Scene,
    epoch_batches,
)

Adversaries = Literal["one", "all"]
Batches = Literal["extended", "as_drawn"]


class Marked(NamedTuple):
    """Rows of the training set, and those of the test set that are tried."""

    target: Int[Array, ""]
    poisoned: Int[Array, " poisoned"]
    is_poisoned: Bool[Array, " samples"]
    targets: Int[Array, " targets"]
    tried: Int[Array, " tried"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlantsBackdoor(Attack):
    """An attack that marks training samples and manipulates messages about them."""

    trigger: str = "mnist"
    """Name of a trigger: mnist, cifar, mnist_quadrants, cifar_quadrants or nus_wide;
    all of it must lie in the adversaries' features."""
    adversaries: Adversaries = "one"
    """Who cheats: one, the adversary of the experiment's data, or all passive parties,
    on the same samples."""
    num_poisoned: int = 600
    """Number of training samples with the trigger, drawn from all classes, at least 0,
    which trains cleanly."""
    num_poisoned_test: int = 100
    """Number of test samples that the trigger is tried on, at least 1; each has a copy
    without it."""
    target_class: int | None = None
    """Class that the trigger is to lead to, at least 0; None draws one per trial."""
    batches: Batches = "extended"
    """Where poisoned samples are trained on: extended gives each batch one of them, and
    a target if there are such, on top of those drawn from all others; with as_drawn
    they fall into batches as they are drawn."""
    amplification: Number = 10.0
    """Gamma, at least 0, by which the poisoned sample's message is multiplied; a whole
    number from 1 where messages are encrypted."""
    num_targets: ClassVar[Any] = 0
    """Number of training samples known to be of the target class."""
    sees = PredictionView
    threat_model = "message_rows"
    goal = BACKDOOR
    needs_sum_of_logits = True
    traced = ("amplification",)

    ranges: ClassVar = {
        "num_poisoned": {"low": 0},
        "num_poisoned_test": {"low": 1},
        "amplification": {"low": 0},
    }

    def __post_init__(self):
        """Checks words and ranges."""
        super().__post_init__()
        check_choice("trigger", self.trigger, tuple(data.TRIGGERS))
        if self.target_class is not None:
            check_number("target_class", self.target_class, low=0)

    @property
    def extra_rows(self) -> int:
        """By how many samples each batch is extended."""
        if self.num_poisoned == 0 or self.batches == "as_drawn":
            return 0
        return 1 + (self.num_targets > 0)

    def fits(self, task) -> str | None:
        """The trigger is where the adversaries are, and there are enough samples."""
        try:
            parts = self.prepare(task)
        except ValueError as error:
            return f"trigger={self.trigger!r}: {error}"
        allowed = set(self._parties(task))
        holders = {party for party, (mask, _) in enumerate(parts) if mask.any()}
        if not holders or not holders <= allowed:
            return (
                f"trigger={self.trigger!r}: lies in the features of parties "
                f"{sorted(holders)}, must be in those of the adversaries "
                f"{sorted(allowed)} (data.adversary, adversaries)"
            )
        if self.target_class is not None and self.target_class >= task.num_classes:
            return (
                f"target_class={self.target_class}: must be below {task.num_classes}, "
                "the number of classes"
            )
        at_most = {
            "num_poisoned": task.num_train - task.experiment.training.batch_size,
            "num_poisoned_test": task.num_test,
            "num_targets": int(min(task.class_counts)) - self.num_poisoned,
        }
        for name, most in at_most.items():
            number = getattr(self, name)
            if number > most:
                return (
                    f"{name}={number}: must be at most {most}, as {task.dataset_name} "
                    f"has {task.num_train} training and {task.num_test} test samples"
                )
        if task.experiment.encryption is not None:
            try:
                whole_amplification(self.amplification)
            except ValueError as error:
                return str(error)
        return None

    def prepare(self, task) -> Any:
        """The trigger's mask and values, split between the parties like features."""
        parts = data.trigger_mask(data.TRIGGERS[self.trigger], task.sample_shape)
        masks, values = (task.split(part[None].astype(np.float32)) for part in parts)
        return tuple(
            (of_mask[0] > 0, of_values[0])
            for of_mask, of_values in zip(masks, values, strict=True)
        )

    def plant(
        self, key: Key[Array, ""], scene: Scene, parties: Sequence[int], marked: Marked
    ) -> tuple[Mapping[int, Manipulation], Mapping[str, Any]]:
        """What each adversary does to messages, and facts about it for the goal."""
        raise NotImplementedError(f"{type(self).__name__} has no plant")

    def interferes(self, key: Key[Array, ""], scene: Scene) -> Interference:
        """Marks samples, manipulates messages about them, and tries the trigger."""
        key_marked, key_pairs, key_infer = jax.random.split(key, 3)
        marked, parties = self._mark(key_marked, scene), self._parties(scene)
        cheats, facts, triggers = {}, {}, scene.prepared
        if self.num_poisoned:
            planted, facts = self.plant(key_infer, scene, parties, marked)
            cheats = {
                party: _with_trigger(cheat, marked.is_poisoned, triggers[party])
                for party, cheat in planted.items()
            }

        def batches(key, size, steps):
            num_clean = scene.num_samples - self.num_poisoned
            clean = jnp.flatnonzero(~marked.is_poisoned, size=num_clean)
            parts = [clean[epoch_batches(key, num_clean, size, steps)]]
            key_poison, key_target = jax.random.split(key_pairs)
            parts.append(jax.random.choice(key_poison, marked.poisoned, (steps, 1)))
            if self.num_targets:
                parts.append(jax.random.choice(key_target, marked.targets, (steps, 1)))
            return jnp.concatenate(parts, axis=1)

        def asks(features):
            return [
                data.add_trigger(part, *triggers[party]) if party in parties else part
                for party, part in enumerate(features)
            ]

        return Interference(
            manipulations=cheats,
            batches=batches if self.extra_rows else None,
            asks_about=marked.tried,
            asks=asks,
            facts={"target": marked.target, "poisoned": marked.poisoned, **facts},
        )

    def __call__(self, key, view, known: Known = NOTHING) -> Inference:
        """The trained model's decisions on samples with the trigger."""
        return inference_from_scores(view.logits)

    def _parties(self, where: Any) -> tuple[int, ...]:
        """The positions of those that cheat."""
        return (where.adversary,) if self.adversaries == "one" else where.passive

    def _mark(self, key, scene: Scene) -> Marked:
        """The target class, its known samples, and those that get the trigger."""
        key_class, key_poison, key_target, key_tried = jax.random.split(key, 4)
        if self.target_class is None:
            target = jax.random.randint(key_class, (), 0, scene.num_classes)
        else:
            target = jnp.array(self.target_class)
        poisoned = jax.random.permutation(key_poison, scene.num_samples)
        poisoned = poisoned[: self.num_poisoned]
        is_poisoned = jnp.zeros(scene.num_samples, bool).at[poisoned].set(True)
        targets = scene.samples_of(key_target, target, self.num_targets, is_poisoned)
        tried = jax.random.permutation(key_tried, scene.num_test)
        return Marked(
            target, poisoned, is_poisoned, targets, tried[: self.num_poisoned_test]
        )


def whole_amplification(amplification: Any) -> int:
    """By what rows of ciphertexts are multiplied; a `ValueError` for other numbers."""
    number = float(amplification)
    if number < 1 or number != int(number):
        raise ValueError(
            f"amplification={number:g}: must be a whole number >= 1 on ciphertexts"
        )
    return int(number)


def _with_trigger(cheat: Manipulation, is_poisoned, mask_and_values) -> Manipulation:
    """The same, on features that carry the trigger where they should."""

    def alter(features, sample_ids):
        shape = (-1,) + (1,) * (features.ndim - 1)
        marked = data.add_trigger(features, *mask_and_values)
        return jnp.where(is_poisoned[sample_ids].reshape(shape), marked, features)

    return cheat._replace(alter=alter)
