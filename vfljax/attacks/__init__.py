"""Attacks: each a pure function of a view, one method per file."""

from vfljax.attacks.base import Inference
from vfljax.attacks.cluster_matching import cluster_matching, cluster_rows
from vfljax.attacks.direct_inference import direct_inference
from vfljax.attacks.gradient_inversion import gradient_inversion, make_inversion
from vfljax.attacks.known_encoder import known_encoder
from vfljax.attacks.linear_recovery import linear_recovery
from vfljax.attacks.message_smoothing import message_smoothing
from vfljax.attacks.noise_aware_recovery import noise_aware_recovery
from vfljax.attacks.own_prediction import own_prediction
from vfljax.attacks.repeated_observation import repeated_observation

__all__ = [
    "Inference",
    "cluster_matching",
    "cluster_rows",
    "direct_inference",
    "gradient_inversion",
    "known_encoder",
    "linear_recovery",
    "make_inversion",
    "message_smoothing",
    "noise_aware_recovery",
    "own_prediction",
    "repeated_observation",
]
