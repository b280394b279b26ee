"""Figure 5 of Zou et al.: recovery against number of classes, NUS-WIDE (your files).

Untrained 1000-32-C networks on the tags, all 81 concepts.
"""

from typing import Literal

from vfljax.attacks import GradientInversion, LinearRecovery
from vfljax.experiments import Data, Experiment


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """The published class counts, batch sizes and steps; small: few of them."""
    is_full = scale == "full"
    return Experiment(
        name="fig5_nus_wide",
        title="NUS-WIDE tags, untrained networks, one encrypted batch gradient",
        data=Data(
            dataset="nus_wide_81",
            columns=("0-999", "1000-1633"),
            class_counts=(2, 4, 8, 16, 20, 40, 60, 81) if is_full else (2, 8, 40),
        ),
        batch_sizes=(2, 32, 128, 512, 2048) if is_full else (32, 128, 512),
        attacks={
            "gradient_inversion": GradientInversion(steps=20_000 if is_full else 500),
            "linear_recovery": LinearRecovery(
                solver="cg", iterations=1000 if is_full else 200
            ),
        },
        num_trials=20 if is_full else 4,
    )
