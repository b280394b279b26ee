"""How much noise hides single samples from head decoupling? MNIST, untrained networks.

Noise on every entry of the update, from far below the rounding of float32 to where
label counts are hidden too; batches of two and four.
"""

import math
from typing import Literal

import _llg

from vfljax.attacks import CalibratedCounts, HeadDecoupling, LLGPlus
from vfljax.defenses import DPGaussian, NoDefense
from vfljax.experiments import Execution, Experiment


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Fifty batches for each noise; small: eight, of fewer."""
    small = scale == "small"
    noise = (1e-4, 1e-2) if small else (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
    return Experiment(
        name="head_noise_mnist",
        title="Samples recovered from a noised gradient of the last layer, MNIST",
        data=_llg.mnist(_llg.IID),
        model=_llg.NETWORK,
        protocol=_llg.PROTOCOL,
        batch_sizes=(4,) if small else (2, 4),
        defenses={
            "none": NoDefense(),
            "noise": DPGaussian(noise_std=noise, clip_norm=math.inf),
        },
        attacks={
            "decoupling": HeadDecoupling(),
            "llg_plus": LLGPlus(),
            "calibrated": CalibratedCounts(num_simulations=300),
        },
        num_trials=8 if small else 50,
        execution=Execution(chunk_size=8 if small else 50),
    )
