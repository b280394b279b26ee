"""Figure 7, left, of Zou et al., on CIFAR-10 (not in the figure), ten classes.

As `fig7_left_mnist`, with halves of 16x32 pixels and ResNet-18. Inversion runs the 200
steps published for CIFAR. The small scale has perceptrons of one hidden layer of 128:
leakage can be compared there, the height of the main-task accuracy can't.
"""

from typing import Literal

import _zou

from vfljax.experiments import Data, Experiment, Training


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """100 epochs of 2,048 as published; small: two of 256, a quarter batch."""
    small = scale == "small"
    return _zou.figure_7(
        small,
        name="fig7_left_cifar10",
        title="CIFAR-10 halves, ten classes: main task against label recovery",
        data=Data(dataset="cifar10", split="rows"),
        model=_zou.image_network(small),
        training=Training(
            steps=400 if small else 2400,
            batch_size=256 if small else 2048,
            learning_rate=0.001 if small else 0.003,
        ),
        defenses=_zou.multi_class_defenses(small),
        inversion_steps=200,
        iterations=200,
    )
