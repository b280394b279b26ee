"""Figure 7, left, of Zou et al., on CIFAR-10 (not in the figure), ten classes.

As `fig7_left_mnist`, with halves of 16x32 pixels and perceptrons of one hidden layer of
128 where the publication has ResNet-18: leakage can be compared, the height of the
main-task accuracy can't. Inversion runs the 200 steps published for CIFAR.
"""

from typing import Literal

import _zou

from vfljax.experiments import MLP, Data, Experiment, Training


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """100 epochs of 2,048 as published; small: two of 256, a quarter batch."""
    small = scale == "small"
    return _zou.figure_7(
        small,
        name="fig7_left_cifar10",
        title="CIFAR-10 halves, ten classes: main task against label recovery",
        data=Data(dataset="cifar10", split="rows"),
        model=MLP(hidden=(128,)),
        training=Training(
            steps=400 if small else 2400,
            batch_size=256 if small else 2048,
            learning_rate=0.001,
        ),
        defenses=_zou.multi_class_defenses(small),
        inversion_steps=200,
        iterations=200 if small else 1000,
    )
