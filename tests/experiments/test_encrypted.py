"""Experiments on real ciphertexts: the rows of the simulation, from decrypted views."""

import dataclasses
import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vfljax import data
from vfljax.attacks import (
    ClusterMatching,
    DirectInference,
    GradientInversion,
    KnownEncoder,
    LabelFlip,
    LabelReplacement,
    LinearRecovery,
    MessageSmoothing,
    ModelCompletion,
    NoiseAwareRecovery,
)
from vfljax.defenses import (
    CAE,
    DiscreteSGD,
    DPGaussian,
    Marvell,
    NoDefense,
    Sparsification,
)
from vfljax.experiments import (
    Data,
    Encryption,
    Execution,
    Experiment,
    RunFolderError,
    Training,
    read_run,
    run_sweep,
)
from vfljax.models import MLP
from vfljax.protocol import Manipulation

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
    "inversion": GradientInversion(steps=50),
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
    assert len(rows) == strengths * 2 * len(ATTACKS)
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


@pytest.mark.parametrize(
    ("num_parties", "adversary", "label_party"), [(2, 0, 1), (3, 2, 1)]
)
def test_anybody_may_be_the_adversary_and_have_the_labels(
    digits, tmp_path, num_parties, adversary, label_party
):
    """Three trials at two strengths, in chunks of two with one to fill up."""
    parties = Data(
        dataset="digits",
        split="columns",
        num_parties=num_parties,
        adversary=adversary,
        label_party=label_party,
    )
    assert_encrypted_is_simulated(
        make_experiment(
            data=parties,
            defenses={"noise": DPGaussian(noise_std=(0.001, 0.02))},
            num_trials=3,
            execution=Execution(chunk_size=2),
        ),
        digits,
        tmp_path,
    )


def assert_encrypted_is_simulated(experiment, dataset, folder):
    rows = rows_of(experiment, dataset, folder / "encrypted")
    assert_same(rows, rows_of(in_the_clear(experiment), dataset, folder / "plain"))
    return rows


def test_a_defense_that_can_not_protect_a_batch_says_so(digits, tmp_path):
    """MARVELL sends a batch of one class as it is; half of these have one alone."""
    is_some, is_test = digits.train_labels < 2, digits.test_labels < 2
    labels = digits.train_labels[is_some] * (np.arange(is_some.sum()) % 4 == 0)
    rare = data.from_arrays(
        digits.train_features[is_some],
        labels,
        digits.test_features[is_test],
        digits.test_labels[is_test],
    )
    rows = assert_encrypted_is_simulated(
        make_experiment(
            data=Data(dataset=rare, split="rows", adversary=1, label_party=0),
            training=Training(steps=2, batch_size=8, optimizer="sgd"),
            batch_sizes=(8,),
            train_steps=(0, 1, 2),
            defenses={"marvell": Marvell(power=(1.0,))},
            num_trials=4,
        ),
        rare,
        tmp_path,
    )
    assert {row["status"] for row in rows} == {"ok", "sent_unprotected"}


def test_the_folder_says_who_learned_what(both):
    folder = both[0]
    accounts = sorted(folder.glob("encrypted/*/engine.json"))
    assert len(accounts) == 7  # strengths of defenses
    account = json.loads(accounts[0].read_text())
    roles = {row["role"] for row in account["learned"]}
    assert roles == {"passive_0", "active", "third_party", "network"}
    assert account["adversary"] == "passive_0"
    assert all(row["num_bytes"] >= 0 for row in account["messages"])


def test_a_finished_run_does_nothing(both, digits):
    folder, before = both[0], snapshot(both[0])
    progress = list(run_sweep(SWEEP, digits, folder))
    assert [each.done for each in progress] == [len(before["engines"])]
    assert snapshot(folder) == before


def snapshot(folder):
    """What a run wrote, and when it wrote about each training."""
    engines = sorted(folder.glob("encrypted/*/engine.json"))
    return {
        "rows": (folder / "trials.jsonl").read_bytes(),
        "engines": [(path, path.stat().st_mtime_ns) for path in engines],
    }


def test_a_killed_run_goes_on_in_the_middle_of_a_training(digits, tmp_path):
    """It says which iteration it is at, and repeats none that was over."""
    experiment = make_experiment(defenses={"noise": DPGaussian(noise_std=(0.003,))})
    said = []
    running = run_sweep(experiment, digits, tmp_path / "cut")
    for each in running:
        said.append(each.activity)
        if "iteration 3 of" in each.activity:
            break
    running.close()
    assert said[1:] == [
        "noise 0.003 trial 0: the roles start",
        *(f"noise 0.003 trial 0: iteration {number} of 5" for number in (1, 2, 3)),
    ]
    assert read_run(tmp_path / "cut").rows == []
    (log,) = (tmp_path / "cut").glob("encrypted/*/messages.jsonl")
    before = log.read_text()
    more = dataclasses.replace(experiment, num_trials=2)
    rows = rows_of(more, digits, tmp_path / "cut")
    assert log.read_text().startswith(before)
    later = log.read_text().removeprefix(before).splitlines()
    assert {json.loads(line)["iteration"] for line in later} == {-1, 3, 4}
    whole = rows_of(more, digits, tmp_path / "whole")
    assert [comparable(row) for row in rows] == [comparable(row) for row in whole]
    with pytest.raises(RunFolderError, match="seed=0, this one has 1"):
        rows_of(dataclasses.replace(more, seed=1), digits, tmp_path / "cut")
    apart = dataclasses.replace(INTEGERS, processes=True)
    finished = dataclasses.replace(more, encryption=apart)
    assert rows_of(finished, digits, tmp_path / "cut") == rows  # the same results


CORNER = data.Trigger([(7, 0), (6, 0), (5, 0)], [(1.0,)] * 3)  # dark in all digits


@pytest.fixture
def corner(monkeypatch):
    monkeypatch.setattr(data, "TRIGGERS", {**data.TRIGGERS, "corner": CORNER})


MARKED: dict[str, Any] = {
    "trigger": "corner",
    "num_poisoned": 30,
    "num_poisoned_test": 100,
    "target_class": 0,
}


def test_backdoors_on_ciphertexts_are_those_of_the_simulation(corner, digits, tmp_path):
    """Rows swapped, amplified, changed by what one party clustered: the same rates.

    Attacks that differ in a number alone have trainings of their own.
    """
    experiment = make_experiment(
        training=Training(steps=40, batch_size=24, optimizer="sgd", learning_rate=0.3),
        train_steps=(0,),
        attacks={
            "linear": LinearRecovery(),
            "strong": LabelReplacement(**MARKED, amplification=10.0),
            "weak": LabelReplacement(**MARKED, amplification=1.0),
            "as_drawn": LabelReplacement(**MARKED, batches="as_drawn"),
            "flip": LabelFlip(**MARKED),
        },
    )
    rows = assert_encrypted_is_simulated(experiment, digits, tmp_path)
    rates = {row["attack"]: row["attack_accuracy"] for row in rows}
    assert rates["strong"] >= rates["weak"] + 0.3
    assert rates["flip"] >= rates["weak"] + 0.3
    engines = read_run(tmp_path / "encrypted").engines
    assert [each["is_honest"] for each in engines].count(True) == 1
    assert len(engines) == len(experiment.attacks)


def test_codes_are_flipped_on_ciphertexts_too(corner, digits, tmp_path):
    """Who clusters recovered messages knows an encoder's codes, and adds those."""
    experiment = make_experiment(
        training=Training(steps=20, batch_size=24, optimizer="sgd", learning_rate=0.3),
        defenses={"cae": CAE(entropy_weight=(1.0,))},
        attacks={"flip": LabelFlip(**MARKED, of=ClusterMatching())},
    )
    (row,) = assert_encrypted_is_simulated(experiment, digits, tmp_path)
    assert row["attack_accuracy"] >= row["chance_accuracy"] + 0.3


def test_what_can_not_be_done_to_ciphertexts_is_said_in_a_line(digits, tmp_path):
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Shouts(LabelFlip):
        def plant(self, key, scene, parties, marked):
            louder = Manipulation(receive=lambda gradient, ids: 1.5 * gradient)
            return dict.fromkeys(parties, louder), {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "TRIGGERS", {**data.TRIGGERS, "corner": CORNER})
        attack = Shouts(**MARKED)
        with pytest.raises(ValueError, match=r"Shouts with defenses\.none: what it"):
            rows_of(make_experiment(attacks={"shouts": attack}), digits, tmp_path)


def test_trained_models_are_those_of_the_simulation(digits, tmp_path):
    """An honest victim is shared with attacks on messages, a malicious one is not."""
    quick: dict[str, Any] = {"epochs": 1, "steps_per_epoch": 5}
    experiment = make_experiment(
        train_steps=(0,),
        attacks={
            "passive": ModelCompletion(**quick),
            "active": ModelCompletion(**quick, optimizer="malicious"),
            "linear": LinearRecovery(),
        },
        record_alone=True,
    )
    rows = assert_encrypted_is_simulated(experiment, digits, tmp_path)
    main = {row["attack"]: row["weights_max_difference"] for row in rows}
    assert main["passive"] == main["linear"] != main["active"]


def test_the_quadratic_surrogate_runs(digits, tmp_path):
    taylor = dataclasses.replace(INTEGERS, mode="taylor")
    experiment = make_experiment(
        encryption=taylor,
        defenses={"none": NoDefense()},
        attacks={"linear": LinearRecovery()},
    )
    rows = rows_of(experiment, digits, tmp_path)
    assert [row["train_step"] for row in rows] == [0, 3]
    assert rows[0]["attack_accuracy"] >= 0.9
    assert "weights_max_difference" not in rows[0]


@pytest.mark.parametrize("layout", ["row", "compact"])
def test_real_ciphertexts(digits, tmp_path, layout):
    pytest.importorskip("tenseal")
    assert_encrypted_is_simulated(
        make_experiment(
            training=Training(steps=1, batch_size=8, optimizer="sgd"),
            train_steps=(1,),
            batch_sizes=(8,),
            encryption=Encryption(preset="small", layout=layout, processes=False),
        ),
        digits,
        tmp_path,
    )
    (engine,) = read_run(tmp_path / "encrypted").engines
    assert engine["description"]["library"].startswith("tenseal")
    assert "encrypted, masked" in {each["form"] for each in engine["messages"]}


@pytest.mark.slow
def test_the_config_on_mnist_in_processes(data_dir, tmp_path, monkeypatch):
    """Attackers on decrypted gradients, and the backdoor, as in the simulation."""
    pytest.importorskip("tenseal")
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "configs")
    experiment = importlib.import_module("encrypted_mnist").make("small")
    assert experiment.encryption == Encryption(layout="compact")
    mnist = data.load("mnist", data_dir)
    rows = assert_encrypted_is_simulated(experiment, mnist, tmp_path)
    found = [r["attack_accuracy"] for r in rows if r["attack"] == "linear_recovery"]
    assert min(found) >= 0.93  # of the first release


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
