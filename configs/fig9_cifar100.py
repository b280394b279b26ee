"""Figure 9 (c) of Zou et al.: two parties, 20 classes of CIFAR-100.

Published without defense: main task .536, backdoor .620. ResNet-18 at each party, 200
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
        name="fig9_cifar100",
        title="CIFAR-100, 20 classes: defenses against the backdoor, 2 parties",
        data=Data(
            dataset="cifar100",
            split="rows",
            num_parties=2,
            adversary=1,
            label_party=0,
            class_counts=(20,),
            class_choice="first",
        ),
        model=ResNet18(width=8 if small else 64),
        training=_backdoor.training(small, num_samples=10_000 - 200),
        defenses=_backdoor.defenses(small),
        attacks={
            "replacement": LabelReplacement(
                trigger="cifar",
                num_poisoned=200,
                num_poisoned_test=20,
            ),
        },
    )
