"""The main job in two minutes: two parties, defenses, and who gets past them."""

from typing import Literal

from vfljax.attacks import (
    ClusterMatching,
    DirectInference,
    GradientInversion,
    LinearRecovery,
    MessageSmoothing,
)
from vfljax.defenses import (
    CAE,
    PPDL,
    DiscreteSGD,
    DPGaussian,
    NoDefense,
    Sparsification,
)
from vfljax.experiments import Data, Experiment, Training
from vfljax.models import MLP


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Each party holds half of every 8x8 picture; batches of 64 leak at step 0."""
    return Experiment(
        name="quickstart",
        title="Handwritten digits, two parties, half a picture each",
        data=Data(dataset="digits", split="rows"),
        model=MLP(hidden=(32,)),
        training=Training(steps=400, batch_size=64, learning_rate=0.01),
        batch_sizes=(64,),
        defenses={
            "none": NoDefense(),
            "dp_gaussian": DPGaussian(noise_std=(0.003, 0.01, 0.03)),
            "sparsification": Sparsification(keep_fraction=(0.1, 0.01)),
            "discrete_sgd": DiscreteSGD(bins=(12, 6)),
            "ppdl": PPDL(release_fraction=(0.5, 0.25)),
            "cae": CAE(entropy_weight=(1.0,)),
        },
        attacks={
            "direct_inference": DirectInference(),
            "linear_recovery": LinearRecovery(),
            "gradient_inversion": GradientInversion(steps=1000),
            "message_smoothing": MessageSmoothing(),
            "cluster_matching": ClusterMatching(),
            "plaintext_smoothing": MessageSmoothing(of=DirectInference()),
            "plaintext_clusters": ClusterMatching(of=DirectInference()),
        },
        num_trials=5 if scale == "full" else 2,
    )
