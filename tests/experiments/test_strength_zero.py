"""At strength zero every defense that has one is exactly no defense, in one sweep."""

import math

import pytest

from vfljax import data
from vfljax.attacks import DirectInference, LinearRecovery
from vfljax.defenses import (
    DPGaussian,
    DPLaplace,
    GradientCompression,
    Isotropic,
    Marvell,
    MaxNorm,
    NoDefense,
    Sparsification,
)
from vfljax.experiments import Data, Experiment, Training, read_run, run_sweep
from vfljax.experiments.programs import Programs
from vfljax.experiments.world import Cell
from vfljax.models import MLP

pytestmark = pytest.mark.slow  # one program per defense

AT_ZERO = {
    "dp_gaussian": DPGaussian(noise_std=(0.0,), clip_norm=math.inf),
    "dp_laplace": DPLaplace(noise=(0.0,), clip_norm=math.inf),
    "marvell": Marvell(power=(0.0,)),
    "isotropic": Isotropic(ratio=(0.0,)),
    "max_norm": MaxNorm(share=0.0),
    "sparsification": Sparsification(keep_fraction=(1.0,)),
    "gradient_compression": GradientCompression(keep_fraction=(1.0,)),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The rows, and the names of the programs that were compiled."""
    setting = Experiment(
        name="zero",
        data=Data(class_counts=(2,), class_choice="first"),
        model=MLP(hidden=(8,)),
        training=Training(steps=12, batch_size=32, learning_rate=0.003),
        train_steps=(12,),
        batch_sizes=(24,),
        defenses={"none": NoDefense(), **AT_ZERO},
        attacks={
            "direct": DirectInference(),
            "layer": LinearRecovery(
                solver="cg", iterations=5, zero_sum=True, layers=("output",)
            ),
        },
        num_trials=2,
    )
    made = []
    program = Programs._program

    def counting(self, name, make, inputs, **options):
        def counted():
            made.append(name)
            return make()

        return program(self, name, counted, inputs, **options)

    folder = tmp_path_factory.mktemp("zero")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Programs, "_program", counting)
        list(run_sweep(setting, data.load("digits"), folder))
    return read_run(folder).rows, made


@pytest.mark.parametrize("defense", AT_ZERO)
def test_strength_zero_is_exactly_no_defense(defense, finished):
    names = ("attack_accuracy", "main_accuracy", "matched_accuracy", "status")
    names += ("published_accuracy", "mutual_information", "chance_accuracy")
    by_defense = {
        label: {
            (row["attack"], row["train_step"], row["trial"]): [row[n] for n in names]
            for row in finished[0]
            if row["defense"] == label
        }
        for label in ("none", defense)
    }
    assert len(by_defense["none"]) == 2 * 2
    assert by_defense[defense] == by_defense["none"]


def test_there_was_something_to_change(finished):
    """Neither the model nor the weak attack is perfect, so noise would show."""
    undefended = [row for row in finished[0] if row["defense"] == "none"]
    assert len({row["main_accuracy"] for row in undefended}) == 2  # trials
    assert all(0.5 < row["main_accuracy"] < 1 for row in undefended)
    weak = [row for row in undefended if row["attack"] == "layer"]
    assert any(0.5 < row["attack_accuracy"] < 1 for row in weak)


def test_one_victim_per_defense_and_attacks_by_public_facts(finished):
    """8 victims. Linear recovery has two programs, for rows of zero sum (none, marvell,
    max_norm) and for others; direct inference has one.
    """
    made = finished[1]
    assert len(made) == len(set(made))
    victims = [name for name in made if isinstance(name[0], Cell)]
    assert len(victims) == 8
    attacked = sorted(type(name[0][2]).__name__ for name in made if name not in victims)
    assert attacked == ["DirectInference", "LinearRecovery", "LinearRecovery"]
