"""The command line, from outside: files, exit status, one line for a mistake."""

import json
import subprocess
import sys
import textwrap

import pytest

from vfljax import cli
from vfljax.encryption import EncryptionError
from vfljax.protocol.encrypted import RoleFailed

CONFIG = """
from vfljax.attacks import *
from vfljax.defenses import *
from vfljax.experiments import Experiment, Training
experiment = Experiment(
    name="mine",
    training=Training(steps=5, batch_size=16),
    batch_sizes=(8,),
    defenses={"none": NoDefense(), "dp": DPGaussian(noise_std=(0.01,))},
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
        (
            ["run", "quickstart", "--data.num-parties", "9"],
            "num_parties=9: must be at most 8",
        ),
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
        "LinearRecovery",
        "GradientInversion",
        "DirectInference",
        "ClusterMatching",
        "RepeatedObservation",
        "DPGaussian",
        "Chain",
        "Marvell",
        "DiscreteSGD",
        "digits",
        "cifar100",
        "quadrants",
        "quickstart",
        "fig5_mnist",
        "ResNet18",
        "ModelSplitting",
    ):
        assert name in printed
    for part in ("cluster_rows", "ReadsMessages", "PlantsBackdoor", "CompletesModel"):
        assert part not in printed  # a part, not an attack of its own


def test_list_of_a_config_shows_what_it_has(config, capsys):
    assert cli.main(["list", config]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "attacks:"
    assert lines[1].split() == ["linear", "LinearRecovery:", *lines[1].split()[2:]]
    assert "  dp    DPGaussian: Clip each sample's message" in "\n".join(lines)
    assert len([line for line in lines if line.startswith("  ")]) == 4


@pytest.mark.parametrize("argument", ["--help", "--version", "list"])
def test_what_needs_no_jax_imports_none(argument):
    """These answer at once: none of the libraries behind the methods is loaded."""
    program = f"""
import sys
from vfljax import cli
assert cli.main(["{argument}"]) == 0
heavy = {{"jax", "jaxlib", "flax", "optax", "numpy", "tyro", "matplotlib", "polars"}}
found = sorted(heavy & set(sys.modules))
assert not found, found
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


NEW_CONFIG = """
from vfljax.attacks import *
from vfljax.defenses import *
from vfljax.experiments import Experiment
experiment = Experiment(
    name="new",
    same_samples=True,
    batch_sizes=(40,),
    defenses={"cae": CAE(), "dp": DPGaussian()},
    attacks={
        "linear": LinearRecovery(),
        "cluster": ClusterMatching(),
        "repeated": RepeatedObservation(of=MessageSmoothing()),
    },
)
"""


@pytest.fixture
def new_config(tmp_path):
    path = tmp_path / "new.py"
    path.write_text(NEW_CONFIG)
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--defenses.cae.num-epochs", "0"], "num_epochs=0"),
        (["--defenses.cae.entropy-weight", "-1"], "entropy_weight=-1: must be in [0"),
        (["--defenses.cae.entropy-weights", "1"], "--defenses.cae.entropy-weight"),
        (["--defenses.dp.noise-std", "0.1", "0.1"], "without repetitions"),
        (["--defenses.dp.noise-std", "0.1", "-1"], "noise_std=-1"),
        (["--defenses.dp.noise-std", "loud"], "--defenses.dp.noise-std"),
        (["--defenses.dp.noise-std"], "noise_std=(): must be not empty"),
        (["--attacks.cluster.named-per-class", "4"], "named_per_class=4: leaves"),
        (["--attacks.cluster.of.iterations", "0"], "iterations=0: must be in [1"),
        (["--attacks.cluster.of.solver", "lu"], "--attacks.cluster.of.solver"),
        (["--attacks.cluster.of.iteration", "3"], "or --attacks.cluster.of.iterations"),
        (["--attacks.repeated.of.of.iterations", "0"], "iterations=0: must be in [1"),
        (["--attacks.repeated.of", "me"], "--attacks.repeated.of"),
        (["--no-same-samples"], "same_samples=False must be True"),
    ],
)
def test_mistakes_with_new_fields_are_one_line(
    arguments, message, new_config, tmp_path, capsys
):
    out = str(tmp_path / "out")
    assert cli.main(["run", new_config, "--out", out, *arguments]) == 2
    said = one_line(capsys)
    assert message in said
    assert len(said) < 400


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ("attacks={'a': linear_recovery}", "attacks.a: is the function 'linear_reco"),
        ("attacks={'a': LinearRecovery}", "attacks.a: is the class LinearRecovery, mu"),
        ("attacks={'a': Blind()}", "attacks.a: Blind has no `sees`, must name the vi"),
        ("attacks={'a': CAE()}", "attacks.a: is a defense, CAE; defenses stand in"),
        ("attacks={'a': ClusterMatching(of='b')}", "of='b': must be an attack that"),
        ("defenses={'d': dp_gaussian}", "defenses.d: is the function 'dp_gaussian', m"),
        ("defenses={'d': CAE}", "defenses.d: is the class CAE, must be an instance: C"),
        ("defenses={'d': LinearRecovery()}", "defenses.d: is an attack, LinearRecove"),
    ],
)
@pytest.mark.usefixtures("unchecked_types")
def test_what_is_no_method_is_one_line(methods, message, tmp_path, capsys):
    path = tmp_path / "wrong.py"
    path.write_text(
        "from vfljax.attacks import *\n"
        "from vfljax.defenses import *\n"
        "from vfljax.experiments import Experiment\n"
        "class Blind(Attack): pass\n"
        f"experiment = Experiment(name='wrong', {methods})\n"
    )
    assert cli.main(["run", str(path)]) == 2
    assert f"line 5: ValueError: {message}" in one_line(capsys)


@pytest.mark.parametrize(
    "error",
    [
        RoleFailed("active", 3, "has ended,\nor hangs"),
        EncryptionError("no room for a sum"),
        ImportError("encryption needs\nvfljax[encryption]"),
        ModuleNotFoundError("No module named 'tenseal'"),
    ],
)
def test_an_encrypted_run_that_fails_ends_with_one_line(
    error, config, monkeypatch, capsys
):
    def fail(*_):
        raise error

    monkeypatch.setattr(cli, "_run_experiment", fail)
    assert cli.main(["run", config]) == 1
    assert one_line(capsys) == f"vfljax: {' '.join(str(error).split())}\n"


def test_a_fault_of_the_library_is_shown_as_it_is(config, monkeypatch):
    def fail(*_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(cli, "_run_experiment", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        cli.main(["run", config])


def test_help_teaches(capsys):
    for arguments in (["--help"], ["run", "--help"], ["run", "quickstart", "--help"]):
        assert cli.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "--training.learning-rate" in printed
    assert "--attacks.gradient-inversion.steps" in printed


OWN = """
from dataclasses import dataclass
from vfljax import attacks, experiments, protocol

@dataclass(frozen=True, kw_only=True)
class Own(attacks.Attack):
    scale: float = 1.0
    sees = protocol.SampleGradientView

    def __call__(self, key, view, known=attacks.NOTHING):
        return attacks.inference_from_scores(-self.scale * view.gradients)

experiment = experiments.Experiment(
    name="own", num_trials=1, batch_sizes=(16,), attacks={"own": Own()})
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A config with an attack of its own, whose option has no sentence."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return path


def test_options_of_an_attack_of_ones_own(own, capsys):
    assert cli.main(["run", str(own), "--help"]) == 0
    assert "--attacks.own.scale" in capsys.readouterr().out
    assert cli.main(["run", str(own), "--attacks.own.scales", "2"]) == 2
    assert "--attacks.own.scale" in one_line(capsys)
    assert cli.main(["run", str(own), "--attacks.own.scale", "x"]) == 2
    assert one_line(capsys)


def test_an_edited_attack_is_another_run(own, capsys):
    def run(*options):
        assert cli.main(["run", str(own), *options]) == 0
        printed = capsys.readouterr().out
        return printed, sorted(own.parent.glob("runs/*"))

    _, first = run()
    page = (first[0] / "report" / "report.html").read_text()
    assert f"vfljax run {own}" in page  # the command to compute it again
    own.write_text(f"# a comment\n{OWN}")
    printed, same = run()
    assert "nothing was computed" in printed
    assert same == first
    own.write_text(OWN.replace("-self.scale", "self.scale"))
    printed, both = run()
    assert "nothing was computed" not in printed
    assert len(both) == 2
    assert cli.main(["run", str(own), "--out", str(first[0])]) == 2
    assert "source_sha256" in capsys.readouterr().err


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
