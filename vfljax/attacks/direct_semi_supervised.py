"""What a few known labels are worth without federated learning: the baseline.

The same network and the same MixMatch as model completion, but from fresh weights, all
of them trained: what model completion finds beyond this is what the training leaked.
Fu et al. (USENIX Security 2022), there for CIFAR-10 alone and not in the released code.
"""

import dataclasses
from typing import Any

from jaxtyping import Array, Key

from vfljax.attacks.base import Inference
from vfljax.attacks.completing import CompletesModel, complete
from vfljax.attacks.mixmatch import LabeledRows
from vfljax.known import NOTHING, Known
from vfljax.protocol import TrainedModelView


@dataclasses.dataclass(frozen=True, kw_only=True)
class DirectSemiSupervised(CompletesModel):
    """The same few labels and features without federated learning: the baseline."""

    family = "direct"

    def __call__(self, key, view, known: Known = NOTHING) -> Inference:
        """Labels the view's samples, and further ones where it has their features."""
        return direct_semi_supervised(key, view, **self.options(known))


def direct_semi_supervised(
    key: Key[Array, ""], view: TrainedModelView, known: LabeledRows, **options: Any
) -> Inference:
    """Infers labels from the adversary's features and known labels alone.

    As `model_completion`, with its other options, but the key is of fresh weights too,
    and of the view only features and architecture are used.
    """
    return complete(
        key, view, known, start=None, is_bottom_trained=True, mix="input", **options
    )
