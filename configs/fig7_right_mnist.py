"""Figure 7, right, of Zou et al.: two classes, with MARVELL; MNIST, digits 0 and 1.

Published without defense: main .99953, recovery .8513, and MARVELL's power s "without
effect": in the released code it never reaches the noise. Here it does. A label code
without fixed points can only swap two classes: 0 % recovered is full disclosure.
"""

from typing import Literal

import _zou

from vfljax.experiments import Data, Experiment, Training


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """The published setting; small: a third of the epochs and a quarter of a batch."""
    small = scale == "small"
    return _zou.figure_7(
        small,
        name="fig7_right_mnist",
        title="MNIST halves, digits 0 and 1: main task against label recovery",
        data=Data(
            dataset="mnist", split="rows", class_counts=(2,), class_choice="first"
        ),
        training=Training(
            steps=60 if small else 180, batch_size=2048, learning_rate=0.001
        ),
        defenses=_zou.binary_defenses(small),
        inversion_steps=1000 if small else 10_000,
    )
