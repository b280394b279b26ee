"""What label counts leak from one gradient: variants of LLG by batch size, MNIST.

Untrained networks, IID and non-IID batches of 1 to 128, every variant, the baselines
iLRG and RLU, and least squares on the simplex.
"""

from typing import Literal

import _llg

from vfljax.attacks import ILRG, RLU, LabelCountLeastSquares
from vfljax.experiments import Experiment


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """A hundred batches for each setting; small: twenty, of fewer sizes."""
    small = scale == "small"
    return Experiment(
        name="llg_variants_mnist",
        title="Label counts from one gradient of an untrained network, MNIST",
        data=_llg.mnist(),
        model=_llg.NETWORK,
        protocol=_llg.PROTOCOL,
        variants=_llg.both_kinds(),
        batch_sizes=(2, 8, 32) if small else (1, 2, 4, 8, 16, 32, 64, 128),
        attacks=_llg.published()
        | {
            "ilrg": ILRG(),
            "rlu": RLU(),
            "least_squares": LabelCountLeastSquares(),
        },
        num_trials=20 if small else 100,
        execution=_llg.AT_ONCE,
    )
