"""Typed experiments, trials as pure functions, sweeps over them, and run folders."""

from vfljax.experiments.encryption import Encryption
from vfljax.experiments.experiment import Data, Execution, Experiment, Variant
from vfljax.experiments.folders import RunFolderError
from vfljax.experiments.horizontal import Horizontal, TargetProperty
from vfljax.experiments.records import Run, read_frame, read_run
from vfljax.experiments.sweep import Progress, run_sweep
from vfljax.experiments.training import Training

__all__ = [
    "Data",
    "Encryption",
    "Execution",
    "Experiment",
    "Horizontal",
    "Progress",
    "Run",
    "RunFolderError",
    "TargetProperty",
    "Training",
    "Variant",
    "read_frame",
    "read_run",
    "run_sweep",
]
