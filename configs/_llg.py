"""What the configs of label counts have in common: LLG's setting on MNIST.

Wainakh et al., "User-Level Label Leakage from Gradients in Federated Learning" (PoPETs
2022): the sigmoid CNN with every weight and bias uniform in ±0.5, SGD with rate 0.1,
batches whose labels are uniform (IID) or half of one class and a quarter of another
(non-IID), 100 batches for each setting. Each trial has its own network and batch.
"""

import dataclasses
import math
from typing import Any

from vfljax.attacks import (
    LLG,
    CalibratedCounts,
    LabelCountLeastSquares,
    LLGPlus,
    LLGStar,
)
from vfljax.defenses import (
    DPGaussian,
    ExampleClipping,
    NoDefense,
    PerTensor,
    ReleasedCompression,
    Signs,
    Sparsification,
)
from vfljax.experiments import Data, Execution, Horizontal, Training, Variant
from vfljax.models import SigmoidCNN
from vfljax.protocol import FederatedAveraging, FederatedSGD

NETWORK = SigmoidCNN(start_bound=0.5)
NON_IID = Horizontal(batch_labels="skewed")
IID = dataclasses.replace(NON_IID, batch_labels="uniform")
PROTOCOL = FederatedSGD(num_participants=100, participants_per_round=1)
AT_ONCE = Execution(chunk_size=100)
LOCAL_RATES = (0.0001, 0.001, 0.01, 0.1)


def mnist(horizontal: Horizontal = NON_IID) -> Data:
    """MNIST; the attackers' samples are of its test part."""
    return Data(dataset="mnist", horizontal=horizontal)


def training(steps: int, **options: Any) -> Training:
    """One participant's batch of eight in each round, SGD with rate 0.1."""
    return Training(
        steps=steps, batch_size=8, optimizer="sgd", learning_rate=0.1, **options
    )


def both_kinds() -> dict[str, Variant]:
    """IID and non-IID batches."""
    return {"IID": Variant(data=mnist(IID)), "non-IID": Variant(data=mnist())}


def published() -> dict[str, Any]:
    """The variants of LLG, with each dummy."""
    return {
        "llg": LLG(),
        "llg_star_zero": LLGStar(dummy="zero"),
        "llg_star_one": LLGStar(dummy="one"),
        "llg_star_random": LLGStar(dummy="random"),
        "llg_plus": LLGPlus(),
    }


def both_readings() -> dict[str, Any]:
    """Attacks on several local steps, with consistent and with released scales."""
    return {
        "llg": LLG(),
        "llg_plus": LLGPlus(),
        "llg_plus_released": LLGPlus(reading="released"),
        "llg_star_zero": LLGStar(dummy="zero"),
        "llg_star_zero_released": LLGStar(dummy="zero", reading="released"),
    }


def local_steps(
    numbers: tuple[int, ...], rates: tuple[float, ...]
) -> dict[str, Variant]:
    """FedAvg with so many local steps of each rate, one participant in a round."""
    return {
        f"{number} steps, rate {rate:g}": Variant(
            protocol=FederatedAveraging(
                num_participants=100,
                participants_per_round=1,
                local_steps=number,
                local_learning_rate=rate,
            )
        )
        for number in numbers
        for rate in rates
    }


def strongest(num_simulations: int | None = None) -> dict[str, Any]:
    """The two that need no calibration by hand."""
    options: dict[str, Any] = (
        {} if num_simulations is None else {"num_simulations": num_simulations}
    )
    return {
        "least_squares": LabelCountLeastSquares(),
        "calibrated": CalibratedCounts(**options),
    }


def defenses(small: bool) -> dict[str, Any]:
    """Those of updates, with a swept axis each."""
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
            withheld=(0.4,) if small else (0.2, 0.4, 0.8)
        ),
        "signs": Signs(),
    }
