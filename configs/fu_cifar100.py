"""Fu et al., CIFAR-100: model completion with 4 labels per class, top-5 rates.

As `fu_cifar10`, with embeddings of 100 and 150 epochs. Needs the user's own files.
"""

from typing import Literal

import _fu

from vfljax.experiments import Experiment


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """50,000 samples; small: ResNet-8 on 2,000."""
    small = scale == "small"
    return _fu.cifar_experiment(
        small,
        name="fu_cifar100",
        title="CIFAR-100 halves: label inference from a trained bottom model",
        dataset="cifar100",
        training=_fu.cifar_training(small, epochs=150),
        attacks=_fu.three_attacks(small),
    )
