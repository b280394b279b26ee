"""The command line, from outside: files, exit status, one line for a mistake."""

import json
import subprocess
import sys
import textwrap

import pytest

from vfljax import cli

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
        "DPGaussian",
        "DiscreteSGD",
        "digits",
        "cifar100",
        "quadrants",
        "quickstart",
        "fig5_mnist",
    ):
        assert name in printed


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
from vfljax import cli
from vfljax.experiments import records

append = records.append_rows

def append_then_interrupt(folder, rows):
    append(folder, rows)
    os.kill(os.getpid(), signal.SIGINT)

records.append_rows = append_then_interrupt
sys.exit(cli.main(["run", sys.argv[1], "--out", sys.argv[2]]))
"""
