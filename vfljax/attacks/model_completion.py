"""Complete one's own trained bottom model to a classifier, with a few known labels.

Fu et al. (USENIX Security 2022,
https://www.usenix.org/conference/usenixsecurity22/presentation/fu-chong): training with
model splitting teaches the adversary's bottom model to tell the classes apart. A small
head on it and a few labeled samples, trained by MixMatch, name them. *Passive* is the
attack on an honestly trained bottom model, *active* the same attack on one that was
trained with `optimizers.malicious_sgd`. No message is needed, so encryption is no help.
"""

from jaxtyping import Array, Float, Key

from vfljax.attacks.base import Inference
from vfljax.attacks.completing import Mix, complete
from vfljax.attacks.mixmatch import DEFAULTS, LabeledRows, MixMatch, Weights
from vfljax.protocol import TrainedModelView


def model_completion(
    key: Key[Array, ""],
    view: TrainedModelView,
    known: LabeledRows,
    *,
    other_features: Float[Array, "others ..."] | None = None,
    settings: MixMatch = DEFAULTS,
    finetune_bottom: bool = False,
    mix: Mix = "input",
    num_layers: int = 1,
    num_epochs: int = 25,
    steps_per_epoch: int = 1024,
    batch_size: int = 16,
) -> Inference:
    """Infers the labels of all training samples from a trained bottom model.

    Args:
        key: Of everything random.
        view: The adversary's model and features when training is over.
        known: Samples whose labels it knows, among those of the view.
        other_features: Its features of further samples to label, such as test ones.
        settings: Hyperparameters of MixMatch, which may be traced.
        finetune_bottom: `False` trains the head alone, which is what the released code
            does and so, presumably, what the published tables show: its optimizer is
            made before the trained bottom model is attached. `True` is what the paper
            says.
        mix: `"input"` mixes samples, as published; the frozen bottom model then runs
            on mixed inputs in training mode. `"feature"` mixes embeddings that are
            computed once, in evaluation mode: not the same attack, but in a fraction
            of the time. It goes with `finetune_bottom=False` alone.
        num_layers: Layers of the head.
        num_epochs: Epochs of MixMatch.
        steps_per_epoch: Steps in each.
        batch_size: Labeled samples of a step, and as many unlabeled ones; even.

    Returns:
        `scores` are the teacher's logits after the *last* epoch, which is what an
        attacker has. `info` is a `CompletionInfo` with the ranks after every epoch;
        published figures are those of the best epoch by the truth.

    Raises:
        ValueError: If no sample or every sample is known, a number is out of range,
            or features are to be mixed while the bottom model is trained.
    """
    if mix not in ("input", "feature"):
        raise ValueError(f"mix={mix!r}: must be one of input, feature")
    if mix == "feature" and finetune_bottom:
        raise ValueError(
            "mix='feature': embeddings are computed once, must be 'input' where "
            "finetune_bottom=True changes them"
        )
    return complete(
        key,
        view.model,
        Weights(view.params, view.forward.statistics),
        view.features,
        known,
        other_features,
        settings,
        num_classes=view.num_classes,
        num_layers=num_layers,
        num_epochs=num_epochs,
        steps_per_epoch=steps_per_epoch,
        batch_size=batch_size,
        is_bottom_trained=finetune_bottom,
        mix=mix,
    )
