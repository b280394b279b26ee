"""What doesn't fit the data is said before anything runs or is written."""

import pytest

from vfljax import data
from vfljax.attacks import ClusterMatching, DirectInference, ModelCompletion
from vfljax.defenses import Marvell
from vfljax.experiments import Data, Experiment, Training, run_sweep
from vfljax.models import Top
from vfljax.protocol import ModelSplitting

SETTINGS = {
    "name": "test",
    "training": Training(steps=20, batch_size=32),
    "batch_sizes": (16,),
    "train_steps": (0, 20),
    "attacks": {"direct": DirectInference()},
}


@pytest.fixture(scope="module")
def dataset():
    return data.load("digits")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_sizes": (1500, 16)}, "batch_sizes=1500: larger than the data set"),
        (
            {"training": Training(steps=20, batch_size=1500)},
            "training.batch_size=1500: larger than the data set",
        ),
        (
            {"data": Data(class_counts=(2, 11), class_choice="first")},
            "data.class_counts=11: digits has 10 classes",
        ),
        (
            {"defenses": {"m": Marvell()}},
            "defenses.m: is for 2 classes, this run has 10",
        ),
        (
            {
                "defenses": {"m": Marvell()},
                "data": Data(class_counts=(2, 3)),
                "training": Training(),
                "train_steps": (0,),
            },
            "defenses.m: is for 2 classes, this run has 3",
        ),
        (
            {"attacks": {"c": ClusterMatching(named_per_class=2)}},
            "attacks.c.named_per_class=2: leaves nothing to infer in a batch of 16",
        ),
        (
            {"protocol": ModelSplitting(top=Top())},
            "attacks.direct=DirectInference: must be one that needs no sum of logits",
        ),
        (
            {
                "attacks": {"c": ModelCompletion()},
                "protocol": ModelSplitting(top=Top()),
                "training": Training(),
                "train_steps": (0,),
            },
            "training.steps=0: must be >= 1 for attacks.c, which sees a trained model",
        ),
        ({"data": Data(num_parties=9)}, "num_parties=9: must be at most 8"),
        (
            {"data": Data(columns=("0,1", "1,2"))},
            r"split\[1\]=1: must be a column of one",
        ),
        (
            {"data": Data(class_counts=(2, 10))},
            "data.class_choice='random': must be 'first'",
        ),
    ],
)
def test_what_does_not_fit_the_data(changes, message, dataset, tmp_path):
    with pytest.raises(ValueError, match=message):
        list(
            run_sweep(Experiment(**{**SETTINGS, **changes}), dataset, tmp_path / "run")
        )
    assert not (tmp_path / "run").exists()
