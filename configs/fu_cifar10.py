"""Fu et al., CIFAR-10: passive and active model completion with 4 labels per class.

Their tables of attack performance, of the active attack's influence on the main task,
and (supplement) of all parties using the malicious optimizer; ResNet-20 on left and
right halves, with the direct semi-supervised baseline on the same labels.
"""

from typing import Literal

import _fu

from vfljax.experiments import Experiment


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """100 epochs on 50,000 samples; small: ResNet-8, 30 epochs on 2,000 samples."""
    small = scale == "small"
    return _fu.cifar_experiment(
        small,
        name="fu_cifar10",
        title="CIFAR-10 halves: label inference from a trained bottom model",
        attacks=_fu.three_attacks(small),
    )
