"""Complete one's own trained bottom model to a classifier, with a few known labels.

Fu et al. (USENIX Security 2022,
https://www.usenix.org/conference/usenixsecurity22/presentation/fu-chong): training with
model splitting teaches the adversary's bottom model to tell the classes apart. A small
head on it and a few labeled samples, trained by MixMatch, name them. *Passive* is the
attack on an honestly trained bottom model, *active* the same attack on one that was
trained with `optimizers.malicious_sgd`. No message is needed, so encryption is no help.
"""

import dataclasses
from collections.abc import Hashable
from typing import Any, get_args

from jaxtyping import Array, Key

from vfljax._checks import check_choice, require
from vfljax.attacks.base import Inference
from vfljax.attacks.completing import CompletesModel, Mix, complete
from vfljax.attacks.mixmatch import LabeledRows, Weights
from vfljax.known import NOTHING, Known
from vfljax.protocol import AdversaryOptimizer, Interference, TrainedModelView


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelCompletion(CompletesModel):
    """Complete one's own trained bottom model with a few known labels (Fu et al.)."""

    optimizer: AdversaryOptimizer = "benign"
    """Optimizer that the adversary trains with: benign is the passive attack, malicious
    the active one; with all_malicious every party cheats so."""
    finetune_bottom: bool = False
    """Whether the bottom model is trained too, which is the paper's text. The released
    code trains the head alone, and so, presumably, did the published tables: its
    optimizer is made before the trained bottom model is attached."""
    mix: Mix = "input"
    """What MixMatch mixes: input, samples, as published, so that the frozen bottom
    model runs on mixed inputs in training mode; or feature, embeddings computed once in
    evaluation mode, not the same attack, but much faster, and for a frozen bottom model
    alone."""

    def __post_init__(self):
        """Checks words and ranges."""
        super().__post_init__()
        _check_mix(self.mix, self.finetune_bottom)

    @property
    def adversary_optimizer(self) -> str:
        """What rows call the optimizer."""
        return self.optimizer

    @property
    def family(self) -> str | None:
        """What such attacks are called that differ in the number of known labels."""
        name = "passive" if self.optimizer == "benign" else "active"
        applies = {
            "everybody": self.optimizer == "all_malicious",
            "fine-tuned": self.finetune_bottom,
            "features mixed": self.mix == "feature",
        }
        extras = ", ".join(word for word in applies if applies[word])
        return f"{name} ({extras})" if extras else name

    @property
    def victim(self) -> Hashable:
        """The optimizer is all that changes the training."""
        return None if self.optimizer == "benign" else self.optimizer

    def interferes(self, key, scene) -> Interference:
        """Trains with another optimizer."""
        return Interference(optimizer=self.optimizer)

    def fits(self, task) -> str | None:
        """The malicious optimizer replaces one of its kind."""
        if self.optimizer == "benign" or task.experiment.training.optimizer == "sgd":
            return super().fits(task)
        return (
            f"optimizer={self.optimizer!r}: must be 'benign' unless training.optimizer "
            "is 'sgd', which it replaces"
        )

    def __call__(self, key, view, known: Known = NOTHING) -> Inference:
        """Labels the view's samples, and further ones where it has their features."""
        return model_completion(
            key,
            view,
            finetune_bottom=self.finetune_bottom,
            mix=self.mix,
            **self.options(known),
        )


def model_completion(
    key: Key[Array, ""],
    view: TrainedModelView,
    known: LabeledRows,
    *,
    finetune_bottom: bool = ModelCompletion.finetune_bottom,
    mix: Mix = ModelCompletion.mix,
    **options: Any,
) -> Inference:
    """Infers the labels of all training samples from a trained bottom model.

    `finetune_bottom` and `mix` are the fields of `ModelCompletion`; the key, what is
    known, the other options (`other_features`, `settings`, `num_layers`, `num_epochs`,
    `steps_per_epoch`, `batch_size`) and the answer are those of `completing.complete`.

    Raises:
        ValueError: If no sample or every sample is known, a number is out of range,
            or features are to be mixed while the bottom model is trained.
    """
    _check_mix(mix, finetune_bottom)
    return complete(
        key,
        view,
        known,
        start=Weights(view.params, view.forward.statistics),
        is_bottom_trained=finetune_bottom,
        mix=mix,
        **options,
    )


def _check_mix(mix, finetune_bottom):
    """Features that are mixed must stay."""
    check_choice("mix", mix, get_args(Mix))
    is_allowed = mix == "input" or not finetune_bottom
    allowed = "'input' where finetune_bottom=True changes the embeddings"
    require(is_allowed, "mix", mix, allowed)
