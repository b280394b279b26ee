"""Confusional autoencoders in a sweep: trained once, the right one for each trial."""

import numpy as np
import pytest

from vfljax import data, defenses
from vfljax.attacks import (
    ClusterMatching,
    DirectInference,
    KnownEncoder,
    LinearRecovery,
)
from vfljax.defenses import CAE
from vfljax.experiments import Data, Experiment, Training, read_run, run_sweep
from vfljax.experiments.sweep import _RunningChunk
from vfljax.models import MLP

CLASSES = 4
SPEC = CAE(entropy_weight=(0.5, 1.0), seeds=(3, 5), num_epochs=2)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """An empty place for trained autoencoders."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("VFLJAX_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def finished(cache, tmp_path_factory):
    """Rows, what the sweep said it did, and the codebook of each unit, in order."""
    setting = Experiment(
        name="encoders",
        data=Data(class_counts=(CLASSES,), class_choice="first"),
        model=MLP(hidden=(16,)),
        training=Training(steps=60, batch_size=64, learning_rate=0.02),
        batch_sizes=(32,),
        defenses={"cae": SPEC},
        attacks={
            "direct": DirectInference(),
            "linear": LinearRecovery(solver="cg", iterations=200),
            "cluster": ClusterMatching(of=DirectInference()),
            "encoder": KnownEncoder(of=DirectInference()),
        },
        num_trials=2,
    )
    codebooks, victims, of_chunk = [], [], _RunningChunk._victim

    def watching(self, label, attack):
        found = of_chunk(self, label, attack)
        if not any(found[0] is victim for victim in victims):
            victims.append(found[0])
            codebooks.extend(np.asarray(found[0].at_steps[0].public.codebook))
        return found

    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_RunningChunk, "_victim", watching)
        progress = list(run_sweep(setting, data.load("digits"), folder))
    return read_run(folder).rows, [p.activity for p in progress], codebooks


def mean_of(rows, name, attack):
    return np.mean([row[name] for row in rows if row["attack"] == attack])


def test_progress_says_what_is_trained(finished, cache):
    """2 epochs of each of 2 · 2 autoencoders, between the start and 2 chunks."""
    activities = [
        f"autoencoder λ2={strength:g}: epoch {epoch} of 2"
        for strength in SPEC.strengths
        for _ in SPEC.seeds
        for epoch in (1, 2)
    ]
    assert finished[1] == ["", *activities, "", ""]
    assert len(list(cache.glob("*.npz"))) == 4


def test_a_second_run_trains_nothing(finished):
    assert list(SPEC.prepare(CLASSES)) == []


def test_each_trial_has_the_encoder_of_its_strength_and_seed(finished):
    """Units are strength by strength; trials 0 and 1 take the seeds in turn."""
    expected = [
        defenses.load_autoencoder(CLASSES, strength, seed=seed, num_epochs=2).codebook
        for strength in SPEC.strengths
        for seed in SPEC.seeds
    ]
    np.testing.assert_allclose(np.stack(finished[2]), np.stack(expected), atol=1e-6)
    distances = [
        np.max(np.abs(one - other))
        for place, one in enumerate(expected)
        for other in expected[:place]
    ]
    assert min(distances) > 1e-3  # so that a wrong place would be seen


def test_names_are_hidden_and_classes_are_not(finished):
    rows = finished[0]
    assert len(rows) == 2 * 2 * 4  # strengths, trials, attacks
    for attack in ("direct", "linear"):
        assert mean_of(rows, "attack_accuracy", attack) < 0.05
        chance = mean_of(rows, "matched_chance", attack)
        assert mean_of(rows, "matched_accuracy", attack) > chance + 0.2
        told = mean_of(rows, "mutual_information", attack)
        assert told > mean_of(rows, "mutual_information_chance", attack) + 0.2
    assert mean_of(rows, "attack_accuracy", "cluster") > 0.8
    assert mean_of(rows, "attack_accuracy", "encoder") > 0.9


def test_the_main_task_is_decoded(finished):
    accuracies = {row["main_accuracy"] for row in finished[0]}
    assert len(accuracies) > 1
    assert min(accuracies) > 0.85
