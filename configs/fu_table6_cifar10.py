"""Table 6 of Fu et al.: defenses against direct label inference, CIFAR-10 halves.

As published: ResNet-20 without a top model, batches of 32, direct inference over the
first epoch, the main task after all of them. Rates read the *first* negative entry of a
message, as published, and beside it the most negative one. `fu_table6_mnist` has the
same on perceptrons, with more trials.
"""

from typing import Literal

import _fu

from vfljax.experiments import Experiment
from vfljax.protocol import SumOfLogits


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """100 epochs, seen at eight steps of the first; small: ResNet-8, 2,000 samples.

    The small scale has two trials of two strengths of each defense, and three steps.
    """
    small = scale == "small"
    return _fu.cifar_experiment(
        small,
        name="fu_table6_cifar10",
        title="CIFAR-10 halves, batches of 32: direct inference in the first epoch",
        protocol=SumOfLogits(),
        train_steps=(0, 30, 60) if small else (0, 30, 150, 450, 750, 1100, 1400, 1560),
        same_samples=True,
        defenses=_fu.table6_defenses(is_short=small),
        attacks=_fu.direct_attacks(),
        num_trials=2 if small else 5,
    )
