"""Networks, each handed out as a `PartyModel`; flax is imported nowhere else."""

from vfljax.models.base import Params, PartyModel
from vfljax.models.mlp import mlp

__all__ = ["Params", "PartyModel", "mlp"]
