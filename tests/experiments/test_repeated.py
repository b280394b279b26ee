"""Views of the same samples along a training, and attacks that combine them."""

import json

import numpy as np
import pytest

from vfljax import data
from vfljax.attacks import DirectInference, RepeatedObservation
from vfljax.defenses import DPLaplace
from vfljax.experiments import Experiment, Training, read_run, run_sweep
from vfljax.experiments.sweep import _RunningChunk
from vfljax.label_dp import label_budget
from vfljax.models import MLP

STEPS, BATCH = (0, 2, 4), 48
EXPERIMENT = Experiment(
    name="repeated",
    model=MLP(hidden=(8,)),
    training=Training(steps=4, batch_size=48, learning_rate=1e-3),
    batch_sizes=(BATCH,),
    train_steps=STEPS,
    same_samples=True,
    defenses={
        "dp": DPLaplace(noise=(0.01, 0.02), reading="released", covers_label_party=True)
    },
    attacks={
        "direct": DirectInference(),
        "repeated": RepeatedObservation(of=DirectInference()),
        "named": RepeatedObservation(of=DirectInference(), named_per_class=1),
    },
    record_confusion=True,
    num_trials=2,
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder, its rows, and the victims of every chunk."""
    victims, of_chunk = [], _RunningChunk._victim

    def watching(self, label, attack):
        found = of_chunk(self, label, attack)
        if not any(found[0] is victim for victim in victims):
            victims.append(found[0])
        return found

    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_RunningChunk, "_victim", watching)
        list(run_sweep(EXPERIMENT, data.load("digits"), folder))
    return folder, read_run(folder).rows, victims


def test_rows_of_the_batch_are_the_same_at_all_steps(finished):
    """But neither the model nor the noise is."""
    for victim in finished[2]:
        first = victim.at_steps[0]
        for later in victim.at_steps[1:]:
            np.testing.assert_array_equal(first.rows, later.rows)
            np.testing.assert_array_equal(first.truth, later.truth)
            views = [seen.views["sample_gradient"] for seen in (first, later)]
            assert not np.allclose(*(v.gradients for v in views), atol=1e-3)
            kernels = (view.params["output"]["kernel"] for view in views)
            assert not np.allclose(*kernels, atol=1e-6)
        assert np.any(first.rows[0] != first.rows[1])  # trials have their own


def mean_accuracy(rows, attack, step):
    kept = [r for r in rows if (r["attack"], r["train_step"]) == (attack, step)]
    assert len(kept) == 2 * 2
    return np.mean([row["attack_accuracy"] for row in kept])


def test_combined_observations_beat_the_last_one(finished):
    rows = finished[1]
    assert len(rows) == 3 * 3 * 2 * 2  # attacks, steps, strengths, trials
    for step in STEPS:
        assert 0.2 < mean_accuracy(rows, "direct", step) < 0.9
    first, last = STEPS[0], STEPS[-1]
    alone = mean_accuracy(rows, "direct", last)
    assert mean_accuracy(rows, "repeated", last) > alone + 0.1
    assert mean_accuracy(rows, "repeated", first) == mean_accuracy(
        rows, "direct", first
    )


def test_known_samples_are_not_counted(finished):
    """At most one per class is known; the batch has samples of 10 classes or fewer."""
    for row in finished[1]:
        counted = sum(row["confusion"])
        if row["attack"] == "named":
            assert BATCH - 10 <= counted < BATCH - 5
            assert row["knowledge"].endswith("1 known label per class")
        else:
            assert counted == BATCH
        right = np.trace(np.reshape(row["confusion"], (10, 10)))
        assert right / counted == pytest.approx(row["attack_accuracy"])


def test_budgets_are_those_of_three_releases(finished):
    for row in finished[1]:
        expected = label_budget(
            "laplace",
            row["defense_strength"],
            batch_size=BATCH,
            num_classes=10,
            clip_norm=0.2,
            num_releases=len(STEPS),
        )
        assert row["label_epsilon"] == pytest.approx(expected.epsilon)
        in_training = pytest.approx(expected.epsilon_training)
        assert row["label_epsilon_training"] == in_training
        assert row["allowed_accuracy"] == pytest.approx(expected.allowed_accuracy)


def test_rows_are_json_without_nan(finished):
    for line in (finished[0] / "trials.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)


def test_a_killed_run_has_the_same_rows_in_the_end(finished, tmp_path):
    """Killed within a unit: some rows of its combined observations are missing."""
    folder, rows, _ = finished
    lines = (folder / "trials.jsonl").read_bytes().splitlines(keepends=True)
    for name in ("config.json", "environment.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "trials.jsonl").write_bytes(b"".join(lines[:12]))
    progress = list(run_sweep(EXPERIMENT, data.load("digits"), tmp_path))
    assert progress[0].done < progress[-1].done == 4

    def without_seconds(rows):
        timings = ("seconds", "train_seconds")
        kept = [{n: v for n, v in row.items() if n not in timings} for row in rows]
        return sorted(json.dumps(row, sort_keys=True) for row in kept)

    assert without_seconds(read_run(tmp_path).rows) == without_seconds(rows)
