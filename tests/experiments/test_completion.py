"""Experiments with model splitting: completion attacks, variants, message scoring."""

import dataclasses
import re

import numpy as np
import pytest

from vfljax import data
from vfljax.attacks import (
    DirectionScoring,
    DirectSemiSupervised,
    LinearRecovery,
    ModelCompletion,
    NormScoring,
)
from vfljax.defenses import DPLaplace, NoDefense
from vfljax.experiments import (
    Data,
    Experiment,
    Training,
    Variant,
    read_run,
    run_sweep,
)
from vfljax.experiments.sweep import variants
from vfljax.experiments.task import Task, check_fits, take_samples
from vfljax.models import MLP, ResNet, Top
from vfljax.protocol import ModelSplitting, SumOfLogits

FEW = {"epochs": 3, "steps_per_epoch": 8, "ema_decay": 0.5, "batch_size": 8}
SGD = Training(
    steps=60, batch_size=32, optimizer="sgd", learning_rate=0.1, momentum=0.5
)
SPLIT = Data(dataset="digits", split="columns", train_samples=200, test_samples=50)


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def experiment(**changes):
    settings = {
        "name": "completion",
        "data": SPLIT,
        "model": MLP(hidden=(8,)),
        "protocol": ModelSplitting(top=Top(batch_norm=False)),
        "training": SGD,
        "batch_sizes": (16,),
        "attacks": {
            "passive": ModelCompletion(known_per_class=1, mix="feature", **FEW),
            "active": ModelCompletion(
                known_per_class=1, mix="feature", optimizer="malicious", **FEW
            ),
            "direct": DirectSemiSupervised(known_per_class=1, **FEW),
        },
        "variants": {
            "2 parties": Variant(),
            "4 parties": Variant(data=dataclasses.replace(SPLIT, num_parties=4)),
        },
        "num_trials": 2,
    }
    return Experiment(**(settings | changes))


def run(setting, dataset, folder):
    for _ in run_sweep(setting, dataset, folder):
        pass
    return read_run(folder).rows


def results(rows):
    timed = ("seconds", "train_seconds")
    return sorted(
        str({name: value for name, value in row.items() if name not in timed})
        for row in rows
    )


@pytest.fixture(scope="module")
def finished(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return run(experiment(), digits, folder), folder


def test_every_row_is_there_once_with_what_it_says(finished):
    rows, _ = finished
    assert len(rows) == 2 * 3 * 2  # variants, attacks, trials
    for row in rows:
        assert row["protocol"] == "model_splitting"
        assert row["view"] == "trained_model"
        assert row["train_step"] == 60
        assert row["num_parties"] == (2 if row["variant"] == "2 parties" else 4)
        assert row["known_per_class"] == 1
        assert (
            row["attack_family"]
            == {
                "passive": "passive (features mixed)",
                "active": "active (features mixed)",
                "direct": "direct",
            }[row["attack"]]
        )
        assert row["best_attack_accuracy"] >= row["attack_accuracy"]
        assert 0 <= row["best_test_attack_accuracy"] <= 1
        assert row["attack_top5"] >= row["attack_accuracy"]
        assert row["main_top5"] >= row["main_accuracy"]
        assert row["main_f1"] is None
        assert row["published_accuracy"] is None
        assert row["auc"] is None
        assert row["status"] == "ok"
        found = 190 * row["attack_accuracy"]  # of 200 samples, ten of them known
        assert found == pytest.approx(round(found), abs=1e-6)


def test_the_active_attack_has_a_training_of_its_own(finished):
    rows, _ = finished
    main = {
        (row["variant"], row["trial"], row["attack"]): row["main_accuracy"]
        for row in rows
    }
    for variant, trial, attack in main:
        passive = main[variant, trial, "passive"]
        if attack == "direct":
            assert main[variant, trial, attack] == passive
    assert any(
        main[variant, trial, "active"] != main[variant, trial, "passive"]
        for variant, trial, _ in main
    )
    optimizers = {(row["attack"], row["adversary_optimizer"]) for row in rows}
    assert optimizers == {
        ("passive", "benign"),
        ("active", "malicious"),
        ("direct", "benign"),
    }


def test_a_killed_run_goes_on_where_it_was(finished, digits, tmp_path):
    stopped = run_sweep(experiment(), digits, tmp_path)
    for progress in stopped:
        if progress.done:
            break
    stopped.close()
    assert 0 < len(read_run(tmp_path).rows) < len(finished[0])
    rows = run(experiment(), digits, tmp_path)
    assert results(rows) == results(finished[0])


def test_features_alone_bound_what_can_be_learned(digits, tmp_path):
    setting = experiment(
        record_alone=True,
        variants={
            f"{share:.0%}": Variant(
                data=dataclasses.replace(SPLIT, shares=(share, 0.5), test_samples=200)
            )
            for share in (0.125, 0.5)
        },
        attacks={"direct": DirectSemiSupervised(known_per_class=1, **FEW)},
        num_trials=2,
    )
    rows = run(setting, digits, tmp_path)
    alone = {
        share: np.mean([r["alone_accuracy"] for r in rows if r["variant"] == share])
        for share in ("12%", "50%")
    }
    assert alone["12%"] < alone["50%"]


def test_messages_of_two_classes_are_scored(digits, tmp_path):
    setting = experiment(
        data=Data(
            dataset="digits", split="columns", class_counts=(2,), class_choice="first"
        ),
        model=MLP(hidden=(8,), embed=8),
        protocol=ModelSplitting(top=Top(widths=(16,), batch_norm=False)),
        training=dataclasses.replace(SGD, steps=30),
        attacks={
            "norm": NormScoring(),
            "direction": DirectionScoring(),
            "passive": ModelCompletion(known_per_class=1, **FEW),
        },
        train_steps=(0, 30),
        defenses={"none": NoDefense(), "noise": DPLaplace(noise=(1e-3,))},
        variants={},
        num_trials=1,
    )
    rows = run(setting, digits, tmp_path)
    assert len(rows) == 2 * (2 * 2 + 1)
    for row in rows:
        assert row["variant"] == ""
        assert 0 <= row["auc"] <= 1
        if row["attack"] == "passive":
            assert 0 <= row["best_test_attack_f1"] <= 1
            assert 0 <= row["attack_fu_batch_f1"] <= 1
            assert row["train_step"] == 30
        else:
            assert "attack_f1" not in row
    by_attack = {
        row["attack"]: row["auc"]
        for row in rows
        if row["defense"] == "none" and row["train_step"] == 0
    }
    assert by_attack["direction"] > 0.9


def test_networks_with_statistics_run_in_a_sweep(digits, tmp_path):
    """The smallest ResNet; linear recovery of eight samples where logits are summed."""
    setting = experiment(
        model=ResNet(depth=8, width=2),
        protocol=SumOfLogits(mode="evaluation"),
        training=Training(),
        attacks={"recovery": LinearRecovery(solver="cg", iterations=100)},
        batch_sizes=(8,),
        variants={},
        num_trials=1,
    )
    (row,) = run(setting, digits, tmp_path)
    assert row["attack_accuracy"] >= 0.75


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"attacks": {"linear": LinearRecovery()}},
            r"attacks\.linear=LinearRecovery: must be one that needs no sum",
        ),
        (
            {"training": Training(steps=5, batch_size=32)},
            r"attacks\.active\.optimizer='malicious': must be 'benign' unless",
        ),
        ({"training": Training()}, r"training\.steps=0: must be >= 1 for attacks"),
        (
            {"protocol": SumOfLogits(), "model": MLP(embed=3)},
            r"model\.embed=3: must be None without a top model",
        ),
        (
            {"variants": {"none": Variant(training=Training())}},
            r"training\.steps=0: must be >= 1 for attacks",
        ),
    ],
)
def test_what_does_not_fit_is_refused(changes, message, digits):
    def check():
        for part in variants(experiment(**changes)).values():
            check_fits(Task(part, take_samples(part, digits), 10))

    with pytest.raises(ValueError, match=message):
        check()


def test_too_many_known_labels(digits, tmp_path):
    attacks = {"passive": ModelCompletion(known_per_class=100, **FEW)}
    with pytest.raises(ValueError, match=r"attacks\.passive\.known_per_class=100"):
        run(experiment(attacks=attacks), digits, tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"known_per_class": 0}, "known_per_class=0: must be > 0"),
        ({"known_per_class": 1.5}, "known_per_class=1.5: must be a whole number"),
        ({"batch_size": 3}, "batch_size=3: must be an even number"),
        ({"optimizer": "evil"}, "optimizer='evil'"),
        ({"mix": "feature", "finetune_bottom": True}, "mix='feature': must be 'input'"),
    ],
)
def test_completion_out_of_range(options, message, unchecked_types):
    with pytest.raises(ValueError, match=re.escape(message)):
        ModelCompletion(**options)


def test_families_and_knowledge_in_words():
    assert ModelCompletion().family == "passive"
    assert ModelCompletion(optimizer="malicious").family == "active"
    spec = ModelCompletion(optimizer="all_malicious", finetune_bottom=True)
    assert spec.family == "active (everybody, fine-tuned)"
    assert ModelCompletion(known_per_class=1).knowledge == "1 known label per class"
    fifth = ModelCompletion(known_per_class=0.2)
    assert fifth.knowledge == "1 known label in 20 % of the classes"
