"""The command line, from outside: files, exit status, one line for a mistake."""

import dataclasses
import json
import subprocess
import sys
import textwrap

import pytest

from vfljax import cli
from vfljax.experiments import (
    CAE,
    Chain,
    DiscreteSGD,
    Experiment,
    ModelCompletion,
    Top,
    Training,
    attack_specs,
    defense_specs,
)

CONFIG = """
from vfljax.experiments import Experiment, LinearRecovery, Training, DPGaussian, \\
    NoDefense, DirectInference
experiment = Experiment(
    name="mine",
    training=Training(steps=5, batch_size=16),
    batch_sizes=(8,),
    defenses={"none": NoDefense(), "dp": DPGaussian(strengths=(0.01,))},
    attacks={"linear": LinearRecovery(solver="cg", iterations=20),
             "direct": DirectInference()},
    num_trials=2,
)
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(CONFIG)
    return str(path)


def read_rows(folder):
    lines = (folder / "trials.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def one_line(capsys):
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1, captured.err
    assert captured.err.startswith("vfljax: ")
    assert "Traceback" not in captured.err
    return captured.err


def test_run_writes_a_complete_folder_and_report_redraws_it(config, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["run", config, "--out", str(out), "--num-trials", "3"]
    assert cli.main([*arguments, "--attacks.linear.iterations", "30"]) == 0
    assert json.loads((out / "config.json").read_text())["num_trials"] == 3
    rows = read_rows(out)
    assert len(rows) == 2 * 2 * 3
    names = {path.name for path in (out / "report").iterdir()}
    assert {"summary.md", "summary.csv", "trade_off.png"} <= names
    printed = capsys.readouterr().out
    assert "dp" in printed
    assert "linear" in printed
    before = (out / "report" / "summary.md").read_bytes()
    (out / "report" / "summary.md").unlink()
    assert cli.main(["report", str(out)]) == 0
    assert (out / "report" / "summary.md").read_bytes() == before
    assert cli.main([*arguments, "--attacks.linear.iterations", "31"]) == 2
    assert "attacks.linear.iterations=30, this one has 31" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rnu"], "unknown command 'rnu'; did you mean 'run'?"),
        (["run"], "CONFIG must come first"),
        (["run", "quikstart"], "did you mean 'quickstart'?"),
        (["run", "missing.py"], "missing.py: no such file"),
        (["run", "quickstart", "--training.stepz", "3"], "--training.steps"),
        (["run", "quickstart", "--num-trials", "many"], "--num-trials"),
        (["run", "quickstart", "--num-trials", "0"], "num_trials=0: must be >= 1"),
        (["run", "quickstart", "--scale", "tiny"], "choose from"),
        (["run", "quickstart", "--data.dataset", "digitz"], "did you mean 'digits'"),
        (["run", "quickstart", "--data.num-parties", "9"], "num_parties is 9"),
        (["run", "quickstart", "--data.split", "rowz"], "did you mean 'rows'"),
        (["report", "nowhere"], "not a run folder"),
    ],
)
def test_mistakes_are_one_line_and_status_2(
    arguments, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    assert message in one_line(capsys)


def test_missing_data_says_what_is_looked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run", "fig5_mnist", "--data-dir", str(tmp_path)]) == 2
    message = one_line(capsys)
    assert "train-images-idx3-ubyte" in message
    assert str(tmp_path) in message
    assert "--data-dir" in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("experiment = Experiment()", "line 1: NameError"),
        ("import json\n\nx = (", "line 3: SyntaxError"),
        ("experiment = 3", "must hold `experiment"),
        (
            "from vfljax.experiments import Experiment\nExperiment(name='')",
            "line 2: ValueError: name=''",
        ),
    ],
)
def test_mistakes_in_a_config_name_the_line(text, message, tmp_path, capsys):
    path = tmp_path / "bad.py"
    path.write_text(textwrap.dedent(text))
    assert cli.main(["run", str(path)]) == 2
    assert message in one_line(capsys)


def test_scale_needs_a_make(config, capsys):
    assert cli.main(["run", config, "--scale", "small"]) == 2
    assert "has no `make(scale)`" in one_line(capsys)


def test_list_names_everything(capsys):
    assert cli.main(["list"]) == 0
    printed = capsys.readouterr().out
    for name in (
        "linear_recovery",
        "gradient_inversion",
        "direct_inference",
        "cluster_matching",
        "repeated_observation",
        "DPGaussian",
        "DCAE",
        "Marvell",
        "DiscreteSGD",
        "digits",
        "cifar100",
        "quadrants",
        "quickstart",
        "fig5_mnist",
    ):
        assert name in printed
    assert "cluster_rows" not in printed  # a part, not an attack of its own


def everything():
    """An experiment with every defense and every attack, by their kinds."""
    return Experiment(
        name="everything",
        same_samples=True,
        defenses={
            spec.__name__: spec() for spec in defense_specs.SingleDefense.__args__
        },
        attacks={"linear_recovery": attack_specs.LinearRecovery()}
        | {spec.__name__: spec() for spec in attack_specs.AttackSpec.__args__},
    )


def fields_of(experiment):
    """(option, value) of every field of every spec."""
    return [
        (f"--{part}.{label}.{field.name}".replace("_", "-"), getattr(spec, field.name))
        for part in ("defenses", "attacks")
        for label, spec in getattr(experiment, part).items()
        for field in dataclasses.fields(spec)
    ]


WORDS = {
    "strengths": "0.5 0.25",
    "DiscreteSGD.strengths": "5 3",
    "clip-norm": "3.5",
    "reading": "released",
    "covers-label-party": "True",
    "residual": "none",
    "exhausted": "zero",
    "bound": "0.125",
    "loss": "printed",
    "num-epochs": "2",
    "seeds": "4 5",
    "bins": "7",
    "solver": "exact",
    "iterations": "17",
    "tolerance": "0.125",
    "layers": "output hidden_0",
    "zero-sum": "False",
    "steps": "19",
    "learning-rate": "0.75",
    "view": "sample_gradient",
    "reweightings": "3",
    "named-per-class": "3",
    "restarts": "5",
    "of": "DirectInference",
    "signed": "True",
    "product": "inner",
}
"""Another value than the default of every field."""


def test_every_field_of_every_spec_can_be_set():
    """A new field needs a line in WORDS."""
    experiment = everything()
    expected, arguments = [], []
    for option, _ in fields_of(experiment):
        _, label, name = option.split(".")
        words = WORDS.get(f"{label}.{name}") or WORDS[name]
        expected.append((option, words))
        arguments += [option] if words == "True" else [option, *words.split()]
    changed = fields_of(cli._override(experiment, arguments))
    assert [(option, spelled(value)) for option, value in changed] == expected
    for (option, before), (_, after) in zip(
        fields_of(experiment), changed, strict=True
    ):
        assert before != after, option
    assert cli._override(experiment, []) == experiment


def test_a_chain_stays_as_the_config_has_it():
    chain = Chain(parts=(CAE(strengths=(1.0,)), DiscreteSGD()))
    experiment = Experiment(name="chained", defenses={"both": chain})
    changed = cli._override(experiment, ["--num-trials", "3"])
    assert isinstance(changed, Experiment)
    assert (changed.num_trials, changed.defenses) == (3, {"both": chain})


def test_every_field_of_a_completion_attack_can_be_set():
    """All at once but `mix`, which goes with a frozen bottom model alone."""
    experiment = Experiment(
        name="split",
        top=Top(),
        training=Training(steps=1, optimizer="sgd"),
        attacks={"passive": ModelCompletion()},
    )
    words = {
        "known-per-class": "2",
        "epochs": "3",
        "steps-per-epoch": "7",
        "batch-size": "6",
        "learning-rate": "0.5",
        "ema-decay": "0.25",
        "head-layers": "2",
        "optimizer": "malicious",
        "finetune-bottom": "True",
        "mix": "feature",
    }
    fields = {option.split(".")[-1] for option, _ in fields_of(experiment)}
    assert {f"{name}" for name in words} == fields - {"none"}
    first = [
        word
        for name, value in words.items()
        if name != "mix"
        for word in (f"--attacks.passive.{name}", value)
        if word != "True"
    ]
    for arguments in (first, ["--attacks.passive.mix", "feature"]):
        changed = cli._override(experiment, arguments).attacks["passive"]
        for name, value in words.items():
            if f"--attacks.passive.{name}" in arguments:
                found = getattr(changed, name.replace("-", "_"))
                assert spelled(found) == value


def spelled(value):
    """A value as it is written on the command line."""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def test_help_shows_every_field_of_every_spec(monkeypatch, capsys):
    monkeypatch.setattr(cli, "_load_config", lambda name, scale: everything())
    assert cli.main(["run", "everything", "--help"]) == 0
    printed = capsys.readouterr().out
    for option, _ in fields_of(everything()):
        assert option in printed


NEW_CONFIG = """
from vfljax.experiments import *
experiment = Experiment(
    name="new",
    same_samples=True,
    batch_sizes=(40,),
    defenses={"cae": CAE()},
    attacks={
        "linear": LinearRecovery(),
        "cluster": ClusterMatching(),
        "repeated": RepeatedObservation(of="linear"),
    },
)
"""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--defenses.cae.num-epochs", "0"], "num_epochs=0"),
        (["--defenses.cae.strengths", "-1"], "strengths=-1.0: must be >= 0"),
        (["--defenses.cae.strength", "1"], "--defenses.cae.strengths"),
        (["--attacks.cluster.named-per-class", "4"], "named_per_class=4: leaves"),
        (["--attacks.repeated.of", "me"], "attacks.repeated.of='me'"),
        (["--no-same-samples"], "same_samples=False: must be True"),
    ],
)
def test_mistakes_with_new_fields_are_one_line(arguments, message, tmp_path, capsys):
    path = tmp_path / "new.py"
    path.write_text(NEW_CONFIG)
    out = str(tmp_path / "out")
    assert cli.main(["run", str(path), "--out", out, *arguments]) == 2
    assert message in one_line(capsys)


def test_help_teaches(capsys):
    for arguments in (["--help"], ["run", "--help"], ["run", "quickstart", "--help"]):
        assert cli.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "--training.learning-rate" in printed
    assert "--attacks.gradient-inversion.steps" in printed


def test_interrupted_run_keeps_what_is_finished(config, tmp_path):
    """SIGINT in the middle of a real process: status 130, rows whole, run goes on."""
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, config, str(out)],
        stderr=subprocess.PIPE,
        text=True,
    )
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 130, stderr
    assert "interrupted" in stderr
    assert "Traceback" not in stderr
    rows = read_rows(out)
    assert rows
    assert cli.main(["run", config, "--out", str(out)]) == 0
    assert len(read_rows(out)) == 8


INTERRUPTED = """
import os, signal, sys
import jax
jax.config.update("jax_num_cpu_devices", 2)  # as in the process that goes on
jax.devices()  # fixes the number
from vfljax import cli
from vfljax.experiments import records

append = records.append_rows

def append_then_interrupt(folder, rows):
    append(folder, rows)
    os.kill(os.getpid(), signal.SIGINT)

records.append_rows = append_then_interrupt
sys.exit(cli.main(["run", sys.argv[1], "--out", sys.argv[2]]))
"""
