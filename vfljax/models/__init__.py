"""Networks, each handed out as a `PartyModel`; flax is imported nowhere else."""

from vfljax.models.base import (
    EVALUATION,
    Forward,
    Params,
    PartyModel,
    Statistics,
    embed,
    embed_in_parts,
    init_statistics,
    run,
)
from vfljax.models.bert_weights import put_in, read_bert
from vfljax.models.cnn import LeNet, SigmoidCNN
from vfljax.models.completion import completed, completion_head
from vfljax.models.encoder import TextEncoder, text_encoder
from vfljax.models.faces import FaceCNN, FaceVGG
from vfljax.models.grad_cam import grad_cam
from vfljax.models.gru import GRUClassifier
from vfljax.models.mlp import MLP, mlp
from vfljax.models.network import Given, Network, as_network
from vfljax.models.resnet import ResNet, ResNet18, resnet, resnet18
from vfljax.models.stateful import batch_norm, from_linen, is_dropping, stateful_model
from vfljax.models.text_cnn import TextCNN
from vfljax.models.tops import Top, top_mlp

__all__ = [
    "EVALUATION",
    "MLP",
    "FaceCNN",
    "FaceVGG",
    "Forward",
    "GRUClassifier",
    "Given",
    "LeNet",
    "Network",
    "Params",
    "PartyModel",
    "ResNet",
    "ResNet18",
    "SigmoidCNN",
    "Statistics",
    "TextCNN",
    "TextEncoder",
    "Top",
    "as_network",
    "batch_norm",
    "completed",
    "completion_head",
    "embed",
    "embed_in_parts",
    "from_linen",
    "grad_cam",
    "init_statistics",
    "is_dropping",
    "mlp",
    "put_in",
    "read_bert",
    "resnet",
    "resnet18",
    "run",
    "stateful_model",
    "text_encoder",
    "top_mlp",
]
