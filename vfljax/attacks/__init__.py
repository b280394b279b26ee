"""Attacks: each a pure function of a view, one method per file."""

from vfljax.attacks.base import Inference
from vfljax.attacks.cluster_matching import cluster_matching, cluster_rows
from vfljax.attacks.completing import CompletionInfo
from vfljax.attacks.direct_inference import direct_inference
from vfljax.attacks.direct_semi_supervised import direct_semi_supervised
from vfljax.attacks.direction_scoring import direction_scoring
from vfljax.attacks.entry_filtering import entry_filtering
from vfljax.attacks.gradient_inversion import gradient_inversion, make_inversion
from vfljax.attacks.known_encoder import known_encoder
from vfljax.attacks.label_flip import label_flip
from vfljax.attacks.label_replacement import label_replacement
from vfljax.attacks.linear_recovery import linear_recovery
from vfljax.attacks.message_smoothing import message_smoothing
from vfljax.attacks.mixmatch import LabeledRows, MixMatch
from vfljax.attacks.model_completion import model_completion
from vfljax.attacks.noise_aware_recovery import noise_aware_recovery
from vfljax.attacks.norm_scoring import norm_scoring
from vfljax.attacks.own_prediction import own_prediction
from vfljax.attacks.repeated_observation import repeated_observation

__all__ = [
    "CompletionInfo",
    "Inference",
    "LabeledRows",
    "MixMatch",
    "cluster_matching",
    "cluster_rows",
    "direct_inference",
    "direct_semi_supervised",
    "direction_scoring",
    "entry_filtering",
    "gradient_inversion",
    "known_encoder",
    "label_flip",
    "label_replacement",
    "linear_recovery",
    "make_inversion",
    "message_smoothing",
    "model_completion",
    "noise_aware_recovery",
    "norm_scoring",
    "own_prediction",
    "repeated_observation",
]
