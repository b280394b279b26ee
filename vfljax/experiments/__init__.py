"""Typed experiments, trials as pure functions, sweeps over them, and run folders."""

from vfljax.experiments.attack_specs import (
    ClusterMatching,
    DirectInference,
    DirectionScoring,
    EntryFiltering,
    GradientInversion,
    KnownEncoder,
    LinearRecovery,
    MessageSmoothing,
    NoiseAwareRecovery,
    NormScoring,
    OwnPrediction,
    RepeatedObservation,
)
from vfljax.experiments.backdoor_specs import LabelFlip, LabelReplacement
from vfljax.experiments.chain_spec import Chain
from vfljax.experiments.completion_specs import DirectSemiSupervised, ModelCompletion
from vfljax.experiments.defense_specs import (
    CAE,
    DCAE,
    PPDL,
    DiscreteSGD,
    DPGaussian,
    DPLaplace,
    GradientCompression,
    Isotropic,
    Marvell,
    MaxNorm,
    NoDefense,
    Sparsification,
)
from vfljax.experiments.encrypted import (
    EncryptedRun,
    is_encrypted,
    read_encrypted,
    run_encrypted,
)
from vfljax.experiments.folders import RunFolderError
from vfljax.experiments.model_specs import MLP, ResNet, ResNet18, TextEncoder, Top
from vfljax.experiments.records import Run, read_run
from vfljax.experiments.schema import Data, Execution, Experiment, Variant
from vfljax.experiments.sweep import Progress, run_sweep
from vfljax.experiments.training_spec import Training

__all__ = [
    "CAE",
    "DCAE",
    "MLP",
    "PPDL",
    "Chain",
    "ClusterMatching",
    "DPGaussian",
    "DPLaplace",
    "Data",
    "DirectInference",
    "DirectSemiSupervised",
    "DirectionScoring",
    "DiscreteSGD",
    "EncryptedRun",
    "EntryFiltering",
    "Execution",
    "Experiment",
    "GradientCompression",
    "GradientInversion",
    "Isotropic",
    "KnownEncoder",
    "LabelFlip",
    "LabelReplacement",
    "LinearRecovery",
    "Marvell",
    "MaxNorm",
    "MessageSmoothing",
    "ModelCompletion",
    "NoDefense",
    "NoiseAwareRecovery",
    "NormScoring",
    "OwnPrediction",
    "Progress",
    "RepeatedObservation",
    "ResNet",
    "ResNet18",
    "Run",
    "RunFolderError",
    "Sparsification",
    "TextEncoder",
    "Top",
    "Training",
    "Variant",
    "is_encrypted",
    "read_encrypted",
    "read_run",
    "run_encrypted",
    "run_sweep",
]
