"""Table 6 of Fu et al.: defenses against direct label inference, on MNIST-size models.

Their defenses in their released reading, batches of 32, direct inference over the first
epoch. The published rates read the *first* negative entry of a message; the most
negative one, beside it, is what an attacker would read.
"""

from typing import Literal

from vfljax.experiments import (
    PPDL,
    Data,
    DirectInference,
    DiscreteSGD,
    DPLaplace,
    Experiment,
    GradientCompression,
    MessageSmoothing,
    NoDefense,
    RepeatedObservation,
    Training,
)


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """One epoch, 1,875 steps, seen at eight of them; small: 450 steps, at four."""
    small = scale == "small"
    steps = (0, 30, 150, 450) if small else (0, 30, 150, 450, 750, 1100, 1500, 1870)
    return Experiment(
        name="fu_table6_mnist",
        title="MNIST halves, batches of 32: direct inference in the first epoch",
        data=Data(dataset="mnist", split="columns"),
        training=Training(
            steps=steps[-1],
            batch_size=32,
            optimizer="sgd",
            learning_rate=0.05,
            momentum=0.9,
        ),
        train_steps=steps,
        same_samples=True,
        batch_sizes=(32,),
        defenses={
            "none": NoDefense(),
            "noisy_gradients": DPLaplace(
                strengths=(1e-4, 1e-3, 1e-2, 1e-1),
                clip_norm=float("inf"),
                reading="released",
                covers_label_party=True,
            ),
            "gradient_compression": GradientCompression(reading="released"),
            "ppdl": PPDL(),
            "discrete_sgd": DiscreteSGD(reading="released", bound=0.03),
        },
        attacks={
            "direct_inference": DirectInference(),
            "message_smoothing": MessageSmoothing(view="sample_gradient"),
            "repeated": RepeatedObservation(of="direct_inference"),
        },
        num_trials=20 if small else 50,
    )
