"""What defenses of updates hide of label counts, MNIST, untrained networks.

Noise, clipping, pruning, signs, LLG's compression as it was released, and secure
aggregation of ten participants; attackers who ignore the defense and one who knows it.
"""

from typing import Literal

import _llg

from vfljax.attacks import LLG, LLGPlus
from vfljax.experiments import Experiment, Variant
from vfljax.protocol import FederatedSGD


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """A hundred batches of 8, 32 and 128; small: twelve of 8."""
    small = scale == "small"
    aggregated = FederatedSGD(
        num_participants=100, participants_per_round=10, secure_aggregation=True
    )
    return Experiment(
        name="llg_defenses_mnist",
        title="Label counts from defended updates, MNIST, non-IID batches",
        data=_llg.mnist(),
        model=_llg.NETWORK,
        variants={
            "one update": Variant(protocol=_llg.PROTOCOL),
            "ten aggregated": Variant(protocol=aggregated),
        },
        batch_sizes=(8,) if small else (8, 32, 128),
        defenses=_llg.defenses(small),
        attacks={
            "llg": LLG(),
            "llg_plus": LLGPlus(),
            **_llg.strongest(300 if small else None),
        },
        num_trials=12 if small else 100,
        execution=_llg.AT_ONCE,
    )
