"""Figure 5 of Zou et al.: recovery against number of classes and batch size, MNIST.

Untrained 392-32-C networks, top and bottom half of each picture, batch-level view,
fresh samples, classes and weights in every repetition. The figure's method is gradient
inversion with the arg-max of y' (its dashed curves here); linear recovery is ours.
"""

from typing import Literal

from vfljax.attacks import GradientInversion, LinearRecovery
from vfljax.experiments import Data, Experiment
from vfljax.models import MLP


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """The published setting, or one tenth of it for two CPU cores."""
    is_full = scale == "full"
    return Experiment(
        name="fig5_mnist",
        title="MNIST halves, untrained networks, one encrypted batch gradient",
        data=Data(
            dataset="mnist", split="rows", class_counts=(2, 3, 4, 5, 6, 7, 8, 9, 10)
        ),
        model=MLP(hidden=(32,)),
        batch_sizes=(2, 32, 128, 512, 2048),
        attacks={
            "gradient_inversion": GradientInversion(steps=10_000 if is_full else 500),
            "linear_recovery": LinearRecovery(
                solver="cg", iterations=1000 if is_full else 200
            ),
        },
        num_trials=30 if is_full else 4,
    )
