"""What a confusional autoencoder costs the main task, and how much chance is in it.

The published main task (Adam .001, batches of 2,048, 30 epochs), undefended and under
CAE with an autoencoder of its own in every trial, trained for ten epochs and for the
released fifty. On the attacked side, what clustering finds at B = 2,048 with one known
sample per class.
"""

from typing import Literal

from vfljax.attacks import ClusterMatching, LinearRecovery
from vfljax.defenses import CAE, NoDefense
from vfljax.experiments import Data, Experiment, Training


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Twenty autoencoders; small: eight, as the table of the configs page has them."""
    num_trials = 8 if scale == "small" else 20
    seeds = tuple(range(num_trials))
    return Experiment(
        name="cae_cost_mnist",
        title="MNIST halves: what confused labels cost the main task",
        data=Data(dataset="mnist", split="rows"),
        training=Training(steps=870, batch_size=2048, learning_rate=0.001),
        batch_sizes=(2048,),
        defenses={
            "none": NoDefense(),
            "cae": CAE(entropy_weight=(0.0, 1.0), seeds=seeds),
            "cae_50_epochs": CAE(entropy_weight=(1.0,), num_epochs=50, seeds=seeds),
        },
        attacks={
            "linear_recovery": LinearRecovery(solver="cg", iterations=1000),
            "cluster_matching": ClusterMatching(
                of=LinearRecovery(solver="cg", iterations=1000)
            ),
        },
        num_trials=num_trials,
    )
