"""What defenses of updates hide of label counts, MNIST, untrained networks.

Noise, clipping, pruning, signs, LLG's compression as it was released, and secure
aggregation of ten participants; attackers who ignore the defense and one who knows it.
"""

import math
from typing import Literal

import _llg

from vfljax.attacks import LLG, LLGPlus
from vfljax.defenses import (
    DPGaussian,
    ExampleClipping,
    NoDefense,
    PerTensor,
    ReleasedCompression,
    Signs,
    Sparsification,
)
from vfljax.experiments import Experiment, Variant
from vfljax.protocol import FederatedSGD


def defenses(small: bool):
    """By label; a swept axis each."""
    noise = (0.1, 1.0) if small else (0.01, 0.1, 1.0)
    clips = (1.0,) if small else (1.0, 5.0, 10.0)
    kept = (0.2, 0.01) if small else (0.8, 0.6, 0.2, 0.01)
    clipped = {
        f"clip_{norm:g}_noise": PerTensor(
            of=DPGaussian(noise_std=(0.1,), clip_norm=norm)
        )
        for norm in clips
    }
    return {
        "none": NoDefense(),
        "noise": DPGaussian(noise_std=noise, clip_norm=math.inf),
        **clipped,
        "example_clip_noise": ExampleClipping(clip_norm=1.0, noise_multiplier=(1.0,)),
        "pruning": Sparsification(keep_fraction=kept),
        "pruning_per_layer": PerTensor(of=Sparsification(keep_fraction=kept)),
        "released_compression": ReleasedCompression(
            layer="output", withheld=(0.4,) if small else (0.2, 0.4, 0.8)
        ),
        "signs": Signs(),
    }


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
        defenses=defenses(small),
        attacks={
            "llg": LLG(),
            "llg_plus": LLGPlus(),
            **_llg.strongest(300 if small else None),
        },
        num_trials=12 if small else 100,
        execution=_llg.AT_ONCE,
    )
