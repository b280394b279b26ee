"""What hundreds of local steps hide of label counts: FedAvg, MNIST.

Updates of 100 and 1,000 local steps on batches of eight of one skewed label set,
untrained networks, rates 1e-4 to 1e-1, with consistent and with released scales. To
simulate so many steps a thousand times is not tried.
"""

from typing import Literal

import _llg

from vfljax.experiments import Experiment


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """A hundred updates for each number of steps and rate; small: ten of 100 steps."""
    small = scale == "small"
    rates = (0.001, 0.1) if small else _llg.LOCAL_RATES
    return Experiment(
        name="llg_many_steps_mnist",
        title="Label counts from updates of hundreds of local steps, MNIST",
        data=_llg.mnist(),
        model=_llg.NETWORK,
        variants=_llg.local_steps((100,) if small else (100, 1000), rates),
        batch_sizes=(8,),
        attacks=_llg.both_readings(),
        num_trials=10 if small else 100,
        execution=_llg.AT_ONCE,
    )
