"""Figure 9 (c) of Zou et al.: two parties, 20 classes of CIFAR-100.

Published without defense: main task .536, backdoor .620. ResNet-18 at each party, 200
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
        name="fig9_cifar100",
        title="CIFAR-100, 20 classes: defenses against the backdoor, 2 parties",
        data=Data(split="rows", num_parties=2, adversary=1, label_party=0),
        attack=LabelReplacement(trigger="cifar"),
    )
