"""What local steps hide of label counts: FedAvg with 1 and 10 steps, MNIST.

Updates of K local steps on batches of eight of one skewed label set, untrained
networks, rates 1e-4 to 1e-1. Both readings of the scales: consistent, and as the
released code has them, K times too little.
"""

from typing import Literal

import _llg

from vfljax.attacks import CalibratedCounts
from vfljax.experiments import Experiment


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """A hundred updates for each number of steps and rate; small: twenty of ten."""
    small = scale == "small"
    rates = (0.001, 0.1) if small else _llg.LOCAL_RATES
    variants = _llg.local_steps((10,), rates)
    if not small:  # one step is the same at every rate
        variants = _llg.local_steps((1,), rates[:1]) | variants
    simulations = 300 if small else 1000
    return Experiment(
        name="llg_local_steps_mnist",
        title="Label counts from updates of several local steps, MNIST",
        data=_llg.mnist(),
        model=_llg.NETWORK,
        variants=variants,
        batch_sizes=(8,),
        attacks=_llg.both_readings()
        | {"calibrated": CalibratedCounts(num_simulations=simulations)},
        num_trials=20 if small else 100,
        execution=_llg.AT_ONCE,
    )
