"""Who computes what, what crosses between the parties, and who sees which part."""

from vfljax.models import PartyModel
from vfljax.protocol.vertical import (
    ProtocolState,
    Transcript,
    VerticalProtocol,
    epoch_batches,
    sum_of_logits,
    train,
)
from vfljax.protocol.views import (
    BatchGradientView,
    SampleGradientView,
    batch_gradient_view,
    check_view,
    sample_gradient_view,
)

__all__ = [
    "BatchGradientView",
    "PartyModel",
    "ProtocolState",
    "SampleGradientView",
    "Transcript",
    "VerticalProtocol",
    "batch_gradient_view",
    "check_view",
    "epoch_batches",
    "sample_gradient_view",
    "sum_of_logits",
    "train",
]
