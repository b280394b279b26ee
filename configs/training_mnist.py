"""Does a defense hold later in training? Leakage against training step, MNIST.

The same samples are seen at every step, as when epochs repeat. Linear recovery by the
exact solver, as an early-stopped one only makes training look like protection; the
adversary's own bottom model, which needs no gradient at all, beside it.
"""

from typing import Literal

from vfljax.attacks import (
    ClusterMatching,
    KnownEncoder,
    LinearRecovery,
    MessageSmoothing,
    NoiseAwareRecovery,
    OwnPrediction,
    RepeatedObservation,
)
from vfljax.defenses import (
    CAE,
    PPDL,
    Chain,
    DiscreteSGD,
    DPLaplace,
    NoDefense,
    Sparsification,
)
from vfljax.experiments import Data, Experiment, Training


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """SGD .1 in batches of 256; batches of 512 are attacked, 128 when small."""
    small = scale == "small"
    recovery = LinearRecovery(solver="exact")
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
            "dp_laplace": DPLaplace(noise=(1e-3, 1e-2), reading="released"),
            "sparsification": Sparsification(keep_fraction=(0.1, 0.01)),
            "discrete_sgd": DiscreteSGD(bins=(12,)),
            "ppdl": PPDL(release_fraction=(0.5,), exhausted="zero"),
            "cae": CAE(entropy_weight=(0.0, 1.0)),
            "dcae": Chain(CAE(entropy_weight=(1.0,)), DiscreteSGD(bins=12)),
        },
        attacks={
            "linear_recovery": recovery,
            "own_prediction": OwnPrediction(),
            "noise_aware": NoiseAwareRecovery(solver="exact"),
            "message_smoothing": MessageSmoothing(of=recovery),
            "cluster_matching": ClusterMatching(of=recovery),
            "known_encoder": KnownEncoder(of=recovery),
            "repeated": RepeatedObservation(of=recovery),
            "repeated_named": RepeatedObservation(of=recovery, named_per_class=1),
        },
        num_trials=2 if small else 10,
    )
