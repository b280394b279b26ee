"""Figure 7, left, of Zou et al.: CIFAR-100, the first 20 classes (your files needed).

As `fig7_left_cifar10`; published without defense: main .5917, recovery .9546.
"""

from typing import Literal

import _zou

from vfljax.experiments import Data, Experiment, Training


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """200 epochs of 2,048 as published; small: five of 256, a quarter batch."""
    small = scale == "small"
    return _zou.figure_7(
        small,
        name="fig7_left_cifar100",
        title="CIFAR-100 halves, 20 classes: main task against label recovery",
        data=Data(
            dataset="cifar100", split="rows", class_counts=(20,), class_choice="first"
        ),
        model=_zou.image_network(small),
        training=Training(
            steps=200 if small else 800,
            batch_size=256 if small else 2048,
            learning_rate=0.001 if small else 0.003,
        ),
        defenses=_zou.multi_class_defenses(small),
        inversion_steps=200,
        iterations=200,
    )
