"""Figure 10 of Zou et al.: which class is restored for which, under CAE; MNIST.

Matrices P(restored j | true i) for λ2 = 0, where each class is called by one other
name, and λ2 = 1, where names spread. Neither hides which samples belong together: the
last columns of the table say what is left up to the names.
"""

from typing import Literal

from vfljax.attacks import ClusterMatching, GradientInversion, LinearRecovery
from vfljax.defenses import CAE
from vfljax.experiments import Data, Experiment


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Batches of 2,048; small: of 512, with fewer steps."""
    small = scale == "small"
    return Experiment(
        name="fig10_mnist",
        title="MNIST halves under CAE: restored against true class",
        data=Data(dataset="mnist", split="rows"),
        batch_sizes=(512 if small else 2048,),
        defenses={
            "cae": CAE(entropy_weight=(0.0, 1.0)),
        },
        attacks={
            "gradient_inversion": GradientInversion(steps=1000 if small else 10_000),
            "linear_recovery": LinearRecovery(solver="cg"),
            "cluster_matching": ClusterMatching(of=LinearRecovery(solver="cg")),
        },
        num_trials=5 if small else 30,
        record_confusion=True,
    )
