"""Figure 7, right, of Zou et al.: two classes, with MARVELL; CIFAR-100 (your files).

As `fig7_right_cifar10`; published without defense: main .8500, recovery .8026.
"""

from typing import Literal

import _zou

from vfljax.experiments import Data, Experiment, Training


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Two classes have 1,000 samples: batches of 500, 100 epochs; small: 20."""
    small = scale == "small"
    return _zou.figure_7(
        small,
        name="fig7_right_cifar100",
        title="CIFAR-100 halves, two classes: main task against label recovery",
        data=Data(
            dataset="cifar100", split="rows", class_counts=(2,), class_choice="first"
        ),
        model=_zou.image_network(small),
        training=Training(
            steps=40 if small else 200, batch_size=500, learning_rate=0.003
        ),
        batch_size=512,
        defenses=_zou.binary_defenses(small),
        inversion_steps=200,
        iterations=200,
    )
