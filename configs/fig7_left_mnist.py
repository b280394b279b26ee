"""Figure 7, left, of Zou et al.: what each defense costs and hides, MNIST, 10 classes.

Main task: 392-32-10 networks on halves, Adam .001, batches of 2,048, 30 epochs. Attack
on an untrained network and one encrypted batch gradient of 2,048 fresh samples, as
published, by attackers who ignore the defense and by those who know it.
"""

from typing import Literal

import _zou

from vfljax.experiments import Data, Experiment, Training


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """The published setting; small: a third of the epochs and a quarter of a batch."""
    small = scale == "small"
    return _zou.figure_7(
        small,
        name="fig7_left_mnist",
        title="MNIST halves, ten classes: main task against label recovery",
        data=Data(dataset="mnist", split="rows"),
        training=Training(
            steps=290 if small else 870, batch_size=2048, learning_rate=0.001
        ),
        defenses=_zou.multi_class_defenses(small),
        inversion_steps=1000 if small else 10_000,
    )
