"""Figure 9 (d) of Zou et al.: three of four parties, 20 classes of CIFAR-100.

Published without defense: main task .505, backdoor .950. ResNet-18 at each party, 200
poisoned samples of 10,000. Needs the user's own files, and a GPU.
"""

from typing import Literal

import _backdoor

from vfljax.experiments import Data, Experiment, LabelReplacement, ResNet18


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Ten trials of 100 epochs; small: four of ten with an eighth of the width."""
    small = scale == "small"
    return _backdoor.mnist(
        small,
        name="fig9_four_parties_cifar100",
        title="CIFAR-100, 20 classes: defenses against the backdoor, 4 parties",
        data=Data(
            dataset="cifar100",
            split="quadrants",
            num_parties=4,
            adversary=3,
            label_party=0,
            class_counts=(20,),
            class_choice="first",
        ),
        model=ResNet18(width=8 if small else 64),
        training=_backdoor.training(small, num_samples=10_000 - 200),
        defenses=_backdoor.defenses(small),
        attacks={
            "replacement": LabelReplacement(
                trigger="cifar_quadrants",
                adversaries="all",
                num_poisoned=200,
                num_poisoned_test=20,
            ),
        },
    )
