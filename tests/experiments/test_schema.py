"""Experiments are checked when they are built."""

import dataclasses

import pytest

from vfljax.experiments import (
    MLP,
    Data,
    DiscreteSGD,
    DPGaussian,
    DPLaplace,
    Execution,
    Experiment,
    GradientInversion,
    LinearRecovery,
    Sparsification,
    Training,
)

pytestmark = pytest.mark.usefixtures("unchecked_types")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Data(num_parties=1), "data.num_parties=1: must be >= 2"),
        (lambda: Data(adversary=2), r"data.adversary=2: must be in \[-2, 1\]"),
        (lambda: Data(adversary=1), "another party than data.label_party"),
        (lambda: Data(adversary=-1), "another party than data.label_party"),
        (lambda: Data(columns=("0-3",)), r"data.columns=\('0-3',\): must be 2 or more"),
        (lambda: Training(momentum=0.9), "training.momentum=0.9: must be 0 unless"),
        (
            lambda: DPGaussian(strengths=(float("inf"),)),
            "strengths=inf: must be finite",
        ),
        (lambda: Data(class_counts=(2, 1)), "data.class_counts=1: must be >= 2"),
        (lambda: Data(class_counts=(2, 2)), "without repetitions"),
        (lambda: MLP(hidden=(0,)), "model.hidden=0: must be >= 1"),
        (lambda: Training(steps=-1), "training.steps=-1"),
        (
            lambda: Training(learning_rate=0.0),
            "training.learning_rate=0.0: must be > 0",
        ),
        (
            lambda: Training(optimizer="sgd", momentum=1.0),
            r"training.momentum=1.0: must be in \[0, 1\)",
        ),
        (lambda: DPGaussian(strengths=(-1.0,)), "noise_std=-1.0"),
        (lambda: DPLaplace(strengths=()), r"strengths=\(\): must be not empty"),
        (lambda: Sparsification(strengths=(0.0,)), "keep_fraction=0.0"),
        (lambda: DiscreteSGD(strengths=(0,)), "bins=0"),
        (lambda: LinearRecovery(iterations=0), "iterations=0"),
        (lambda: GradientInversion(steps=0), "steps=0"),
        (lambda: Execution(chunk_size=0), "chunk_size=0"),
        (lambda: Experiment(name=""), "name=''"),
        (lambda: Experiment(name="x", num_trials=0), "num_trials=0"),
        (lambda: Experiment(name="x", batch_sizes=()), "batch_sizes"),
        (lambda: Experiment(name="x", attacks={}), "attacks"),
        (
            lambda: Experiment(name="x", train_steps=(1,)),
            r"in \[0, training.steps = 0\]",
        ),
        (
            lambda: Experiment(
                name="x",
                training=Training(steps=1, batch_size=8),
                batch_sizes=(4, 9),
                defenses={"gs": Sparsification(residual="by_row")},
            ),
            "defenses.gs.residual='by_row'",
        ),
    ],
)
def test_bad_values_name_the_field_and_what_is_allowed(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_laplace_strengths_are_called_what_they_are():
    assert DPLaplace().strength_name == "noise_std"
    assert DPLaplace(reading="released").strength_name == "noise_scale"


def test_experiments_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Experiment(name="x").seed = 1  # pyright: ignore


def test_layers_may_have_equal_widths():
    assert MLP(hidden=(64, 64)).hidden == (64, 64)


def test_columns_are_numbers_ranges_and_names():
    split = Data(columns=("0-2,7", "age, 3")).split_argument()
    assert split == [[0, 1, 2, 7], ["age", 3]]
    assert Data().split_argument() == "rows"
