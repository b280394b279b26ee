"""Table 2 of Zou et al., batch-level rows: CIFAR-10 halves, untrained ResNet-18.

Published: .977 / .934 / .893 at 128 / 512 / 2,048, by 200 steps of gradient inversion
in training mode, with dropout masks that the attack does not know. Here the attacker
knows its own masks; the same without dropout stands beside it.
"""

from typing import Literal

from vfljax.attacks import GradientInversion, LinearRecovery
from vfljax.experiments import Data, Experiment, Variant
from vfljax.models import ResNet18


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Batches of 128, 512 and 2,048; small: of 16 and 64, a quarter of the width."""
    small = scale == "small"
    model = ResNet18(width=16 if small else 64)
    return Experiment(
        name="table2_cifar10",
        title="CIFAR-10 halves, ResNet-18: labels from a batch gradient",
        data=Data(dataset="cifar10", split="rows"),
        model=model,
        variants={
            "training mode": Variant(),
            "without dropout": Variant(model=ResNet18(width=model.width, dropout=0.0)),
        },
        batch_sizes=(16, 64) if small else (128, 512, 2048),
        attacks={
            "linear_recovery": LinearRecovery(
                solver="cg", iterations=20 if small else 200
            ),
            "gradient_inversion": GradientInversion(steps=100 if small else 200),
        },
        num_trials=2 if small else 10,
    )
