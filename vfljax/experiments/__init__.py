"""Typed experiments, trials as pure functions, sweeps over them, and run folders."""

from vfljax.experiments.attack_specs import (
    ClusterMatching,
    DirectInference,
    GradientInversion,
    KnownEncoder,
    LinearRecovery,
    MessageSmoothing,
    NoiseAwareRecovery,
    OwnPrediction,
    RepeatedObservation,
)
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
from vfljax.experiments.records import Run, RunFolderError, read_run
from vfljax.experiments.schema import MLP, Data, Execution, Experiment, Training
from vfljax.experiments.sweep import Progress, run_sweep

__all__ = [
    "CAE",
    "DCAE",
    "MLP",
    "PPDL",
    "ClusterMatching",
    "DPGaussian",
    "DPLaplace",
    "Data",
    "DirectInference",
    "DiscreteSGD",
    "Execution",
    "Experiment",
    "GradientCompression",
    "GradientInversion",
    "Isotropic",
    "KnownEncoder",
    "LinearRecovery",
    "Marvell",
    "MaxNorm",
    "MessageSmoothing",
    "NoDefense",
    "NoiseAwareRecovery",
    "OwnPrediction",
    "Progress",
    "RepeatedObservation",
    "Run",
    "RunFolderError",
    "Sparsification",
    "Training",
    "read_run",
    "run_sweep",
]
