"""What local steps hide of label counts: FedAvg with 1 to 1,000 steps, MNIST.

Updates of K local steps on batches of eight of one skewed label set, untrained
networks, rates 1e-4 to 1e-1. Both readings of the scales: consistent, and as the
released code has them, K times too little.
"""

from typing import Literal

import _llg

from vfljax.attacks import LLG, CalibratedCounts, LLGPlus, LLGStar
from vfljax.experiments import Experiment, Variant
from vfljax.protocol import FederatedAveraging


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """A hundred updates for each number of steps and rate; small: twenty of ten."""
    small = scale == "small"
    rates = (0.001, 0.1) if small else (0.0001, 0.001, 0.01, 0.1)
    numbers = (10,) if small else (1, 10, 100, 1000)
    simulations = 300 if small else 1000
    variants = {
        f"{number} steps, rate {rate:g}": Variant(
            protocol=FederatedAveraging(
                num_participants=100,
                participants_per_round=1,
                local_steps=number,
                local_learning_rate=rate,
            )
        )
        for number in numbers
        for rate in rates
    }
    return Experiment(
        name="llg_local_steps_mnist",
        title="Label counts from updates of several local steps, MNIST",
        data=_llg.mnist(),
        model=_llg.NETWORK,
        variants=variants,
        batch_sizes=(8,),
        attacks={
            "llg": LLG(),
            "llg_plus": LLGPlus(),
            "llg_plus_released": LLGPlus(reading="released"),
            "llg_star_zero": LLGStar(dummy="zero"),
            "llg_star_zero_released": LLGStar(dummy="zero", reading="released"),
            "calibrated": CalibratedCounts(num_simulations=simulations),
        },
        num_trials=20 if small else 100,
        execution=_llg.AT_ONCE,
    )
