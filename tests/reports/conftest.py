"""Rows as `trials.jsonl` has them, without running anything."""

import json
from functools import partial

import pytest

from vfljax.experiments.records import Run
from vfljax.reports import write_report


def _make_row(**changes):
    return {
        "dataset": "digits",
        "num_parties": 2,
        "protocol": "sum_of_logits",
        "view": "batch_gradient",
        "train_step": 0,
        "batch_size": 64,
        "num_classes": 10,
        "defense": "none",
        "defense_strength": None,
        "strength_name": None,
        "attack": "linear_recovery",
        "trial": 0,
        "attack_accuracy": 0.75,
        "published_accuracy": None,
        "chance_accuracy": 0.125,
        "main_accuracy": None,
        "status": "ok",
        "seconds": 0.5,
    } | changes


@pytest.fixture(scope="session")
def make_row():
    """One row; keyword arguments replace or add fields."""
    return _make_row


@pytest.fixture(scope="session")
def make_rows():
    """Trials of one setting; a field given as a list has one value for each."""

    def make(attack_accuracy, **changes):
        def of_trial(value, trial):
            return value[trial] if isinstance(value, list) else value

        return [
            _make_row(
                trial=trial,
                attack_accuracy=rate,
                **{name: of_trial(value, trial) for name, value in changes.items()},
            )
            for trial, rate in enumerate(attack_accuracy)
        ]

    return make


@pytest.fixture(scope="session")
def make_defended(make_rows):
    """Two trials that agree, under a defense of some strength."""

    def make(defense, strength, rate, main, **changes):
        return make_rows(
            [rate, rate],
            defense=defense,
            defense_strength=strength,
            strength_name=strength and "noise_std",
            main_accuracy=main,
            **changes,
        )

    return make


@pytest.fixture(scope="session")
def make_swept(make_defended):
    """Two views, two defenses, one at two strengths, naive and knowing attacks."""
    knowing = {"is_adaptive": True, "knowledge": "the noise scale"}

    def make():
        rows = []
        for view, shift in (("sample_gradient", 0.0), ("batch_gradient", -0.02)):
            for name, strength, attack, main in (
                ("none", None, 0.975, 0.95),
                ("gaussian", 0.01, 0.9, 0.94),
                ("gaussian", 0.1, 0.5, 0.93),
                ("rounding", 0.25, 0.85, 0.7),
            ):
                rate = attack + shift
                rows += make_defended(name, strength, rate, main, view=view)
                if view == "batch_gradient":
                    more = {"view": view, "attack": "smoothing", **knowing}
                    rows += make_defended(name, strength, rate + 0.01, main, **more)
        return rows

    return make


@pytest.fixture
def swept_rows(make_swept):
    """Rows of that sweep, which a test may change."""
    return make_swept()


def _write(folder, rows, environment=None):
    config = {"name": "tried", "title": "A title", "seed": 7}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "environment.json").write_text(json.dumps(environment or {}))
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "trials.jsonl").write_text(lines)
    return folder


@pytest.fixture
def write_run(tmp_path):
    """Writes a run folder and returns it."""
    return partial(_write, tmp_path)


@pytest.fixture(scope="session")
def page(tmp_path_factory, make_swept):
    """A page with pictures, tables, cards of two kinds and labels to be escaped."""
    rows = make_swept()
    for row in rows:
        row["attack"] = row["attack"].replace("smoothing", "<smooth & round>")
    return write_report(_write(tmp_path_factory.mktemp("run"), rows))[0]


@pytest.fixture
def make_run():
    """A run in memory."""
    return lambda rows: Run(config={"name": "tried"}, environment={}, rows=rows)
