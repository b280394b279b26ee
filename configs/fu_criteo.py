"""Fu et al., Criteo: passive and active model completion with 50 labels per class.

Two halves of 8,192 hashed features; 4096-64-16-4 perceptrons, a top of 8-8-4-2, SGD .05
with momentum .5, batches of 1,000. Norm and direction scoring of the messages beside
them, before, in the middle of and after training. The published set is 100,000 rows in
which labels alternate; ours is balanced and shuffled, of the same size where the user
has the full file.
"""

from typing import Literal

import _fu

from vfljax.attacks import DirectionScoring, NormScoring
from vfljax.experiments import Experiment


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Seven epochs of 80,000 rows; small: of the sample's 3,491, batches of 100."""
    small = scale == "small"
    steps = _fu.criteo_training(small).steps
    return _fu.criteo_experiment(
        small,
        name="fu_criteo",
        title="Criteo, two halves of the features: label inference from a bottom model",
        train_steps=(0, steps // 2, steps),
        attacks={
            **_fu.three_attacks(small, known_per_class=50, **_fu.criteo_epochs(small)),
            "norm_scoring": NormScoring(),
            "direction_scoring": DirectionScoring(),
        },
    )
