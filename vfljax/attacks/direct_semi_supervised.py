"""What a few known labels are worth without federated learning: the baseline.

The same network and the same MixMatch as model completion, but from fresh weights, all
of them trained: what model completion finds beyond this is what the training leaked.
Fu et al. (USENIX Security 2022), there for CIFAR-10 alone and not in the released code.
"""

from jaxtyping import Array, Float, Key

from vfljax.attacks.base import Inference
from vfljax.attacks.completing import complete
from vfljax.attacks.mixmatch import DEFAULTS, LabeledRows, MixMatch
from vfljax.protocol import TrainedModelView


def direct_semi_supervised(
    key: Key[Array, ""],
    view: TrainedModelView,
    known: LabeledRows,
    *,
    other_features: Float[Array, "others ..."] | None = None,
    settings: MixMatch = DEFAULTS,
    num_layers: int = 1,
    num_epochs: int = 25,
    steps_per_epoch: int = 1024,
    batch_size: int = 16,
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
