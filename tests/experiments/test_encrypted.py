"""Experiments on real ciphertexts: the rows of the simulation, from decrypted views."""

import dataclasses
import json
from typing import Any

import pytest

from vfljax import data
from vfljax.attacks import (
    ClusterMatching,
    DirectInference,
    GradientInversion,
    KnownEncoder,
    LabelReplacement,
    LinearRecovery,
    MessageSmoothing,
    NoiseAwareRecovery,
)
from vfljax.defenses import CAE, DiscreteSGD, DPGaussian, NoDefense, Sparsification
from vfljax.experiments import (
    Data,
    Encryption,
    Experiment,
    Training,
    read_run,
    run_sweep,
)
from vfljax.models import MLP

CG = LinearRecovery(solver="cg", iterations=300)
INTEGERS = Encryption(backend="plain_int", processes=False)
NOT_COMPARED = (
    *("seconds", "train_seconds", "encryption", "weights_max_difference", "residual"),
)
DEFENSES = {
    "none": NoDefense(),
    "noise": DPGaussian(noise_std=(0.0001, 0.01)),
    "sparse": Sparsification(keep_fraction=(0.5,)),
    "rounded": DiscreteSGD(bins=(6, 12)),
    "cae": CAE(entropy_weight=(1.0,)),
}
ATTACKS = {
    "linear": LinearRecovery(),
    "inversion": GradientInversion(steps=100),
    "noise_aware": NoiseAwareRecovery(),
    "smoothing": MessageSmoothing(),
    "cluster": ClusterMatching(),
    "encoder": KnownEncoder(),
}


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VFLJAX_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def make_experiment(**changes) -> Experiment:
    settings: dict[str, Any] = {
        "name": "encrypted",
        "data": Data(dataset="digits", adversary=1, label_party=0),
        "model": MLP(hidden=()),
        "training": Training(
            steps=3, batch_size=24, optimizer="sgd", learning_rate=0.5
        ),
        "train_steps": (0, 3),
        "batch_sizes": (24,),
        "defenses": {"none": NoDefense()},
        "attacks": {"linear": LinearRecovery()},
        "num_trials": 1,
        "encryption": INTEGERS,
    }
    return Experiment(**(settings | changes))


SWEEP = make_experiment(
    data=Data(dataset="digits", train_samples=400, adversary=1, label_party=0),
    defenses=DEFENSES,
    attacks=ATTACKS,
    train_steps=(0, 2),
    num_trials=2,
)


def rows_of(experiment, digits, folder):
    for _ in run_sweep(experiment, digits, folder):
        pass
    return read_run(folder).rows


def in_the_clear(experiment):
    return dataclasses.replace(experiment, encryption=None)


@pytest.fixture(scope="module")
def both(digits, tmp_path_factory):
    """The folder on ciphertexts, its rows, and those of the simulation."""
    folder = tmp_path_factory.mktemp("encrypted")
    rows = rows_of(SWEEP, digits, folder)
    plain = tmp_path_factory.mktemp("plain")
    return folder, rows, rows_of(in_the_clear(SWEEP), digits, plain)


def assert_same(rows, simulated):
    """Every column of every row is the same, but for what says how it came about.

    Decrypted gradients are rounded to fixed point, by some 1e-6: so are residuals.
    """
    assert [comparable(row) for row in rows] == [comparable(row) for row in simulated]
    for row, other in zip(rows, simulated, strict=True):
        assert (row["encryption"], other["encryption"]) == ("real", None)
        assert row["weights_max_difference"] <= 1e-5
        if other["residual"] is not None:
            assert row["residual"] == pytest.approx(other["residual"], abs=1e-3)


def comparable(row):
    return {name: value for name, value in row.items() if name not in NOT_COMPARED}


@pytest.mark.parametrize("defense", list(DEFENSES))
def test_every_attacker_finds_what_it_finds_on_the_simulated_view(both, defense):
    """Row by row, those who know the defense included: adaptive ones found 0 % once."""
    rows, simulated = (
        [row for row in of_run if row["defense"] == defense] for of_run in both[1:]
    )
    strengths = len(DEFENSES[defense].strengths)
    assert len(rows) == strengths * 2 * 2 * len(ATTACKS)
    assert_same(rows, simulated)


def test_adaptive_attackers_win_on_ciphertexts(both):
    """Under codes whoever ignores the defense finds nothing; noise is smoothed."""

    def found(attack, defense):
        return [
            row["attack_accuracy"]
            for row in both[1]
            if (row["attack"], row["defense"]) == (attack, defense)
        ]

    assert min(found("linear", "none")) >= 0.95
    assert max(found("linear", "cae")) <= 0.3
    assert min(found("cluster", "cae")) >= 0.5
    assert min(found("encoder", "cae")) >= 0.6
    for attack in ("linear", "noise_aware", "smoothing"):
        assert min(found(attack, "noise")) >= 0.5


def test_the_folder_says_who_learned_what(both):
    folder = both[0]
    accounts = sorted(folder.glob("encrypted/*/engine.json"))
    assert len(accounts) == 5  # defenses
    account = json.loads(accounts[0].read_text())
    roles = {row["role"] for row in account["learned"]}
    assert roles == {"passive_0", "active", "third_party", "network"}
    assert account["adversary"] == "passive_0"
    assert all(row["num_bytes"] >= 0 for row in account["messages"])


def test_a_finished_run_does_nothing_and_a_killed_one_goes_on(both, digits, tmp_path):
    folder, rows, _ = both
    progress = list(run_sweep(make_experiment(), digits, folder))
    assert [each.done for each in progress] == [5]
    few = make_experiment(
        defenses={"noise": DPGaussian(noise_std=(0.003,))}, attacks={"linear": CG}
    )
    running = run_sweep(few, digits, tmp_path)
    for each in running:
        if "iteration 2" in each.activity:
            break
    running.close()
    again = rows_of(few, digits, tmp_path)
    whole = [
        row for row in rows if (row["defense"], row["attack"]) == ("noise", "linear")
    ]
    assert [comparable(row) for row in again] == [comparable(row) for row in whole]


def test_a_backdoor_on_ciphertexts_is_that_of_the_simulation(digits, tmp_path):
    corner = data.Trigger([(7, 0), (6, 0), (5, 0)], [(1.0,)] * 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "TRIGGERS", {**data.TRIGGERS, "corner": corner})
        backdoor = LabelReplacement(
            trigger="corner", num_poisoned=20, num_poisoned_test=50, amplification=4.0
        )
        experiment = make_experiment(
            defenses={"none": NoDefense()},
            attacks={"linear": CG, "backdoor": backdoor},
        )
        rows = rows_of(experiment, digits, tmp_path / "encrypted")
        simulated = rows_of(in_the_clear(experiment), digits, tmp_path / "plain")
    assert len(rows) == len(simulated) == 3
    for row, other in zip(rows, simulated, strict=True):
        for name in ("attack_accuracy", "published_accuracy", "main_accuracy"):
            expected = other.get(name)
            if expected is None:
                assert row.get(name) is None
            else:
                assert row[name] == pytest.approx(expected, abs=1.01 / 24)
        assert row["weights_max_difference"] <= 1e-4


def test_the_quadratic_surrogate_runs(digits, tmp_path):
    taylor = dataclasses.replace(INTEGERS, mode="taylor")
    experiment = make_experiment(
        encryption=taylor, defenses={"none": NoDefense()}, attacks={"linear": CG}
    )
    rows = rows_of(experiment, digits, tmp_path)
    assert [row["train_step"] for row in rows] == [0, 3]
    assert rows[0]["attack_accuracy"] >= 0.9
    assert "weights_max_difference" not in rows[0]


@pytest.mark.slow
def test_real_encryption_in_processes(digits, tmp_path):
    pytest.importorskip("tenseal")
    experiment = make_experiment(
        training=Training(steps=1, batch_size=8, optimizer="sgd", learning_rate=0.5),
        train_steps=(0,),
        batch_sizes=(8,),
        defenses={"none": NoDefense()},
        attacks={"linear": CG},
        encryption=Encryption(preset="small", layout="compact"),
    )
    (row,) = rows_of(experiment, digits, tmp_path / "encrypted")
    (other,) = rows_of(in_the_clear(experiment), digits, tmp_path / "plain")
    assert row["attack_accuracy"] == other["attack_accuracy"]
    assert row["weights_max_difference"] <= 1e-4
    account = next((tmp_path / "encrypted").glob("encrypted/*/engine.json"))
    forms = {m["form"] for m in json.loads(account.read_text())["messages"]}
    assert "encrypted, masked" in forms


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": MLP(hidden=(8,))}, "model="),
        ({"batch_sizes": (16,)}, "batch_sizes="),
        (
            {"attacks": {"direct": DirectInference()}},
            "attacks.direct='DirectInference'",
        ),
    ],
)
def test_what_can_not_be_encrypted(changes, message):
    with pytest.raises(ValueError, match=message):
        make_experiment(**changes)


def test_choices():
    with pytest.raises(ValueError, match=r"'row' where encryption\.mode is 'taylor'"):
        Encryption(mode="taylor", layout="compact")
