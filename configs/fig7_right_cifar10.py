"""Figure 7, right, of Zou et al.: two classes, with MARVELL; CIFAR-10.

Airplanes and cars, ResNet-18; the small scale has perceptrons of one hidden layer of
128. Published without defense: main .9122, recovery .7084.
"""

from typing import Literal

import _zou

from vfljax.experiments import Data, Experiment, Training


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """100 epochs of 2,048 as published; small: five of 256, a quarter batch."""
    small = scale == "small"
    return _zou.figure_7(
        small,
        name="fig7_right_cifar10",
        title="CIFAR-10 halves, two classes: main task against label recovery",
        data=Data(
            dataset="cifar10", split="rows", class_counts=(2,), class_choice="first"
        ),
        model=_zou.image_network(small),
        training=Training(
            steps=200 if small else 400,
            batch_size=256 if small else 2048,
            learning_rate=0.001 if small else 0.003,
        ),
        defenses=_zou.binary_defenses(small),
        inversion_steps=200,
        iterations=200,
    )
