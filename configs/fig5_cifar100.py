"""Figure 5 of Zou et al.: recovery against number of classes, CIFAR-100 (your files).

Untrained ResNet-18; the small scale has perceptrons of one hidden layer of 128.
"""

from typing import Literal

import _zou

from vfljax.attacks import GradientInversion, LinearRecovery
from vfljax.experiments import Data, Experiment


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """The published class counts and batch sizes; small: few of them."""
    is_full = scale == "full"
    return Experiment(
        name="fig5_cifar100",
        title="CIFAR-100 halves, untrained networks, one encrypted batch gradient",
        data=Data(
            dataset="cifar100",
            split="rows",
            class_counts=(5, 10, 15, 20, 40, 60, 80, 100) if is_full else (5, 20, 100),
        ),
        model=_zou.image_network(not is_full),
        batch_sizes=(2, 32, 128, 512, 2048) if is_full else (32, 128, 512),
        attacks={
            "gradient_inversion": GradientInversion(steps=200),
            "linear_recovery": LinearRecovery(solver="cg", iterations=200),
        },
        num_trials=10 if is_full else 4,
    )
