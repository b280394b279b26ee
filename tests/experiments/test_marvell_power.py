"""The power of MARVELL reaches the messages: more of it, fewer labels."""

import numpy as np
import pytest

from vfljax import data
from vfljax.attacks import DirectInference, LinearRecovery
from vfljax.defenses import Marvell
from vfljax.experiments import Data, Experiment, read_run, run_sweep
from vfljax.models import MLP

WEAK, STRONG = 0.05, 5.0


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Digits 0 and 1, an untrained model, eight trials."""
    setting = Experiment(
        name="power",
        data=Data(class_counts=(2,), class_choice="first"),
        model=MLP(hidden=(8,)),
        batch_sizes=(64,),
        defenses={"marvell": Marvell(power=(WEAK, STRONG))},
        attacks={
            "direct": DirectInference(),
            "linear": LinearRecovery(solver="cg", iterations=100),
        },
        num_trials=8,
    )
    folder = tmp_path_factory.mktemp("power")
    list(run_sweep(setting, data.load("digits"), folder))
    return read_run(folder).rows


@pytest.mark.parametrize("attack", ["direct", "linear"])
def test_recovery_falls_with_the_power(attack, rows):
    """Class means are D apart and the noise has a variance of about s·D².

    The middle is 1/(2√s) deviations from either: Φ(2.2) = 99 % and Φ(.22) = 59 %.
    """

    def found(power):
        rates = [
            row["attack_accuracy"]
            for row in rows
            if (row["attack"], row["defense_strength"]) == (attack, power)
        ]
        assert len(rates) == 8
        return np.mean(rates)

    assert found(WEAK) >= 0.95
    assert 0.5 <= found(STRONG) <= 0.7
