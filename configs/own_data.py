"""A table of one's own: a CSV file, two companies with some of its columns each.

The file stands in for yours: scikit-learn's copy of the Wisconsin breast cancer data,
569 patients, thirty measurements and in the last column the diagnosis. The first party
has ten of the measurements, the second one twenty and the diagnosis.
"""

from pathlib import Path
from typing import Literal

import polars as pl
import sklearn.datasets

from vfljax import data
from vfljax.attacks import ClusterMatching, DirectInference, LinearRecovery
from vfljax.defenses import DPGaussian, NoDefense
from vfljax.experiments import Data, Experiment, Training

_FILE = Path(sklearn.datasets.__file__).parent / "data" / "breast_cancer.csv"


def _read() -> data.Dataset:
    """The table with its columns scaled; a fifth of the patients is for testing."""
    table = pl.read_csv(_FILE, skip_rows=1, has_header=False)
    *measurements, diagnosis = table.columns
    features = table.select(measurements).to_numpy()
    return data.from_arrays(
        (features - features.mean(axis=0)) / features.std(axis=0),
        table.get_column(diagnosis).to_numpy(),
        name="patients",
        class_names=("malignant", "benign"),
        origin=f"{_FILE.name}, a table of one's own",
    )


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Batches of 64 at step 0, 300 steps; small: two trials of 100 steps."""
    small = scale == "small"
    return Experiment(
        name="own_data",
        title="A table of patients: do ten measurements give the diagnosis away?",
        data=Data(dataset=_read(), columns=("0-9", "10-29")),
        training=Training(
            steps=100 if small else 300, batch_size=64, learning_rate=0.01
        ),
        batch_sizes=(64,),
        defenses={
            "none": NoDefense(),
            "dp_gaussian": DPGaussian(noise_std=(0.003, 0.03)),
        },
        attacks={
            "direct_inference": DirectInference(),
            "linear_recovery": LinearRecovery(),
            "cluster_matching": ClusterMatching(),
        },
        num_trials=2 if small else 10,
    )
