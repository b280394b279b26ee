"""Rows made from inferences written by hand: scores, chance levels, budgets."""

import json
import math
from typing import Any

import numpy as np
import pytest

from vfljax.attacks import (
    ClusterMatching,
    DirectInference,
    Inference,
    NormScoring,
    RepeatedObservation,
)
from vfljax.defenses import CAE, DPGaussian, DPLaplace, Isotropic, Marvell, NoDefense
from vfljax.experiments import Experiment, Training
from vfljax.experiments.records import append_rows
from vfljax.experiments.rows import make_rows
from vfljax.experiments.trial import Answer
from vfljax.experiments.world import Cell, Observation
from vfljax.goals import metrics
from vfljax.known import NOTHING
from vfljax.label_dp import label_budget
from vfljax.protocol import ModelSplitting

TRUTH: Any = np.array([0, 1, 2, 0, 1, 2, 0, 2])
LABELS: Any = np.array([0, 2, 0, 1, 2, 0, 0, -1])
IS_KNOWN: Any = np.array([True] + [False] * 7)


def outcome(
    labels=LABELS, published=None, is_known=IS_KNOWN, finite=True, unprotected=False
):
    """One trial's answer, and what it is about; scores are those of three classes."""
    scores: Any = np.zeros((1, 8, 3))
    is_finite: Any = np.array([finite])
    is_unprotected: Any = np.array([unprotected])
    inference = Inference(
        labels=labels[None],
        scores=scores,
        finite=is_finite,
        published_labels=None if published is None else published[None],
        info=(),
    )
    seen = Observation(
        views={},
        rows=(),
        truth=TRUTH[None],
        public=NOTHING,
        is_unprotected=is_unprotected,
    )
    return Answer(inference, is_known[None], ()), seen


def rows_of(experiment, made=None, *, strength=None, trained=True, num_samples=1000):
    """The row of each defense of an experiment, by its label."""
    main = {
        "main_accuracy": np.array([np.nan]),
        "trained": np.array([trained]),
        "chance_accuracy": np.array([0.4]),
    }
    rows = {}
    answer, seen = made or outcome()
    for label, defense in experiment.defenses.items():
        (rows[label],) = make_rows(
            experiment,
            Cell(3, experiment.batch_sizes[0], label),
            [(strength or defense.strengths[0], 5)],
            "attack",
            0,
            answer,
            seen,
            main,
            train_labels=np.zeros(num_samples, int),
            test_labels=np.zeros(2, int),
            dataset="none",
        )
    return rows


def experiment(attack=None, **changes):
    return Experiment(
        name="x", attacks={"attack": attack or DirectInference()}, **changes
    )


def test_known_samples_do_not_count():
    """By hand: 7 samples count, one right, sample 6. Renamed 1→2, 2→0, 0→1: of pairs
    (truth, label) 1→2 twice, 2→0 twice, 0→1 once, five are right; one has no answer.
    """
    row = rows_of(experiment(record_confusion=True))["none"]
    assert row["attack_accuracy"] == pytest.approx(1 / 7)
    assert row["matched_accuracy"] == pytest.approx(5 / 7)
    assert row["confusion"] == [1, 1, 0, 0, 0, 2, 2, 0, 0]
    all_count = outcome(is_known=np.zeros(8, bool))
    row = rows_of(experiment(), all_count)["none"]
    assert row["attack_accuracy"] == pytest.approx(2 / 8)
    assert "confusion" not in row


def test_confusion_matches_accuracy():
    """Without an open answer, counts sum to the samples that count."""
    labels, published = np.roll(TRUTH, 3), np.roll(TRUTH, 1)
    setting = experiment(record_confusion=True)
    row = rows_of(setting, outcome(labels, published))["none"]
    for name, rate in (
        ("confusion", "attack_accuracy"),
        ("published_confusion", "published_accuracy"),
    ):
        counts = np.reshape(row[name], (3, 3))
        assert counts.sum() == 7
        assert np.trace(counts) / 7 == pytest.approx(row[rate])
    assert row["attack_accuracy"] != row["published_accuracy"]
    without = rows_of(setting)["none"]
    assert without["published_accuracy"] is None
    assert "published_confusion" not in without


def test_chance_levels_are_those_of_the_samples_that_count():
    row = rows_of(experiment())["none"]
    chance = metrics.chance_levels(TRUTH[1:], 3)
    assert row["matched_chance"] == chance.matched_accuracy
    assert row["mutual_information_chance"] == chance.mutual_information
    assert row["chance_accuracy"] == pytest.approx(0.4)
    assert 1 / 3 < row["matched_chance"] < row["matched_accuracy"]
    assert row["mutual_information"] == metrics.mutual_information(
        LABELS[1:], TRUTH[1:], 3
    )


def test_status_says_why_there_is_no_good_result():
    no_answer = np.full(8, -1)
    assert rows_of(experiment())["none"]["status"] == "ok"
    row = rows_of(experiment(), outcome(no_answer, finite=False))["none"]
    assert (row["status"], row["attack_accuracy"]) == ("non_finite", 0.0)
    assert (row["matched_accuracy"], row["mutual_information"]) == (0.0, 0.0)
    row = rows_of(experiment(), trained=False)["none"]
    assert row["status"] == "training_diverged"
    row = rows_of(experiment(), outcome(unprotected=True))["none"]
    assert (row["status"], row["attack_accuracy"]) == (
        "sent_unprotected",
        pytest.approx(1 / 7),
    )


def test_rows_say_what_the_attack_knows():
    row = rows_of(experiment())["none"]
    assert (row["is_adaptive"], row["knowledge"]) == (False, None)
    row = rows_of(experiment(ClusterMatching(named_per_class=2)))["none"]
    assert row["is_adaptive"] is True
    assert row["knowledge"] == "2 known labels per class"
    assert (row["view"], row["goal"]) == ("batch_gradient", "labels of the batch")
    repeated = RepeatedObservation(of=DirectInference())
    row = rows_of(experiment(repeated, same_samples=True))["none"]
    assert row["view"] == "sample_gradient"


def test_rows_survive_json(tmp_path):
    """No NaN and no infinity: both are null in the file, everything else comes back."""
    setting = experiment(
        defenses={"none": NoDefense(), "dp": DPGaussian(noise_std=(0.0,))},
        record_confusion=True,
    )
    rows = list(rows_of(setting).values())
    assert math.isnan(rows[0]["main_accuracy"])
    assert rows[1]["label_epsilon"] == math.inf
    append_rows(tmp_path, rows)
    lines = (tmp_path / "trials.jsonl").read_text().splitlines()
    for row, line in zip(rows, lines, strict=True):
        read = json.loads(line, parse_constant=pytest.fail)
        for name, value in row.items():
            is_number = isinstance(value, float)
            lost = is_number and not math.isfinite(value)
            assert read[name] == (None if lost else value), name


BUDGET = {
    "label_epsilon",
    "label_delta",
    "label_epsilon_training",
    "allowed_accuracy",
    "budget",
}


def expected_budget(batch_size, num_releases=1, scale=0.05):
    return label_budget(
        "laplace",
        scale,
        batch_size=batch_size,
        num_classes=3,
        num_releases=num_releases,
    )


def laplace(**changes):
    settings = {"noise": (0.05,), "clip_norm": math.inf, "reading": "released"}
    return DPLaplace(**{**settings, **changes})


def test_only_defenses_with_a_guarantee_have_a_budget():
    rows = rows_of(
        experiment(
            defenses={
                "none": NoDefense(),
                "isotropic": Isotropic(),
                "marvell": Marvell(),
                "cae": CAE(),
                "clipped": laplace(clip_norm=1e-3),  # by one factor for the batch
                "laplace": laplace(),
                "paper": laplace(noise=(0.05 * 2**0.5,), reading="paper"),
            },
            batch_sizes=(32,),
        )
    )
    for label in ("none", "isotropic", "marvell", "cae"):
        assert not BUDGET & rows[label].keys(), label
    row = rows["clipped"]
    assert (row["label_epsilon"], row["allowed_accuracy"]) == (math.inf, 1.0)
    assert row["budget"].startswith("No guarantee: the clip at 0.001 acts")
    expected = expected_budget(32)
    for label in ("laplace", "paper"):
        row = rows[label]
        assert row["label_epsilon"] == pytest.approx(expected.epsilon)
        assert row["label_delta"] == expected.delta == 1e-5
        assert row["allowed_accuracy"] == pytest.approx(expected.allowed_accuracy)
        assert row["label_epsilon_training"] is None
        assert "Over training nothing is guaranteed" in row["budget"]


def test_no_budget_where_a_top_model_makes_the_messages():
    """What one label changes there is no (one-hot − one-hot)/B, and not accounted."""
    defenses = {"laplace": laplace(), "gaussian": DPGaussian()}
    settings: Any = {"defenses": defenses, "attack": NormScoring()}
    rows = rows_of(experiment(**settings, protocol=ModelSplitting()))
    for label, row in rows.items():
        assert row["protocol"] == "model_splitting"
        assert not BUDGET & row.keys(), label
        assert rows_of(experiment(**settings))[label].keys() >= BUDGET


def covered(batch_size=32, spec=None, **changes):
    """The row of covered noise after 10 steps of 30 samples out of 100."""
    setting = experiment(
        defenses={"dp": spec or laplace(covers_label_party=True)},
        training=Training(steps=10, batch_size=30),
        batch_sizes=(batch_size,),
        **changes,
    )
    return rows_of(setting, num_samples=100)["dp"]


def test_epochs_are_counted_as_they_are_run():
    """100 samples make 3 steps of 30 per epoch and leave 10: 10 steps are 4 epochs,
    and the same sample may be in all, although only 3 · 100 samples were sent.
    """
    row, expected = covered(30), expected_budget(30, num_releases=4)
    assert row["label_epsilon_training"] == pytest.approx(expected.epsilon_training)
    assert row["label_epsilon"] == pytest.approx(expected.epsilon)
    assert "over 4 messages about the same sample" in row["budget"]
    assert "guaranteed" not in row["budget"]
    assert "Batches of the training" not in row["budget"]


def test_training_has_its_own_batch_size():
    """A message of 60 samples tells less about each than those of the training."""
    row = covered(60)
    assert row["label_epsilon"] == pytest.approx(expected_budget(60).epsilon)
    in_training = expected_budget(30, num_releases=4).epsilon_training
    assert row["label_epsilon_training"] == pytest.approx(in_training)
    assert in_training > 1.5 * expected_budget(60, num_releases=4).epsilon_training
    assert "Batches of the training have 30 samples." in row["budget"]


def test_views_of_the_same_samples_are_releases():
    row = covered(30, same_samples=True, train_steps=(0, 1, 2, 3, 4, 5))
    expected = expected_budget(30, num_releases=6).epsilon_training
    assert row["label_epsilon_training"] == pytest.approx(expected)


def test_a_budget_needs_its_clip_in_every_message():
    """Clipped at .04, batches of 60 never are (√2/60 = .024); those of 30 are (.047)"""
    spec = laplace(clip_norm=0.04, covers_label_party=True)
    row = covered(60, spec)
    assert (row["label_epsilon"], row["label_epsilon_training"]) == (math.inf, math.inf)
    assert "No guarantee" in row["budget"]
    assert "√2/B = 0.047" in row["budget"]
    spec = laplace(clip_norm=0.04)  # nothing is claimed for the training
    assert covered(60, spec)["label_epsilon"] < math.inf
