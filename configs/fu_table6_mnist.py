"""Table 6 of Fu et al.: defenses against direct label inference, on MNIST-size models.

Their defenses in their released reading, batches of 32, direct inference over the first
epoch. The published rates read the *first* negative entry of a message; the most
negative one, beside it, is what an attacker would read.
"""

from typing import Literal

import _fu

from vfljax.experiments import Data, Experiment, Training


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """One epoch, 1,875 steps, seen at eight of them; small: 450 steps, at four."""
    small = scale == "small"
    steps = (0, 30, 150, 450) if small else (0, 30, 150, 450, 750, 1100, 1500, 1870)
    return Experiment(
        name="fu_table6_mnist",
        title="MNIST halves, batches of 32: direct inference in the first epoch",
        data=Data(dataset="mnist", split="columns"),
        training=Training(
            steps=steps[-1],
            batch_size=32,
            optimizer="sgd",
            learning_rate=0.05,
            momentum=0.9,
        ),
        train_steps=steps,
        same_samples=True,
        batch_sizes=(32,),
        defenses=_fu.table6_defenses(is_short=False),
        attacks=_fu.direct_attacks(),
        num_trials=20 if small else 50,
    )
