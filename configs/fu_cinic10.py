"""Fu et al., CINIC-10: model completion with 4 labels per class.

As `fu_cifar10`, on 180,000 images. Needs the user's own files.
"""

from typing import Literal

import _fu

from vfljax.experiments import Experiment


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """100 epochs of 180,000 samples; small: ResNet-8 on 2,000."""
    small = scale == "small"
    return Experiment(
        name="fu_cinic10",
        title="CINIC-10 halves: label inference from a trained bottom model",
        data=_fu.cifar(small, "cinic10"),
        model=_fu.resnet(small),
        top=_fu.IMAGE_TOP,
        training=_fu.cifar_training(small, num_samples=180_000),
        batch_sizes=(32,),
        attacks=_fu.three_attacks(small),
        num_trials=4 if small else 5,
    )
