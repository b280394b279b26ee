"""Fu et al., CINIC-10: model completion with 4 labels per class.

As `fu_cifar10`, on 180,000 images, normalized by the channels' published means and
deviations. Needs the user's own files.
"""

from typing import Literal

import _fu

from vfljax.experiments import Experiment


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """100 epochs of 180,000 samples; small: ResNet-8 on 2,000."""
    small = scale == "small"
    return _fu.cifar_experiment(
        small,
        name="fu_cinic10",
        title="CINIC-10 halves: label inference from a trained bottom model",
        dataset="cinic10",
        training=_fu.cifar_training(small, num_samples=180_000),
        attacks=_fu.three_attacks(small),
    )
