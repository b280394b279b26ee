"""The main job in a minute: digits, two parties, every defense, both threat models."""

from typing import Literal

from vfljax.experiments import (
    MLP,
    Data,
    DirectInference,
    DiscreteSGD,
    DPGaussian,
    DPLaplace,
    Experiment,
    GradientInversion,
    LinearRecovery,
    NoDefense,
    Sparsification,
    Training,
)


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
            "dp_gaussian": DPGaussian(strengths=(0.001, 0.003, 0.01, 0.03, 0.1)),
            "dp_laplace": DPLaplace(strengths=(0.001, 0.003, 0.01, 0.03, 0.1)),
            "sparsification": Sparsification(strengths=(0.25, 0.1, 0.05, 0.01)),
            "discrete_sgd": DiscreteSGD(strengths=(24, 18, 12, 6)),
        },
        attacks={
            "direct_inference": DirectInference(),
            "linear_recovery": LinearRecovery(),
            "gradient_inversion": GradientInversion(steps=1000),
        },
        num_trials=5 if scale == "full" else 2,
    )
