"""Labels and embeddings of single samples from a trained network's gradient, MNIST.

Head decoupling and joint factorization read the gradient of the last layer alone, in
float32, at the start and along training, beside the best that counts labels: which
samples they recover, and which they certify without having seen the truth.
"""

from typing import Literal

import _llg

from vfljax.attacks import LLG, CalibratedCounts, HeadDecoupling, JointFactorization
from vfljax.experiments import Execution, Experiment


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Twenty trainings of 10,000 rounds; small: four of 1,000, decoupling alone."""
    small = scale == "small"
    steps = (0, 1000) if small else (0, 1000, 10_000)
    counting = {"llg": LLG(), "calibrated": CalibratedCounts(num_simulations=300)}
    joint = {} if small else {"joint": JointFactorization()}
    return Experiment(
        name="head_training_mnist",
        title="Samples recovered from the last layer's gradient along training, MNIST",
        data=_llg.mnist(_llg.IID),
        model=_llg.NETWORK,
        protocol=_llg.PROTOCOL,
        training=_llg.training(steps[-1]),
        train_steps=steps,
        batch_sizes=(4,) if small else (2, 4, 6),
        attacks={"decoupling": HeadDecoupling(), **joint, **counting},
        num_trials=4 if small else 20,
        execution=Execution(chunk_size=4 if small else 20),
    )
