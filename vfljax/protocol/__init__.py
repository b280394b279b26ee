"""Who computes what, what crosses between the parties, and who sees which part."""

from vfljax.models import PartyModel
from vfljax.protocol.federated import FederatedAveraging, FederatedSGD
from vfljax.protocol.federated_training import keep_view, train_rounds
from vfljax.protocol.interference import (
    HONEST,
    AdversaryOptimizer,
    Interference,
    Manipulation,
    Scene,
    Upload,
)
from vfljax.protocol.records import ProtocolState, Transcript
from vfljax.protocol.rounds import (
    Batches,
    FederatedProtocol,
    FederatedState,
    FederatedTranscript,
)
from vfljax.protocol.step import VerticalProtocol
from vfljax.protocol.training import epoch_batches, train
from vfljax.protocol.updates import (
    UpdateView,
    batch_gradient,
    check_update,
    head_of,
    inputs_of_head,
    local_update,
)
from vfljax.protocol.vertical import (
    ModelSplitting,
    SumOfLogits,
    model_splitting,
    sum_of_logits,
)
from vfljax.protocol.views import (
    BatchGradientView,
    PredictionView,
    SampleGradientView,
    TrainedModelView,
    batch_gradient_view,
    check_view,
    make_view,
    own_embedding,
    sample_gradient_view,
    trained_model_view,
)

__all__ = [
    "HONEST",
    "AdversaryOptimizer",
    "BatchGradientView",
    "Batches",
    "FederatedAveraging",
    "FederatedProtocol",
    "FederatedSGD",
    "FederatedState",
    "FederatedTranscript",
    "Interference",
    "Manipulation",
    "ModelSplitting",
    "PartyModel",
    "PredictionView",
    "ProtocolState",
    "SampleGradientView",
    "Scene",
    "SumOfLogits",
    "TrainedModelView",
    "Transcript",
    "UpdateView",
    "Upload",
    "VerticalProtocol",
    "batch_gradient",
    "batch_gradient_view",
    "check_update",
    "check_view",
    "epoch_batches",
    "head_of",
    "inputs_of_head",
    "keep_view",
    "local_update",
    "make_view",
    "model_splitting",
    "own_embedding",
    "sample_gradient_view",
    "sum_of_logits",
    "train",
    "train_rounds",
    "trained_model_view",
]
