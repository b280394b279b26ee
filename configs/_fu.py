"""What the configs of Fu et al. (USENIX Security 2022) have in common.

Networks, optimizers and batch sizes are those of their released code; MixMatch runs
with its hyperparameters. The adversary is the first party, the last one has labels.
"""

from vfljax.attacks import (
    DirectInference,
    DirectSemiSupervised,
    MessageSmoothing,
    ModelCompletion,
    RepeatedObservation,
)
from vfljax.defenses import PPDL, DiscreteSGD, DPLaplace, GradientCompression, NoDefense
from vfljax.experiments import Data, Experiment, Training
from vfljax.models import MLP, ResNet, Top
from vfljax.protocol import ModelSplitting

TRAIN_SAMPLES = 2000
TEST_SAMPLES = 1000


def cifar(small: bool, dataset: str = "cifar10", **settings) -> Data:
    """Left and right halves; small: 2,000 training and 1,000 test images."""
    return Data(
        dataset=dataset,
        split="columns",
        train_samples=TRAIN_SAMPLES if small else None,
        test_samples=TEST_SAMPLES if small else None,
        **settings,
    )


def resnet(small: bool, embed: int | None = None, stages: int = 3) -> ResNet:
    """ResNet-20; small: depth 8, half as wide."""
    if small:
        return ResNet(depth=8, width=8, embed=embed, stages=stages)
    return ResNet(depth=20, width=16, embed=embed, stages=stages)


def cifar_training(small: bool, num_samples: int = 50_000, epochs: int = 100):
    """SGD .1 with momentum .9 and weight decay 5e-4, batches of 32, falling twice.

    Small: 30 epochs of 2,000 samples, enough to fit most of them.
    """
    if small:
        num_samples, epochs = TRAIN_SAMPLES, 30
    return Training(
        steps=epochs * (num_samples // 32),
        batch_size=32,
        optimizer="sgd",
        learning_rate=0.1,
        momentum=0.9,
        weight_decay=5e-4,
        milestones=(50 / epochs, 85 / epochs) if epochs > 85 else (0.5, 0.85),
    )


def completion(small: bool, known_per_class: float = 4, **settings) -> ModelCompletion:
    """25 epochs of 1,024 steps; small: ten of 64, averaging over fewer of them."""
    if small:
        settings = {"epochs": 10, "steps_per_epoch": 64, "ema_decay": 0.99} | settings
    return ModelCompletion(known_per_class=known_per_class, **settings)


def direct(small: bool, known_per_class: float = 4, **settings):
    """The same without federated learning."""
    if small:
        settings = {"epochs": 10, "steps_per_epoch": 64, "ema_decay": 0.99} | settings
    return DirectSemiSupervised(known_per_class=known_per_class, **settings)


def three_attacks(small: bool, known_per_class: float = 4, **settings):
    """Passive, active with one malicious party and with all, and the baseline."""
    return {
        "passive": completion(small, known_per_class, **settings),
        "active": completion(small, known_per_class, optimizer="malicious", **settings),
        "active_all": completion(
            small, known_per_class, optimizer="all_malicious", **settings
        ),
        "direct": direct(small, known_per_class, **settings),
    }


def table6_defenses(is_short: bool):
    """Their defenses at the strengths of Table 6, as released; short: two of each."""
    noise = (1e-3, 1e-2) if is_short else (1e-4, 1e-3, 1e-2, 1e-1)
    kept = (0.5, 0.1) if is_short else (0.75, 0.5, 0.25, 0.1)
    return {
        "none": NoDefense(),
        "noisy_gradients": DPLaplace(
            noise=noise,
            clip_norm=float("inf"),
            reading="released",
            covers_label_party=True,
        ),
        "gradient_compression": GradientCompression(
            keep_fraction=kept, reading="released"
        ),
        "ppdl": PPDL(release_fraction=kept),
        "discrete_sgd": DiscreteSGD(
            bins=(12, 6) if is_short else (24, 18, 12, 6),
            reading="released",
            bound=0.03,
        ),
    }


def direct_attacks():
    """Direct inference, with smoothing, and with all messages seen so far."""
    return {
        "direct_inference": DirectInference(),
        "message_smoothing": MessageSmoothing(of=DirectInference()),
        "repeated": RepeatedObservation(of=DirectInference()),
    }


IMAGE_SPLITTING = ModelSplitting(top=Top())
BHI_SPLITTING = ModelSplitting(top=Top(widths=(10, 10, 10), class_weights=(0.3, 1.0)))
CRITEO = Data(dataset="criteo", split="features")
CRITEO_BOTTOM = MLP(hidden=(64, 16), embed=4)
CRITEO_SPLITTING = ModelSplitting(top=Top(widths=(8, 4), batch_norm=False))


def criteo_training(small: bool) -> Training:
    """SGD .05 with momentum .5 and weight decay 5e-4, seven epochs, batches of 1,000.

    Small: seven epochs of the sample's 3,491 rows, batches of 100.
    """
    return Training(
        steps=7 * 34 if small else 7 * 80,
        batch_size=100 if small else 1000,
        optimizer="sgd",
        learning_rate=0.05,
        momentum=0.5,
        weight_decay=5e-4,
    )


def criteo_epochs(small: bool) -> dict[str, int]:
    """Five epochs of MixMatch, as published; the small scale as everywhere."""
    return {} if small else {"epochs": 5}


def bhi_training(small: bool) -> Training:
    """SGD .05 with momentum .9 and weight decay 5e-4, five epochs, batches of 64.

    Small: 30 epochs of 2,000 samples, as CIFAR.
    """
    if small:
        return cifar_training(small)
    return Training(
        steps=5 * (69_181 // 64),
        batch_size=64,
        optimizer="sgd",
        learning_rate=0.05,
        momentum=0.9,
        weight_decay=5e-4,
        milestones=(0.8,),
    )


def bhi_epochs(small: bool) -> dict[str, int]:
    """Ten epochs of MixMatch in batches of 32, as published."""
    return {} if small else {"epochs": 10, "batch_size": 32}


def cifar_experiment(small: bool, *, dataset: str = "cifar10", **settings):
    """Halves of images, ResNets, the top and the training that belong to them."""
    defaults = {
        "data": cifar(small, dataset),
        "model": resnet(small),
        "protocol": IMAGE_SPLITTING,
        "training": cifar_training(small),
        "batch_sizes": (32,),
        "num_trials": 4 if small else 5,
    }
    return Experiment(**(defaults | settings))


def criteo_experiment(small: bool, **settings):
    """Halves of the features, perceptrons, the top and the training."""
    defaults = {
        "data": CRITEO,
        "model": CRITEO_BOTTOM,
        "protocol": CRITEO_SPLITTING,
        "training": criteo_training(small),
        "batch_sizes": (100 if small else 1000,),
        "num_trials": 8 if small else 5,
    }
    return Experiment(**(defaults | settings))
