"""Figure 9 (d) of Zou et al. on MNIST: three of four parties plant the backdoor.

Quarters of the image; the label party has the upper left one, each of the others sets
one pixel and swaps the same rows. Published on 20 classes of CIFAR-100 alone
(`fig9_four_parties_cifar100`).
"""

from typing import Literal

import _backdoor

from vfljax.attacks import LabelReplacement
from vfljax.experiments import Data, Experiment


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Ten trials of 100 epochs; small: four of ten, fewer strengths."""
    small = scale == "small"
    return _backdoor.mnist(
        small,
        name="fig9_four_parties_mnist",
        title="MNIST quarters: defenses against a backdoor by three of four parties",
        data=Data(
            dataset="mnist",
            split="quadrants",
            num_parties=4,
            adversary=3,
            label_party=0,
        ),
        defenses=_backdoor.defenses(small),
        attacks={
            "replacement": LabelReplacement(
                trigger="mnist_quadrants", adversaries="all"
            ),
        },
    )
