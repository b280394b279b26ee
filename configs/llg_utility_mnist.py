"""What defenses of updates cost the main task: a hundred participants, MNIST.

Each participant sends the gradient of a batch of eight in each of a hundred rounds. The
main task stands beside what a participant reaches alone, and the label counts of a
participant's update before the first and after the last round.
"""

from typing import Literal

import _llg

from vfljax.attacks import LLG, LLGPlus
from vfljax.experiments import Experiment
from vfljax.models import SigmoidCNN
from vfljax.protocol import FederatedSGD


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Ten trainings of a hundred rounds; small: two of thirty with twenty users."""
    small = scale == "small"
    steps = 30 if small else 100
    return Experiment(
        name="llg_utility_mnist",
        title="What defenses of updates cost and hide, MNIST",
        data=_llg.mnist(),
        model=SigmoidCNN(start_bound=_llg.NETWORK.start_bound),
        protocol=FederatedSGD(num_participants=20 if small else 100),
        training=_llg.training(steps),
        train_steps=(0, steps),
        batch_sizes=(8,),
        defenses=_llg.defenses(small),
        attacks={"llg": LLG(), "llg_plus": LLGPlus(), **_llg.strongest(300)},
        num_trials=2 if small else 10,
    )
