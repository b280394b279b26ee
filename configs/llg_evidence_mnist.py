"""What LLG rests on: signs and sizes of row sums against label counts, MNIST.

Of a thousand batches of untrained networks: how often a class with a negative row sum
is there (property 1), and how well row sums tell the counts (property 2), as they are
and without the offset that the other classes' samples add.
"""

from typing import Literal

import _llg

from vfljax.attacks import LLGPlus
from vfljax.experiments import Experiment


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """A thousand batches of four sizes; small: fifty of two."""
    small = scale == "small"
    return Experiment(
        name="llg_evidence_mnist",
        title="Row sums of the last layer's gradient against label counts, MNIST",
        data=_llg.mnist(),
        model=_llg.NETWORK,
        protocol=_llg.PROTOCOL,
        variants=_llg.both_kinds(),
        batch_sizes=(2, 32) if small else (2, 8, 32, 128),
        attacks={"llg_plus": LLGPlus()},
        num_trials=50 if small else 1000,
        execution=_llg.AT_ONCE,
    )
