"""Fu et al., CIFAR-100: model completion with 4 labels per class, top-5 rates.

As `fu_cifar10`, with embeddings of 100 and 150 epochs. Needs the user's own files.
"""

from typing import Literal

import _fu

from vfljax.experiments import Experiment


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """50,000 samples; small: ResNet-8 on 2,000."""
    small = scale == "small"
    return Experiment(
        name="fu_cifar100",
        title="CIFAR-100 halves: label inference from a trained bottom model",
        data=_fu.cifar(small, "cifar100"),
        model=_fu.resnet(small),
        top=_fu.IMAGE_TOP,
        training=_fu.cifar_training(small, epochs=150),
        batch_sizes=(32,),
        attacks=_fu.three_attacks(small),
        num_trials=4 if small else 5,
    )
