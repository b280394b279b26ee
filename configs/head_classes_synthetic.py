"""Every sample from the last layer's gradient: against classes and batch size.

Head decoupling solves for each sample's label and embedding, up to batches of half the
number of classes; beyond it has no answer, which counts as a failed trial. Synthetic
data of a hundred classes, of which the first 10 to 100 are used; untrained perceptrons.
"""

from typing import Literal

import numpy as np

from vfljax import data
from vfljax.attacks import LLG, HeadDecoupling
from vfljax.experiments import Data, Execution, Experiment, Horizontal
from vfljax.models import MLP
from vfljax.protocol import FederatedSGD

_CLASSES, _WIDTH, _EACH = 100, 32, 40


def _synthetic() -> data.Dataset:
    """Gaussian samples around a random center for each class."""
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(_CLASSES), _EACH)
    centers = generator.normal(size=(_CLASSES, _WIDTH))
    features = centers[labels] + 0.7 * generator.normal(size=(len(labels), _WIDTH))
    return data.from_arrays(features, labels, name="synthetic")


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Ten batches for each setting; small: two of two numbers of classes."""
    small = scale == "small"
    return Experiment(
        name="head_classes_synthetic",
        title="Samples recovered from the last layer's gradient, synthetic classes",
        data=Data(
            dataset=_synthetic(),
            class_counts=(10, 20) if small else (10, 20, 50, 100),
            class_choice="first",
            horizontal=Horizontal(auxiliary_samples=0),
        ),
        model=MLP(hidden=(64,)),
        protocol=FederatedSGD(num_participants=1),
        batch_sizes=(4, 8) if small else (4, 8, 16, 32, 45),
        attacks={"decoupling": HeadDecoupling(), "llg": LLG()},
        num_trials=2 if small else 10,
        execution=Execution(chunk_size=2),
    )
