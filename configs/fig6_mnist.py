"""Figure 6 of Zou et al.: the backdoor against the amplification of replaced messages.

MNIST halves, label replacement with 600 poisoned samples and 10 targets. Published as a
curve: the backdoor grows with gamma, above 90 % for some, and the main task stays high
until gamma is too large; 10 was chosen, with a main task of .8927 and a backdoor of
.890. All values of gamma share one program.
"""

from typing import Literal

import _backdoor

from vfljax.attacks import LabelReplacement
from vfljax.experiments import Experiment

_AMPLIFICATIONS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Ten trials of 100 epochs; small: four of ten."""
    return _backdoor.mnist(
        scale == "small",
        name="fig6_mnist",
        title="MNIST halves: label replacement against its amplification",
        attacks={
            f"gamma_{amplification:g}": LabelReplacement(amplification=amplification)
            for amplification in _AMPLIFICATIONS
        },
    )
