"""Figure 7, left, of Zou et al.: NUS-WIDE, five classes (your files needed).

The adversary holds 1,000 tags, the label party 634 image features. Published without
defense: main .8881, recovery .9939.
"""

from typing import Literal

import _zou

from vfljax.experiments import Data, Experiment, Training


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """20 epochs of batches of 2,048 as published; small: five and a quarter batch."""
    small = scale == "small"
    return _zou.figure_7(
        small,
        name="fig7_left_nus_wide",
        title="NUS-WIDE, five classes: main task against label recovery",
        data=Data(dataset="nus_wide_5", columns=("0-999", "1000-1633")),
        training=Training(
            steps=140 if small else 560, batch_size=2048, learning_rate=0.001
        ),
        defenses=_zou.multi_class_defenses(small),
        inversion_steps=1000 if small else 20_000,
    )
