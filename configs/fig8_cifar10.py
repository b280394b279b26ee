"""Figure 8 of Zou et al., panels of label inference: direct and batch-level, CIFAR-10.

Left and right halves and ResNet-20, as in the comparison with model completion; the
small scale has perceptrons of one hidden layer of 128. Both protocols, step 0.
"""

from typing import Literal

import _zou

from vfljax.attacks import (
    ClusterMatching,
    DirectInference,
    EntryFiltering,
    MessageSmoothing,
)
from vfljax.experiments import Data, Experiment, Training
from vfljax.models import MLP, ResNet


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Batches of 2,048; small: of 512 attacked, of 256 trained on for two epochs."""
    small = scale == "small"
    return Experiment(
        name="fig8_cifar10",
        title="CIFAR-10, left and right halves: direct and batch-level label inference",
        data=Data(dataset="cifar10", split="columns"),
        model=MLP(hidden=(128,)) if small else ResNet(),
        training=Training(
            steps=400 if small else 2400,
            batch_size=256 if small else 2048,
            learning_rate=0.001,
        ),
        batch_sizes=(512 if small else 2048,),
        defenses=_zou.comparison_defenses(small),
        attacks={
            "direct_inference": DirectInference(),
            "smoothing_direct": MessageSmoothing(of=DirectInference()),
            "filtering_direct": EntryFiltering(),
            "cluster_direct": ClusterMatching(of=DirectInference()),
            **_zou.attacks(200, iterations=200),
        },
        num_trials=2 if small else 10,
    )
