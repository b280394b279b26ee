"""An encrypted run: the same as the plain one, and its folder says who learned what."""

import dataclasses
import json

import chex
import jax
import numpy as np
import pytest
from vfljax.experiments.encrypted import scores, setup
from vfljax.experiments.encrypted.run import train_encrypted, train_plain
from vfljax.reports.encrypted import draw_messages

from vfljax import attacks, cli, data
from vfljax.experiments import (
    CAE,
    Data,
    DPLaplace,
    EncryptedRun,
    GradientInversion,
    LinearRecovery,
    RunFolderError,
    Sparsification,
    read_encrypted,
    run_encrypted,
)
from vfljax.protocol import BatchGradientView, encrypted

SMALL = EncryptedRun(
    name="small",
    data=Data(dataset="digits", train_samples=100),
    hidden=(24,),
    iterations=4,
    batch_size=8,
    backend="plain_int",
    preset="small",
    attack_iterations=(0, 3),
    attacks={"linear": LinearRecovery(solver="exact")},
    processes=False,
)

POISONED = EncryptedRun(
    name="poisoned",
    data=Data(dataset="digits"),
    iterations=100,
    batch_size=64,
    backend="plain_int",
    preset="small",
    attack_iterations=(),
    replaced_pairs=1,
    processes=False,
)


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


@pytest.fixture(scope="module")
def folder(digits, tmp_path_factory):
    """Of a finished run on real ciphertexts."""
    folder = tmp_path_factory.mktemp("runs") / "real"
    run_encrypted(dataclasses.replace(SMALL, backend="bfv"), digits, folder)
    return folder


class Stopped(Exception):  # noqa: N818
    """Stands for whatever stops a run."""


def stop_at(iteration):
    def on_iteration(done):
        if done == iteration:
            raise Stopped

    return on_iteration


def test_attack_on_ciphertexts_is_the_simulated_one(folder):
    """All labels, as 8 samples are fewer than 24 activations and a bias."""
    rows = read_encrypted(folder)["attacks"]
    assert [row["iteration"] for row in rows] == [0, 3]
    for row in rows:
        assert row["encrypted_accuracy"] == row["simulated_accuracy"] == 1.0
        assert row["same_labels"] == 1.0
        assert row["chance_accuracy"] < 0.2


def test_rates_are_the_simulated_ones_where_not_all_labels_are_found(digits, tmp_path):
    """64 samples for 33 columns, one pair replaced: its target does not count."""
    experiment = dataclasses.replace(
        POISONED,
        iterations=3,
        attack_iterations=(0, 2),
        attacks={
            "linear": LinearRecovery(),
            "inversion": GradientInversion(steps=200),
        },
    )
    rows = run_encrypted(experiment, digits, tmp_path)["attacks"]
    assert len(rows) == 4
    for row in rows:
        assert row["encrypted_accuracy"] == row["simulated_accuracy"]
        assert row["same_labels"] == 1.0
        assert 2 * row["chance_accuracy"] < row["encrypted_accuracy"] < 1
        hits = 63 * row["encrypted_accuracy"]
        assert np.isclose(hits, round(hits), atol=1e-4)


def test_weights_are_those_of_the_plain_training(folder):
    """To 1e-5: activations are rounded to 14 bits."""
    result = read_encrypted(folder)
    assert 0 < result["weights_max_difference"] < 1e-5
    assert len(result["losses"]) == 4


def test_an_attack_can_not_tell_which_view_it_has(digits):
    """One type, one tree of the same shapes: one compiled program for both."""
    experiment = dataclasses.replace(SMALL, backend="bfv")
    prepared = setup.prepare(experiment, digits)
    run = train_encrypted(experiment, prepared)
    decrypted = run.observations[0][3].view
    simulated = train_plain(experiment, prepared).views[3]
    assert type(decrypted) is type(simulated) is BatchGradientView
    assert jax.tree.structure(decrypted) == jax.tree.structure(simulated)
    shapes = [jax.tree.map(np.shape, view) for view in (decrypted, simulated)]
    assert shapes[0] == shapes[1]
    chex.assert_trees_all_close(decrypted, simulated, atol=1e-4)

    def recover(view):
        return attacks.linear_recovery(view, solver="exact")

    attack = jax.jit(chex.assert_max_traces(recover, n=1))
    truth = prepared.labels[prepared.batches[3]]
    np.testing.assert_array_equal(attack(decrypted).labels, truth)
    np.testing.assert_array_equal(attack(simulated).labels, truth)


def test_the_attacker_may_be_any_passive_party_and_noise_is_the_same(digits):
    """Three parties, the second attacks; a defense acts in both trainings alike."""
    experiment = dataclasses.replace(
        SMALL,
        data=dataclasses.replace(SMALL.data, num_parties=3, adversary=1),
        hidden=(),
        defense=DPLaplace(strengths=(0.01,)),
    )
    prepared = setup.prepare(experiment, digits)
    run = train_encrypted(experiment, prepared)
    plain = train_plain(experiment, prepared)
    assert scores.largest_difference(run.params, plain.params) < 1e-5
    assert [sorted(each) for each in run.observations] == [[], [0, 3]]
    for number, observation in run.observations[1].items():
        chex.assert_trees_all_close(
            observation.view.gradient, plain.views[number].gradient, atol=1e-5
        )


def test_who_learned_what_names_every_role(folder):
    page = (folder / "who_learned_what.md").read_text()
    for role in ("passive_0", "active", "third_party", "network"):
        assert f"| {role} |" in page
    assert "100.0 % (linear, iteration 3)" in page
    assert "threat model: honest-but-curious" in page
    result = read_encrypted(folder)
    learned = {
        (row["role"], row["form"]): row["learned"] for row in result["who_learned_what"]
    }
    assert learned["passive_0", "encrypted"].startswith("nothing")
    assert "logits" in learned["active", "masked plain"]
    assert "random" in learned["third_party", "encrypted, masked"]
    assert "noise depends" in learned["third_party", "encrypted, masked"]


def test_who_learned_what_has_a_row_for_every_kind_in_the_log(folder):
    """The network's messages too; the third party isn't told which samples."""
    lines = (folder / "messages.jsonl").read_text().splitlines()
    logged = {
        (line["receiver"], line["sender"], line["kind"])
        for line in map(json.loads, lines)
    }
    assert ("third_party", "network", "setup") in logged
    rows = read_encrypted(folder)["who_learned_what"]
    assert len(rows) == len(logged) + 1  # and the network's own
    told = {
        row["role"]: (row["saw"], row["learned"])
        for row in rows
        if row["saw"].endswith("(from network)")
    }
    numbers = "numbers of the samples in each batch (from network)"
    for party in ("passive_0", "active"):
        assert told[party] == (numbers, "which samples are in a batch")
    saw, learned = told["third_party"]
    assert saw == "start of each iteration (from network)"
    assert learned == "how many iterations there are"


def test_figure_is_about_messages_between_roles(folder):
    """One bar for each of the six messages of an iteration."""
    (axes,) = draw_messages(read_encrypted(folder)).axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert len(names) == 6
    assert not any("network" in name or "public key" in name for name in names)


def test_bytes_are_those_of_the_log(folder):
    result = read_encrypted(folder)
    lines = (folder / "messages.jsonl").read_text().splitlines()
    logged = [json.loads(line) for line in lines]
    total = sum(row["num_bytes"] for row in result["messages"])
    assert total == sum(line["num_bytes"] for line in logged)
    gradients = [r for r in result["messages"] if r["kind"] == "logit_gradients"]
    assert [row["num_ciphertexts"] for row in gradients] == [4 * 8]
    assert all(seconds > 0 for seconds in result["wall_seconds"])


def test_interrupted_run_goes_on_to_the_same_end(digits, tmp_path):
    """Also on messages of the interrupted iteration, which are logged twice."""
    experiment = dataclasses.replace(SMALL, attack_iterations=(), hidden=())
    with pytest.raises(Stopped):
        run_encrypted(experiment, digits, tmp_path / "cut", stop_at(2))
    with pytest.raises(RunFolderError, match="isn't finished"):
        read_encrypted(tmp_path / "cut")
    cut = run_encrypted(experiment, digits, tmp_path / "cut")
    whole = run_encrypted(experiment, digits, tmp_path / "whole")
    assert (cut["first_iteration"], whole["first_iteration"]) == (2, 0)
    for name in ("losses", "weights_max_difference", "who_learned_what"):
        assert cut[name] == whole[name]
    calls = [row["num_messages"] for row in whole["messages"]]
    assert [row["num_messages"] for row in cut["messages"]] == calls
    again = run_encrypted(experiment, digits, tmp_path / "cut")
    assert again == cut


@pytest.mark.slow
def test_roles_in_processes_of_their_own_give_the_same(digits, tmp_path):
    """The default of an encrypted run, with a defense that each process must get."""
    experiment = dataclasses.replace(
        SMALL, iterations=2, attack_iterations=(1,), defense=CAE(strengths=(1.0,))
    )
    here = run_encrypted(experiment, digits, tmp_path / "here")
    apart = dataclasses.replace(experiment, processes=True)
    there = run_encrypted(apart, digits, tmp_path / "there")
    np.testing.assert_allclose(there["losses"], here["losses"], rtol=1e-5)
    assert there["attacks"] == here["attacks"]
    assert there["main_accuracy"] == pytest.approx(here["main_accuracy"], abs=0.01)
    assert there["weights_max_difference"] < 1e-5


def test_backdoor_on_ciphertexts_is_the_plain_one(digits, tmp_path):
    """Rows of real ciphertexts are swapped; the weights are the poisoned plain ones."""
    experiment = dataclasses.replace(
        POISONED, backend="bfv", iterations=2, batch_size=8, replaced_pairs=2
    )
    result = run_encrypted(experiment, digits, tmp_path)
    assert result["weights_max_difference"] < 1e-5
    prepared = setup.prepare(experiment, digits)
    batch = prepared.batches[0]
    assert (prepared.labels[batch[2:4]] == 0).all()
    assert (prepared.labels[batch[:2]] != 0).all()
    assert (prepared.activations[0][batch[:2], -4:] == 1).all()
    assert (prepared.activations[0][batch[4:], -4:] < 1).any(axis=1).all()
    assert prepared.operations.replace == ((0, 2), (1, 3))


def test_backdoor_reacts_to_the_mark_alone(digits):
    """Marked samples of other classes are taken for class 0, unmarked ones are not."""
    prepared = setup.prepare(POISONED, digits)
    params = train_plain(POISONED, prepared).params
    rates = scores.main_and_backdoor(POISONED, prepared, params)
    assert rates["main_accuracy"] > 0.75
    assert rates["backdoor_accuracy"] > 0.5
    assert rates["unmarked_accuracy"] < 0.1


def test_too_few_samples_for_pairs_are_refused(digits, tmp_path):
    few = dataclasses.replace(SMALL, replaced_pairs=3, iterations=33)
    with pytest.raises(ValueError, match="replaced_pairs=3: must be at most"):
        run_encrypted(few, digits, tmp_path)


def test_another_experiment_is_refused_in_a_folder(digits, folder):
    other = dataclasses.replace(SMALL, backend="bfv", batch_size=9)
    with pytest.raises(RunFolderError, match="batch_size=8, this one has 9"):
        run_encrypted(other, digits, folder)


def test_taylor_mode_has_no_plain_training_to_compare_with(digits, tmp_path):
    experiment = dataclasses.replace(SMALL, mode="taylor")
    result = run_encrypted(experiment, digits, tmp_path)
    assert result["weights_max_difference"] is None
    assert result["losses"] == [None] * 4
    assert {row["simulated_accuracy"] for row in result["attacks"]} == {None}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "name=''"),
        ({"data": Data(adversary=1, label_party=0)}, "label_party=0: must be the last"),
        ({"data": Data(class_counts=(2,))}, "data.class_counts"),
        ({"hidden": (0,)}, "hidden"),
        ({"iterations": 0}, "iterations=0: must be >= 1"),
        ({"batch_size": 0}, "batch_size=0: must be >= 1"),
        ({"learning_rate": 0.0}, "learning_rate=0.0: must be above zero"),
        ({"mode": "taylor", "layout": "compact"}, "layout='compact': must be 'row'"),
        ({"defense": CAE(strengths=(0.0, 1.0))}, "one strength"),
        ({"replaced_pairs": 4}, r"replaced_pairs=4: must be in \[0, 3\]"),
        ({"amplification": 0}, "amplification=0: must be >= 1"),
        ({"target_class": -1}, "target_class=-1: must be >= 0"),
        ({"attacks": {}}, "attacks={}: must be not empty"),
        ({"attack_iterations": (4,)}, r"attack_iterations=4: must be in \[0, .* = 3"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SMALL, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 101}, "batch_size=101: larger than the data set"),
        ({"data": Data(split="rowz")}, "rowz"),
        ({"target_class": 10}, "target_class=10: must be below 10"),
        (
            {"mode": "taylor", "defense": Sparsification(strengths=(0.5,))},
            "taylor",
        ),
    ],
)
def test_experiments_that_do_not_fit_leave_no_result(
    changes, message, digits, tmp_path
):
    with pytest.raises(ValueError, match=message):
        run_encrypted(dataclasses.replace(SMALL, **changes), digits, tmp_path)
    assert not (tmp_path / "encrypted.json").exists()


COMMAND = ["run", "encrypted_mnist", "--data.dataset", "digits", "--scale", "small"]
QUICK = ["--no-processes", "--backend", "plain_int", "--data.train-samples", "100"]


def test_command_line_runs_reports_and_lists(tmp_path, capsys):
    arguments = [*COMMAND, *QUICK, "--out", str(tmp_path / "out")]
    assert cli.main(arguments) == 0
    printed = capsys.readouterr().out
    for words in ("Who learned what", "third_party", "linear_recovery", "100.0"):
        assert words in printed
    figure = tmp_path / "out" / "report" / "messages.png"
    before = figure.read_bytes()
    figure.unlink()
    assert cli.main(["report", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.split("\n\n/")[0] in printed
    assert figure.read_bytes() == before
    assert cli.main(["list"]) == 0
    assert "encrypted_mnist" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--iterations", "0"], "iterations=0: must be >= 1"),
        (["--layout", "diagonal"], "--layout"),
        (["--preset", "toy"], "--preset"),
        (["--data.split", "rowz"], "did you mean 'rows'"),
    ],
)
def test_wrong_arguments_are_one_line_and_status_2(
    arguments, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert cli.main([*COMMAND, *QUICK, *arguments]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert message in said


@pytest.mark.parametrize(
    "failure",
    [
        encrypted.RoleFailed("active", 2, "its process was ended by SIGKILL"),
        ImportError("tenseal is absent: pip install 'vfljax[encrypted]'"),
    ],
    ids=["role", "library"],
)
def test_failures_are_one_line_and_status_1(failure, tmp_path, monkeypatch, capsys):
    def fail(*arguments, **settings):
        raise failure

    monkeypatch.setattr(encrypted, "run_here", fail)
    assert cli.main([*COMMAND, *QUICK, "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"vfljax: {failure}\n"


def test_report_of_an_unfinished_run_says_so(digits, tmp_path, capsys):
    with pytest.raises(Stopped):
        run_encrypted(SMALL, digits, tmp_path, stop_at(1))
    assert cli.main(["report", str(tmp_path)]) == 2
    assert "an encrypted run that isn't finished" in capsys.readouterr().err
