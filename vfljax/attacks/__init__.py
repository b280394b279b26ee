"""Attacks: a record and a pure function of a view each, one method per file.

All raise a `ValueError` for an option or noise scale outside its range, for arrays
whose shapes do not fit, and for a view whose parts do not fit together.
"""

from vfljax.attacks.active_property import ActivePropertyInference
from vfljax.attacks.base import (
    Attack,
    CountInference,
    Inference,
    MembershipInference,
    RoundInference,
    check_attack,
    inference_from_scores,
)
from vfljax.attacks.calibrated_counts import CalibratedCounts
from vfljax.attacks.cluster_matching import ClusterMatching, cluster_matching
from vfljax.attacks.clustering import cluster_rows
from vfljax.attacks.completing import CompletionInfo
from vfljax.attacks.counting import count_inference, round_counts
from vfljax.attacks.direct_inference import DirectInference, direct_inference
from vfljax.attacks.direct_semi_supervised import (
    DirectSemiSupervised,
    direct_semi_supervised,
)
from vfljax.attacks.direction_scoring import DirectionScoring, direction_scoring
from vfljax.attacks.entry_filtering import EntryFiltering, entry_filtering
from vfljax.attacks.gradient_inversion import (
    GradientInversion,
    gradient_inversion,
    make_inversion,
)
from vfljax.attacks.head_answers import HeadInfo
from vfljax.attacks.head_decoupling import HeadDecoupling
from vfljax.attacks.idlg import IDLG
from vfljax.attacks.ilrg import ILRG
from vfljax.attacks.joint_factorization import JointFactorization
from vfljax.attacks.known_encoder import KnownEncoder, known_encoder
from vfljax.attacks.label_count_least_squares import LabelCountLeastSquares
from vfljax.attacks.label_flip import LabelFlip, label_flip
from vfljax.attacks.label_replacement import LabelReplacement, label_replacement
from vfljax.attacks.linear_recovery import LinearRecovery, linear_recovery
from vfljax.attacks.llg import LLG, LLGPlus, LLGStar
from vfljax.attacks.membership import MembershipFromEmbedding, TokensPresent
from vfljax.attacks.message_smoothing import MessageSmoothing, message_smoothing
from vfljax.attacks.mixmatch import LabeledRows, MixMatch
from vfljax.attacks.model_completion import ModelCompletion, model_completion
from vfljax.attacks.noise_aware_recovery import (
    NoiseAwareRecovery,
    noise_aware_recovery,
)
from vfljax.attacks.norm_scoring import NormScoring, norm_scoring
from vfljax.attacks.own_prediction import OwnPrediction, own_prediction
from vfljax.attacks.property_counts import PropertyCountReader, PropertyCounts
from vfljax.attacks.property_inference import PropertyInference, PropertyReader
from vfljax.attacks.repeated_observation import (
    RepeatedObservation,
    repeated_observation,
)
from vfljax.attacks.rlu import RLU
from vfljax.attacks.smallest_columns import SmallestColumns
from vfljax.attacks.watching import Reader, read_rounds
from vfljax.known import NOTHING, Known

__all__ = [
    "IDLG",
    "ILRG",
    "LLG",
    "NOTHING",
    "RLU",
    "ActivePropertyInference",
    "Attack",
    "CalibratedCounts",
    "ClusterMatching",
    "CompletionInfo",
    "CountInference",
    "DirectInference",
    "DirectSemiSupervised",
    "DirectionScoring",
    "EntryFiltering",
    "GradientInversion",
    "HeadDecoupling",
    "HeadInfo",
    "Inference",
    "JointFactorization",
    "Known",
    "KnownEncoder",
    "LLGPlus",
    "LLGStar",
    "LabelCountLeastSquares",
    "LabelFlip",
    "LabelReplacement",
    "LabeledRows",
    "LinearRecovery",
    "MembershipFromEmbedding",
    "MembershipInference",
    "MessageSmoothing",
    "MixMatch",
    "ModelCompletion",
    "NoiseAwareRecovery",
    "NormScoring",
    "OwnPrediction",
    "PropertyCountReader",
    "PropertyCounts",
    "PropertyInference",
    "PropertyReader",
    "Reader",
    "RepeatedObservation",
    "RoundInference",
    "SmallestColumns",
    "TokensPresent",
    "check_attack",
    "cluster_matching",
    "cluster_rows",
    "count_inference",
    "direct_inference",
    "direct_semi_supervised",
    "direction_scoring",
    "entry_filtering",
    "gradient_inversion",
    "inference_from_scores",
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
    "read_rounds",
    "repeated_observation",
    "round_counts",
]
