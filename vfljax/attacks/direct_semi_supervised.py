"""What a few known labels are worth without federated learning: the baseline.

The same network and the same MixMatch as model completion, but from fresh weights, all
of them trained: what model completion finds beyond this is what the training leaked.
Fu et al. (USENIX Security 2022), there for CIFAR-10 alone and not in the released code.
"""

import dataclasses

from jaxtyping import Array, Float, Key

from vfljax.attacks.base import Inference
from vfljax.attacks.completing import CompletesModel, complete
from vfljax.attacks.mixmatch import DEFAULTS, LabeledRows, MixMatch
from vfljax.known import NOTHING, Known
from vfljax.protocol import TrainedModelView


@dataclasses.dataclass(frozen=True, kw_only=True)
class DirectSemiSupervised(CompletesModel):
    """The same few labels and features without federated learning: the baseline."""

    family = "direct"

    def __call__(self, key, view, known: Known = NOTHING) -> Inference:
        """Labels the view's samples, and further ones where it has their features."""
        return direct_semi_supervised(
            key,
            view,
            LabeledRows(known.rows, known.labels),
            other_features=known.get("other_features"),
            **self.options(),
        )


def direct_semi_supervised(
    key: Key[Array, ""],
    view: TrainedModelView,
    known: LabeledRows,
    *,
    other_features: Float[Array, "others ..."] | None = None,
    settings: MixMatch = DEFAULTS,
    num_layers: int = DirectSemiSupervised.head_layers,
    num_epochs: int = DirectSemiSupervised.epochs,
    steps_per_epoch: int = DirectSemiSupervised.steps_per_epoch,
    batch_size: int = DirectSemiSupervised.batch_size,
) -> Inference:
    """Infers labels from the adversary's features and known labels alone.

    Args:
        key: Of everything random, the fresh weights included.
        view: Its features and architecture are used, its weights are not.
        known: Samples whose labels the adversary knows.
        other_features: Its features of further samples to label, such as test ones.
        settings: Hyperparameters of MixMatch, which may be traced.
        num_layers: Layers of the head.
        num_epochs: Epochs of MixMatch.
        steps_per_epoch: Steps in each.
        batch_size: Labeled samples of a step, and as many unlabeled ones; even.

    Returns:
        As `model_completion`.

    Raises:
        ValueError: If no sample or every sample is known, or a number is out of range.
    """
    return complete(
        key,
        view.model,
        None,
        view.features,
        known,
        other_features,
        settings,
        num_classes=view.num_classes,
        num_layers=num_layers,
        num_epochs=num_epochs,
        steps_per_epoch=steps_per_epoch,
        batch_size=batch_size,
        is_bottom_trained=True,
        mix="input",
    )
