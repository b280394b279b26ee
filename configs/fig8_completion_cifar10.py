"""Figure 8 of Zou et al., panels of model completion: CIFAR-10, ResNet-20.

The defenses of the label-inference panels (`fig8_cifar10`), on the protocol with model
splitting, against passive and active model completion with 4 labels per class. No
published numbers to compare with, only words: DiscreteSGD better than others, DCAE some
ten points of main-task accuracy above it at a similar attack accuracy.
"""

from typing import Literal

import _fu
import _zou

from vfljax.experiments import Experiment


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """All strengths, 100 epochs; small: one or two of each, ResNet-8, 2,000 samples."""
    small = scale == "small"
    return _fu.cifar_experiment(
        small,
        name="fig8_completion_cifar10",
        title="CIFAR-10 halves: defenses against passive and active model completion",
        defenses=_zou.comparison_defenses(small, few=small),
        attacks={
            "passive": _fu.completion(small),
            "active": _fu.completion(small, optimizer="malicious"),
        },
        num_trials=2 if small else 5,
    )
