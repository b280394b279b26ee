"""What the configs of Zou et al.'s backdoor have in common: the authors' setting.

392-32-10 perceptrons with a ReLU on the logits too, SGD .01 times .97 in every epoch,
weight decay 3e-5, batches of 64 and one pair of a poisoned and a target sample. The
label party has the upper half of the image, the adversary the lower one.
"""

import dataclasses

from vfljax.attacks import ClusterMatching, DirectInference, LabelFlip, LabelReplacement
from vfljax.defenses import CAE, DPGaussian, DPLaplace, NoDefense, Sparsification
from vfljax.experiments import Data, Experiment, Training
from vfljax.models import MLP, ResNet18

_NUM_CLEAN = 60_000 - 600


def training(small: bool, num_samples: int = _NUM_CLEAN) -> Training:
    """100 epochs; small: ten, with the rate falling ten times as fast."""
    epochs = 10 if small else 100
    steps_per_epoch = num_samples // 64
    return Training(
        steps=epochs * steps_per_epoch,
        batch_size=64,
        optimizer="sgd",
        learning_rate=0.01,
        weight_decay=3e-5,
        decay=0.97,
        decay_steps=steps_per_epoch // 10 if small else steps_per_epoch,
    )


def mnist(small: bool, **settings) -> Experiment:
    """MNIST halves; small: ten epochs, four trials."""
    defaults = {
        "data": Data(dataset="mnist", adversary=1, label_party=0),
        "model": MLP(relu_output=True),
        "training": training(small),
        "batch_sizes": (64,),
        "num_trials": 4 if small else 10,
    }
    return Experiment(**(defaults | settings))


def cifar(small: bool, *, data: Data, attack: LabelReplacement, **settings):
    """CIFAR-100, 20 classes, ResNet-18; small: ten epochs, an eighth of the width."""
    num_poisoned, num_poisoned_test = 200, 20  # of 10,000 and 2,000
    classes = {"class_counts": (20,), "class_choice": "first"}
    return mnist(
        small,
        data=dataclasses.replace(data, dataset="cifar100", **classes),
        model=ResNet18(width=8 if small else 64),
        training=training(small, num_samples=10_000 - num_poisoned),
        defenses=defenses(small),
        attacks={
            "replacement": dataclasses.replace(
                attack, num_poisoned=num_poisoned, num_poisoned_test=num_poisoned_test
            )
        },
        **settings,
    )


def defenses(small: bool):
    """Figure 9: noise, sparsification, and confused labels."""
    noise = (1e-3, 1e-2, 1e-1) if small else (1e-3, 5e-3, 1e-2, 5e-2, 1e-1, 5e-1)
    kept = (0.01, 0.001) if small else (0.01, 0.005, 0.001)
    return {
        "none": NoDefense(),
        "dp_gaussian": DPGaussian(noise_std=noise),
        "dp_laplace": DPLaplace(noise=noise, reading="released"),
        "sparsification": Sparsification(keep_fraction=kept),
        "cae": CAE(entropy_weight=(0.0, 1.0) if small else (0.0, 0.5, 1.0)),
    }


def who_clusters():
    """The adversary that first finds classes and codes by clustering messages.

    From its own batch gradient, and from messages that are not encrypted.
    """
    encrypted, plain = ClusterMatching(), ClusterMatching(of=DirectInference())
    return {
        "clustered": encrypted,
        "flip": LabelFlip(of=encrypted, amplification=10.0),
        "clustered_plain": plain,
        "flip_plain": LabelFlip(of=plain, amplification=10.0),
    }
