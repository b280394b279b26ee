"""Zou et al.'s protocol on real ciphertexts: who learns what, and does it leak?

MNIST halves, one linear layer on each, exact mode. The attacks get what the passive
party decrypted; the weights should be those of the plain training, and so should the
views be. Attackers who know the defense find as much here as in the simulation. A
second training has a backdoor: in every batch the passive party replaces one ciphertext
row by that of a target sample, ten times, and leaves the latter out (Algorithm 3).
"""

from typing import Literal

from vfljax.attacks import (
    ClusterMatching,
    GradientInversion,
    LabelReplacement,
    LinearRecovery,
    MessageSmoothing,
)
from vfljax.experiments import Data, Encryption, Experiment, Training
from vfljax.models import MLP


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Ten steps with batches of 128; small: three of 16, in the compact layout."""
    small = scale == "small"
    steps, batch_size = (3, 16) if small else (10, 128)
    return Experiment(
        name="encrypted_mnist",
        title="MNIST halves, trained on ciphertexts",
        data=Data(dataset="mnist", split="rows", adversary=1, label_party=0),
        model=MLP(hidden=()),
        training=Training(
            steps=steps, batch_size=batch_size, optimizer="sgd", learning_rate=0.1
        ),
        encryption=Encryption(layout="compact" if small else "row"),
        train_steps=(0, steps - 1),
        batch_sizes=(batch_size,),
        attacks={
            "linear_recovery": LinearRecovery(),
            "gradient_inversion": GradientInversion(steps=500 if small else 10_000),
            "message_smoothing": MessageSmoothing(),
            "cluster_matching": ClusterMatching(),
            "replacement": LabelReplacement(
                trigger="mnist",
                num_poisoned=steps,
                target_class=0,
                batches="extended",
                amplification=10,
            ),
        },
        num_trials=1 if small else 2,
    )
