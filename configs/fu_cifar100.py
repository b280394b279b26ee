"""Fu et al. and Zou et al., CIFAR-100: model completion, top-1 and top-5 rates.

As `fu_cifar10`, with embeddings of 100 and 150 epochs: all attacks of Fu et al. with 4
labels per class, and passive and active with 1 and 12, the rows of Zou's Table 2. Needs
the user's own files.
"""

from typing import Literal

import _fu

from vfljax.experiments import Experiment


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """50,000 samples; small: ResNet-8 on 2,000."""
    small = scale == "small"
    attacks = dict(_fu.three_attacks(small))
    for known in (1, 12):
        attacks[f"passive_{known}"] = _fu.completion(small, known)
        attacks[f"active_{known}"] = _fu.completion(small, known, optimizer="malicious")
    return _fu.cifar_experiment(
        small,
        name="fu_cifar100",
        title="CIFAR-100 halves: label inference from a trained bottom model",
        dataset="cifar100",
        training=_fu.cifar_training(small, epochs=150),
        attacks=attacks,
    )
