"""A bottom model becomes a classifier: what completion attacks have in common."""

import dataclasses
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from vfljax import models
from vfljax._checks import POSITIVE, check_number, require
from vfljax.attacks.base import (
    Attack,
    Inference,
    Number,
    inference_from_scores,
    labels_in_words,
)
from vfljax.attacks.mixmatch import DEFAULTS, LabeledRows, MixMatch, Weights, mixmatch
from vfljax.goals import ALL_LABELS
from vfljax.known import Known
from vfljax.models import Forward
from vfljax.protocol import TrainedModelView

Mix = Literal["input", "feature"]
_MOST_RANKS = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompletesModel(Attack):
    """An attack that trains a classifier by MixMatch, with a few known labels."""

    known_per_class: int | float = 4
    """Known labels of each class, above 0 and whole; or below 1, the share of the
    classes that has one."""
    epochs: int = 25
    """Number of epochs of MixMatch, at least 1; its teacher is evaluated after each."""
    steps_per_epoch: int = 1024
    """Number of steps in each epoch of MixMatch, at least 1."""
    batch_size: int = 16
    """Labeled samples of a step, and as many unlabeled ones; an even number."""
    learning_rate: Number = DEFAULTS.learning_rate
    """Learning rate of MixMatch's Adam, above 0."""
    ema_decay: Number = DEFAULTS.ema_decay
    """Decay of the averaged weights that are evaluated, in [0, 1)."""
    head_layers: int = 1
    """Number of layers on top of the bottom model, at least 1."""
    sees = TrainedModelView
    goal = ALL_LABELS
    uses = ("rows", "labels", "other_features")

    ranges: ClassVar = {
        "epochs": {"low": 1},
        "steps_per_epoch": {"low": 1},
        "learning_rate": POSITIVE,
        "ema_decay": {"low": 0, "high": 1, "high_excluded": True},
        "head_layers": {"low": 1},
    }

    def __post_init__(self):
        """Checks words and ranges."""
        super().__post_init__()
        _check_batch_size(self.batch_size)
        number = self.known_per_class
        require(number > 0, "known_per_class", number, "> 0")
        is_allowed = number < 1 or number == int(number)
        require(is_allowed, "known_per_class", number, "a whole number, or below 1")

    @property
    def knowledge(self) -> str | None:
        """What the attack uses besides its view."""
        if self.known_per_class < 1:
            return f"1 known label in {100 * self.known_per_class:g} % of the classes"
        return labels_in_words(int(self.known_per_class))

    def fits(self, task) -> str | None:
        """There must be more samples of each class than are known."""
        number, rarest = self.known_per_class, min(task.class_counts)
        if number < rarest:
            return None
        return (
            f"known_per_class={number:g}: must be less than {rarest}, the samples of "
            "the rarest class"
        )

    def options(self, known: Known) -> dict[str, Any]:
        """What is known and the fields, as arguments of `complete`."""
        return {
            "known": LabeledRows(known.rows, known.labels),
            "other_features": known.get("other_features"),
            "settings": MixMatch(
                learning_rate=self.learning_rate, ema_decay=self.ema_decay
            ),
            "num_layers": self.head_layers,
            "num_epochs": self.epochs,
            "steps_per_epoch": self.steps_per_epoch,
            "batch_size": self.batch_size,
        }


class CompletionInfo(NamedTuple):
    """What happened epoch by epoch, for metrics that know the truth.

    Attributes:
        ranks: The most likely classes of each sample, best first, after each epoch;
            at most five.
        other_ranks: The same for the further samples.
        losses: Mean loss of each epoch.
    """

    ranks: Int[Array, "epochs samples ranks"]
    other_ranks: Int[Array, "epochs others ranks"]
    losses: Float[Array, " epochs"]


def complete(
    key: Key[Array, ""],
    view: TrainedModelView,
    known: LabeledRows,
    *,
    start: Weights | None,
    is_bottom_trained: bool,
    mix: Mix,
    other_features: Float[Array, "others ..."] | None = None,
    settings: MixMatch = DEFAULTS,
    num_layers: int = CompletesModel.head_layers,
    num_epochs: int = CompletesModel.epochs,
    steps_per_epoch: int = CompletesModel.steps_per_epoch,
    batch_size: int = CompletesModel.batch_size,
) -> Inference:
    """Puts a head on a bottom model, trains by MixMatch, labels all samples.

    Args:
        key: Of everything random.
        view: The adversary's bottom model and features.
        known: Samples whose labels it knows, among those of the view.
        start: The bottom model's weights; `None` for fresh ones.
        is_bottom_trained: Whether the bottom model is trained along with the head.
        mix: `"feature"` trains the head alone on embeddings computed once.
        other_features: Of further samples to label, such as test ones, or `None`.
        settings: Hyperparameters of MixMatch, which may be traced.
        num_layers: Layers of the head.
        num_epochs: Epochs of MixMatch.
        steps_per_epoch: Steps in each.
        batch_size: Labeled samples of a step, and as many unlabeled ones; even.

    Returns:
        `scores` are the teacher's logits after the *last* epoch, which is what an
        attacker has. `info` is a `CompletionInfo` with the ranks after every epoch;
        published figures are those of the best epoch by the truth.

    Raises:
        ValueError: If no sample or every sample is known, or a number is out of range.
    """
    bottom, features, num_classes = view.model, view.features, view.num_classes
    _check_known(known, len(features))
    check_number("num_epochs", num_epochs, low=1)
    check_number("steps_per_epoch", steps_per_epoch, low=1)
    _check_batch_size(batch_size)
    key_weights, key_training = jax.random.split(key)
    network = models.completed(bottom, num_classes=num_classes, num_layers=num_layers)
    head = models.completion_head(num_classes=num_classes, num_layers=num_layers)
    weights = Weights(
        network.init(key_weights, features[:1]),
        models.init_statistics(network, features[:1]),
    )
    if start is not None:
        weights = Weights(
            {**weights.params, "bottom": start.params},
            {**weights.statistics, "bottom": start.statistics},
        )
    others = features[:0] if other_features is None else other_features

    def embed_all(weights: Weights):
        params, statistics = _part(weights, "bottom")
        return [
            models.embed_in_parts(bottom, params, x, Forward(statistics))
            for x in (features, others)
        ]

    # A bottom model that stays as it is embeds every sample once and for all.
    embedded = None if is_bottom_trained else embed_all(weights)

    def logits_of(teacher: Weights):
        params, statistics = teacher if mix == "feature" else _part(teacher, "head")
        return [
            models.embed(head, params, x, Forward(statistics))
            for x in (embedded or embed_all(teacher))
        ]

    if mix == "feature":
        assert embedded is not None
        trained, inputs, frozen = (head, _part(weights, "head")), embedded[0], ()
    else:
        frozen = () if is_bottom_trained else ("bottom",)
        trained, inputs = (network, weights), features
    teacher, (ranks, other_ranks), losses = mixmatch(
        key_training,
        *trained,
        inputs,
        known,
        settings,
        num_classes=num_classes,
        num_epochs=num_epochs,
        steps_per_epoch=steps_per_epoch,
        batch_size=batch_size,
        evaluate=lambda teacher: tuple(map(_ranks, logits_of(teacher))),
        frozen=frozen,
    )
    info = CompletionInfo(ranks, other_ranks, losses)
    return inference_from_scores(logits_of(teacher)[0], info=info)


def _part(weights: Weights, name: str) -> Weights:
    """The bottom model or the head of a completed network."""
    return Weights(weights.params[name], weights.statistics[name])


def _ranks(logits):
    """The most likely classes of each row, best first."""
    num_ranks = min(_MOST_RANKS, logits.shape[1])
    return jax.lax.top_k(logits, num_ranks)[1].astype(jnp.int32)


def _check_known(known, num_samples):
    if not 1 <= len(known.rows) < num_samples:
        raise ValueError(
            f"known: {len(known.rows)} labeled samples; allowed is 1 to "
            f"{num_samples - 1}, so that some are left to infer"
        )
    shape, expected = known.labels.shape, known.rows.shape
    if shape != expected:
        raise ValueError(
            f"known.labels: shape {shape}, must be that of known.rows, {expected}"
        )


def _check_batch_size(batch_size):
    """Half a batch may go into each of two."""
    is_even = batch_size >= 2 and batch_size % 2 == 0
    require(is_even, "batch_size", batch_size, "an even number >= 2")
