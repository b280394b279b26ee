"""Typed experiments, trials as pure functions, sweeps over them, and run folders."""

from vfljax.experiments.records import Run, RunFolderError, read_run
from vfljax.experiments.schema import (
    MLP,
    Data,
    DirectInference,
    DiscreteSGD,
    DPGaussian,
    DPLaplace,
    Execution,
    Experiment,
    GradientInversion,
    LinearRecovery,
    NoDefense,
    Sparsification,
    Training,
)
from vfljax.experiments.sweep import Progress, run_sweep

__all__ = [
    "MLP",
    "DPGaussian",
    "DPLaplace",
    "Data",
    "DirectInference",
    "DiscreteSGD",
    "Execution",
    "Experiment",
    "GradientInversion",
    "LinearRecovery",
    "NoDefense",
    "Progress",
    "Run",
    "RunFolderError",
    "Sparsification",
    "Training",
    "read_run",
    "run_sweep",
]
