"""Figure 7, right, of Zou et al.: clouds and person of NUS-WIDE (your files needed).

Published without defense: main .8185, recovery .8820.
"""

from typing import Literal

import _zou

from vfljax.experiments import Data, Experiment, Training


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """20 epochs of batches of 2,048 as published; small: five and a quarter batch."""
    small = scale == "small"
    return _zou.figure_7(
        small,
        name="fig7_right_nus_wide",
        title="NUS-WIDE, clouds and person: main task against label recovery",
        data=Data(dataset="nus_wide_2", columns=("0-999", "1000-1633")),
        training=Training(
            steps=100 if small else 400, batch_size=2048, learning_rate=0.001
        ),
        defenses=_zou.binary_defenses(small),
        inversion_steps=1000 if small else 20_000,
    )
