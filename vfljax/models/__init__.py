"""Networks, each handed out as a `PartyModel`; flax is imported nowhere else."""

from vfljax.models.base import (
    Forward,
    Params,
    PartyModel,
    Statistics,
    embed,
    init_statistics,
    run,
)
from vfljax.models.mlp import mlp

__all__ = [
    "Forward",
    "Params",
    "PartyModel",
    "Statistics",
    "embed",
    "init_statistics",
    "mlp",
    "run",
]
