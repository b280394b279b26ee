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
from vfljax.models.bert_weights import load_bert, put_in, read_bert
from vfljax.models.completion import completed, completion_head
from vfljax.models.encoder import text_encoder
from vfljax.models.grad_cam import grad_cam
from vfljax.models.mlp import mlp
from vfljax.models.resnet import ResNetParts, resnet, resnet18, resnet_parts
from vfljax.models.stateful import batch_norm, is_dropping, stateful_model
from vfljax.models.tops import top_mlp

__all__ = [
    "EVALUATION",
    "Forward",
    "Params",
    "PartyModel",
    "ResNetParts",
    "Statistics",
    "batch_norm",
    "completed",
    "completion_head",
    "embed",
    "embed_in_parts",
    "grad_cam",
    "init_statistics",
    "is_dropping",
    "load_bert",
    "mlp",
    "put_in",
    "read_bert",
    "resnet",
    "resnet18",
    "resnet_parts",
    "run",
    "stateful_model",
    "text_encoder",
    "top_mlp",
]
