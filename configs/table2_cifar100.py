"""Table 2 of Zou et al., batch-level rows: CIFAR-100 halves, untrained ResNet-18.

As `table2_cifar10`, on 20 random classes in every trial. Published: .999 / .969 / .922
at 128 / 512 / 2,048. Needs the user's own files.
"""

from typing import Literal

from vfljax.attacks import GradientInversion, LinearRecovery
from vfljax.experiments import Data, Experiment
from vfljax.models import ResNet18


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Batches of 128, 512 and 2,048; small: of 16 and 64, a quarter of the width."""
    small = scale == "small"
    return Experiment(
        name="table2_cifar100",
        title="CIFAR-100 halves, ResNet-18: labels from a batch gradient",
        data=Data(dataset="cifar100", split="rows", class_counts=(20,)),
        model=ResNet18(width=16 if small else 64),
        batch_sizes=(16, 64) if small else (128, 512, 2048),
        attacks={
            "linear_recovery": LinearRecovery(
                solver="cg", iterations=20 if small else 200
            ),
            "gradient_inversion": GradientInversion(steps=100 if small else 200),
        },
        num_trials=2 if small else 10,
    )
