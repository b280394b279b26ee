"""Does a defense hold later in training? Leakage against training step, MNIST.

The same samples are seen at every step, as when epochs repeat. Linear recovery by the
exact solver, as an early-stopped one only makes training look like protection; the
adversary's own bottom model, which needs no gradient at all, beside it.
"""

from typing import Literal

from vfljax.experiments import (
    CAE,
    DCAE,
    PPDL,
    ClusterMatching,
    Data,
    DiscreteSGD,
    DPLaplace,
    Experiment,
    KnownEncoder,
    LinearRecovery,
    MessageSmoothing,
    NoDefense,
    NoiseAwareRecovery,
    OwnPrediction,
    RepeatedObservation,
    Sparsification,
    Training,
)


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """SGD .1 in batches of 256; batches of 512 are attacked, 128 when small."""
    small = scale == "small"
    return Experiment(
        name="training_mnist",
        title="MNIST halves: recovery along training, one encrypted batch gradient",
        data=Data(dataset="mnist", split="rows"),
        training=Training(
            steps=2000 if small else 20_000,
            batch_size=256,
            optimizer="sgd",
            learning_rate=0.1,
        ),
        train_steps=(0, 50, 200, 700, 2000)
        if small
        else (0, 50, 200, 700, 2000, 6000, 20_000),
        same_samples=True,
        batch_sizes=(128 if small else 512,),
        defenses={
            "none": NoDefense(),
            "dp_laplace": DPLaplace(strengths=(1e-3, 1e-2), reading="released"),
            "sparsification": Sparsification(strengths=(0.1, 0.01)),
            "discrete_sgd": DiscreteSGD(strengths=(12,)),
            "ppdl": PPDL(strengths=(0.5,), exhausted="zero"),
            "cae": CAE(strengths=(0.0, 1.0)),
            "dcae": DCAE(strengths=(1.0,)),
        },
        attacks={
            "linear_recovery": LinearRecovery(solver="exact"),
            "own_prediction": OwnPrediction(),
            "noise_aware": NoiseAwareRecovery(solver="exact"),
            "message_smoothing": MessageSmoothing(solver="exact"),
            "cluster_matching": ClusterMatching(solver="exact"),
            "known_encoder": KnownEncoder(solver="exact"),
            "repeated": RepeatedObservation(),
            "repeated_named": RepeatedObservation(named_per_class=1),
        },
        num_trials=2 if small else 10,
    )
