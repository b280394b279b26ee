"""Sweeps: complete rows, the same trials in any chunking, resumption, compilations."""

import collections
import types
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax.attacks import (
    DirectInference,
    GradientInversion,
    LinearRecovery,
    NormScoring,
)
from vfljax.defenses import DPGaussian, Marvell, NoDefense
from vfljax.experiments import (
    Data,
    Execution,
    Experiment,
    Training,
    read_run,
    run_sweep,
    sweep,
)
from vfljax.experiments.records import ROW_IDENTITY
from vfljax.experiments.task import Task, load_arrays
from vfljax.experiments.trial import make_victim
from vfljax.experiments.world import Cell, Setting
from vfljax.models import MLP, ResNet, Top
from vfljax.protocol import ModelSplitting, SampleGradientView

ROW = {
    "dataset": str,
    "num_parties": int,
    "protocol": str,
    "view": str,
    "train_step": int,
    "batch_size": int,
    "num_classes": int,
    "defense": str,
    "defense_strength": float | None,
    "strength_name": str | None,
    "attack": str,
    "is_adaptive": bool,
    "knowledge": str | None,
    "trial": int,
    "attack_accuracy": float,
    "chance_accuracy": float,
    "matched_accuracy": float,
    "matched_chance": float,
    "mutual_information": float,
    "mutual_information_chance": float,
    "bound_held": bool | None,
    "main_accuracy": float | None,
    "status": str,
    "seconds": float,
}


def experiment(**changes):
    settings = {
        "name": "test",
        "model": MLP(hidden=(16,)),
        "training": Training(steps=20, batch_size=32, learning_rate=0.02),
        "batch_sizes": (16,),
        "train_steps": (0, 20),
        "defenses": {"none": NoDefense(), "dp": DPGaussian(noise_std=(0.0, 0.05))},
        "attacks": {
            "direct": DirectInference(),
            "linear": LinearRecovery(solver="cg", iterations=100),
        },
        "num_trials": 3,
    }
    return Experiment(**{**settings, **changes})


def results(rows):
    """Rows without their timings, by setting."""
    return {
        tuple(row[name] for name in ROW_IDENTITY): (
            row["attack_accuracy"],
            row["main_accuracy"],
            row["chance_accuracy"],
        )
        for row in rows
    }


@pytest.fixture(scope="module")
def finished(digits, tmp_path_factory, run_rows):
    folder = tmp_path_factory.mktemp("run")
    return run_rows(experiment(), digits, folder), folder


def test_every_row_is_there_once_with_the_promised_fields(finished):
    rows, _ = finished
    assert len(rows) == 3 * 3 * 2 * 2  # trials, strengths, attacks, steps
    assert len(results(rows)) == len(rows)
    for row in rows:
        for name, kind in ROW.items():
            assert isinstance(row[name], kind), name
        assert row["status"] == "ok"
        assert 0 <= row["attack_accuracy"] <= 1


def test_undefended_labels_are_found_and_noise_hides_some(finished):
    accuracy = collections.defaultdict(list)
    for row in finished[0]:
        key = row["attack"], row["train_step"], row["defense_strength"]
        accuracy[key].append(row["attack_accuracy"])
    assert set(accuracy["direct", 0, None]) == {1.0}
    assert set(accuracy["direct", 20, None]) == {1.0}  # labels match trained classes
    assert np.mean(accuracy["linear", 0, None]) == 1.0
    assert np.mean(accuracy["linear", 0, 0.05]) < 0.8


def test_strength_zero_equals_no_defense(finished):
    """Same keys: the same weights, batches and views, and the same results."""
    by_defense = {"none": {}, "dp": {}}
    for row in finished[0]:
        if row["defense_strength"] in (None, 0.0) and row["attack"] == "direct":
            key = row["train_step"], row["trial"]
            by_defense[row["defense"]][key] = (
                row["attack_accuracy"],
                row["main_accuracy"],
            )
    assert by_defense["none"] == by_defense["dp"]


def test_chunk_size_does_not_change_results(finished, digits, tmp_path, run_rows):
    chunked = experiment(execution=Execution(chunk_size=4))
    rows = run_rows(chunked, digits, tmp_path)
    undefended = {
        key for key in results(rows) if key[2] == "none" or key[5] == "direct"
    }
    assert len(undefended) > 12
    for key in undefended:
        assert results(rows)[key] == results(finished[0])[key]


def test_a_killed_run_goes_on_where_it_was(finished, digits, tmp_path, run_rows):
    stopped = run_sweep(experiment(), digits, tmp_path)
    for progress in stopped:
        if progress.done >= 4:
            break
    stopped.close()
    kept = read_run(tmp_path).rows
    assert 0 < len(kept) < len(finished[0])
    content = (tmp_path / "trials.jsonl").read_bytes()
    (tmp_path / "trials.jsonl").write_bytes(content[:-40])  # one row of a unit is cut
    with pytest.warns(UserWarning, match="cut off"):
        first = next(run_sweep(experiment(), digits, tmp_path))
    assert first.done == progress.done - 1
    rows = run_rows(experiment(), digits, tmp_path)
    assert rows[: len(kept) - 1] == kept[:-1]
    assert results(rows) == results(finished[0])
    assert len(rows) == len(finished[0])


def test_a_finished_run_runs_nothing(finished, digits):
    rows, folder = finished
    progress = list(run_sweep(experiment(), digits, folder))
    assert len(progress) == 1
    assert read_run(folder).rows == rows


def test_one_program_per_cell_and_shared_attacks(
    digits, tmp_path, run_rows, watch_programs
):
    """More trials and strengths compile nothing more.

    2 victims, one direct inference for both, one linear recovery for rows of zero sum
    and one for others.
    """
    many = experiment(
        num_trials=4,
        train_steps=(0,),
        defenses={
            "none": NoDefense(),
            "dp": DPGaussian(noise_std=(0.0, 0.01, 0.05, 0.1)),
        },
        execution=Execution(chunk_size=2),
    )
    with watch_programs() as made:
        run_rows(many, digits, tmp_path)
    (programs,) = made
    assert len(programs._compiled) == 2 + 1 + 2


def chunks_of(setting, dataset):
    task = Task(setting, dataset, 10)
    arrays = load_arrays(task)
    of_attacks = {
        label: attack.prepare(task) for label, attack in setting.attacks.items()
    }
    programs = sweep.Programs(setting)
    return sweep._Chunks(task, programs, arrays, of_attacks, Path())


def on_accelerator(monkeypatch, limit):
    device = types.SimpleNamespace(memory_stats=lambda: {"bytes_limit": limit})
    monkeypatch.setattr(jax, "devices", lambda: [device])


def test_how_many_trials_fit_is_known_before_any_runs(digits, monkeypatch):
    small = experiment()
    chunks, cell = chunks_of(small, digits), Cell(10, 16, "none")
    monkeypatch.setattr(jax.stages.Compiled, "__call__", None)
    sizes = []
    for limit in (1, 10**15):
        on_accelerator(monkeypatch, limit)
        sizes.append(sweep._chunk_size(chunks, cell, 5000))
    assert sizes == [jax.device_count(), 1024]
    assert len(chunks.programs._compiled) == 1 + len(small.attacks)


@pytest.mark.parametrize("is_residual", [False, True])
def test_only_trials_that_run_at_once_fill_an_accelerator(
    is_residual, digits, monkeypatch
):
    """Residual networks run one after the other, a chunk for each device."""
    model = ResNet(depth=8) if is_residual else MLP()
    chunks = chunks_of(experiment(model=model), digits)
    on_accelerator(monkeypatch, 10**10)
    monkeypatch.setattr(sweep._RunningChunk, "hungriest", lambda _: 10**10 // 12)
    size = sweep._chunk_size(chunks, Cell(10, 16, "none"), 20)
    assert size == (jax.device_count() if is_residual else 12)


def trained(setting, dataset, cell):
    """`observed(key, strength)`: the view of the first attack at the first step."""
    arrays = load_arrays(Task(setting, dataset, cell.num_classes))
    victim = jax.jit(make_victim(setting, cell, tuple(setting.attacks.values())))

    def observed(key, strength=0.0):
        at_strength = Setting(jnp.array(strength), jnp.array(0))
        return victim(key, (at_strength, {}), arrays).at_steps[0]

    return observed, arrays


def test_fresh_classes_per_trial(digits):
    """Untrained, 3 of 10 classes: labels are renumbered, classes differ by trial."""
    setting = Experiment(
        name="x", data=Data(class_counts=(3,)), batch_sizes=(24,), num_trials=2
    )
    observed, arrays = trained(setting, digits, Cell(3, 24, "none"))
    classes = []
    for trial in range(4):
        seen = observed(jax.random.fold_in(jax.random.key(0), trial))
        original = np.asarray(arrays.labels[seen.rows])
        pairs = set(zip(original.tolist(), seen.truth.tolist(), strict=True))
        assert len(pairs) == len(set(original)) == 3
        classes.append(frozenset(original.tolist()))
    assert len(set(classes)) > 1


def test_first_classes_can_be_trained(digits, tmp_path, run_rows):
    setting = experiment(
        data=Data(class_counts=(4,), class_choice="first"),
        training=Training(steps=150, batch_size=64, learning_rate=0.01),
        defenses={"none": NoDefense()},
        train_steps=(0,),
        num_trials=1,
    )
    rows = run_rows(setting, digits, tmp_path)
    assert rows[0]["num_classes"] == 4
    assert rows[0]["main_accuracy"] > 0.9


def test_a_diverged_attack_stays_in_the_table(digits, tmp_path, run_rows):
    setting = experiment(
        training=Training(steps=30, batch_size=32, optimizer="sgd", learning_rate=1e30),
        train_steps=(0, 30),
        defenses={"none": NoDefense()},
        attacks={"inversion": GradientInversion(steps=5)},
        num_trials=2,
    )
    rows = run_rows(setting, digits, tmp_path)
    assert [row["train_step"] for row in rows] == [0, 0, 30, 30]
    assert [row["status"] for row in rows] == ["training_diverged"] * 4
    assert [row["main_accuracy"] for row in rows] == [0.0] * 4
    assert [row["attack_accuracy"] for row in rows[2:]] == [0.0] * 2
    assert [row["published_accuracy"] for row in rows[2:]] == [0.0] * 2


def binary(**changes):
    """Two classes, nothing trained, MARVELL off and on, an attack of any protocol."""
    settings = {
        "data": Data(class_counts=(2,), class_choice="first"),
        "training": Training(),
        "train_steps": (0,),
        "defenses": {"marvell": Marvell(power=(0.0, 1.0))},
        "attacks": {"norm": NormScoring()},
        "num_trials": 1,
    }
    return experiment(**{**settings, **changes})


def test_a_batch_sent_unprotected_is_no_silent_success(digits, tmp_path, run_rows):
    """One sample has one class, between which MARVELL has nothing to hide."""
    rows = run_rows(binary(batch_sizes=(1,)), digits, tmp_path)
    status = {row["defense_strength"]: row["status"] for row in rows}
    assert status == {0.0: "ok", 1.0: "sent_unprotected"}


def test_marvell_noises_every_direction_of_a_top_models_messages(digits):
    """They are three numbers wide, and rows do not sum to zero."""
    setting = binary(
        model=MLP(hidden=(), embed=3), protocol=ModelSplitting(top=Top(widths=(4,)))
    )
    observed, _ = trained(setting, digits, Cell(2, 16, "marvell"))
    clean, noised = (observed(jax.random.key(0), power) for power in (0.0, 1.0))
    assert not noised.is_unprotected
    name = SampleGradientView.name
    noise = np.asarray(noised.views[name].gradients - clean.views[name].gradients)
    longest = np.max(np.linalg.norm(noise, axis=1))
    assert np.max(np.abs(noise.sum(axis=1))) > 0.1 * longest > 0


def test_noise_does_not_depend_on_which_views_are_asked_for(digits, tmp_path, run_rows):
    """A view on the way is a look, not an intervention: the same model at the end."""
    noisy = {"dp": DPGaussian(noise_std=(0.05,))}
    accuracies = []
    for steps in ((20,), (5, 20)):
        setting = experiment(train_steps=steps, defenses=noisy, num_trials=1)
        rows = run_rows(setting, digits, tmp_path / str(len(steps)))
        accuracies.append({row["main_accuracy"] for row in rows})
    assert accuracies[0] == accuracies[1]


def test_exact_solves_of_several_trials_on_several_devices_finish(
    digits, tmp_path, run_rows
):
    """Batches of LAPACK factorizations on two CPU devices would wait for ever."""
    assert jax.local_device_count() == 2
    setting = experiment(
        training=Training(),
        train_steps=(0,),
        batch_sizes=(64,),
        defenses={"none": NoDefense()},
        attacks={"exact": LinearRecovery(solver="exact")},
        num_trials=6,
        execution=Execution(chunk_size=6),
    )
    rows = run_rows(setting, digits, tmp_path / "run")
    assert [row["status"] for row in rows] == ["ok"] * 6
    assert min(row["attack_accuracy"] for row in rows) >= 0.7
