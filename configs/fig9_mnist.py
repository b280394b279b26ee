"""Figure 9 (a) of Zou et al.: defenses against the backdoor, two parties, MNIST.

Published without defense: main task .8927, backdoor .890. Beside the published attack
there are two more: one with random numbers in place of the poisoned sample's own
embedding, and the label-flip route by an adversary that clusters the messages of the
untrained model, so that it knows each poisoned sample's class and what the label party
trains it on; from its batch gradient, or from messages in plain text. Weight decay is
3e-5 throughout (the authors' runs with CAE have 1e-5).
"""

from typing import Literal

import _backdoor

from vfljax.attacks import LabelReplacement
from vfljax.experiments import Experiment


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Ten trials of 100 epochs; small: four of ten, fewer strengths."""
    small = scale == "small"
    return _backdoor.mnist(
        small,
        name="fig9_mnist",
        title="MNIST halves: defenses against the label replacement backdoor",
        defenses=_backdoor.defenses(small),
        attacks={
            "replacement": LabelReplacement(),
            "stealthy": LabelReplacement(is_stealthy=True),
            **_backdoor.who_clusters(),
        },
    )
