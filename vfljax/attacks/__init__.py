"""Attacks: each a pure function of a view, one method per file."""

from vfljax.attacks.base import Inference
from vfljax.attacks.direct_inference import direct_inference
from vfljax.attacks.gradient_inversion import gradient_inversion, make_inversion
from vfljax.attacks.linear_recovery import linear_recovery

__all__ = [
    "Inference",
    "direct_inference",
    "gradient_inversion",
    "linear_recovery",
    "make_inversion",
]
