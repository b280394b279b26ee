"""Do label counts still leak from a trained network? LLG along training, MNIST.

One participant's batch of eight in each round, SGD with rate 0.1; views of fresh
non-IID batches of 4, 8 and 32 along 10,000 rounds.
"""

from typing import Literal

import _llg

from vfljax.experiments import Experiment


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Sixty trainings of 10,000 rounds; small: eight of 1,000."""
    small = scale == "small"
    steps = (0, 100, 300, 1000) if small else (0, 100, 300, 1000, 3000, 10_000)
    return Experiment(
        name="llg_training_mnist",
        title="Label counts along training, MNIST, non-IID batches",
        data=_llg.mnist(),
        model=_llg.NETWORK,
        protocol=_llg.PROTOCOL,
        training=_llg.training(steps[-1]),
        train_steps=steps,
        batch_sizes=(8,) if small else (4, 8, 32),
        attacks=_llg.published() | _llg.strongest(300 if small else None),
        num_trials=8 if small else 60,
        execution=_llg.AT_ONCE,
    )
