"""Figure 9 (d) of Zou et al.: three of four parties, 20 classes of CIFAR-100.

Published without defense: main task .505, backdoor .950. ResNet-18 at each party, 200
poisoned samples of 10,000. Needs the user's own files, and a GPU.
"""

from typing import Literal

import _backdoor

from vfljax.attacks import LabelReplacement
from vfljax.experiments import Data, Experiment


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Ten trials of 100 epochs; small: four of ten with an eighth of the width."""
    return _backdoor.cifar(
        scale == "small",
        name="fig9_four_parties_cifar100",
        title="CIFAR-100, 20 classes: defenses against the backdoor, 4 parties",
        data=Data(split="quadrants", num_parties=4, adversary=3, label_party=0),
        attack=LabelReplacement(trigger="cifar_quadrants", adversaries="all"),
    )
