"""The command line, from outside: files, exit status, one line for a mistake."""

import ast
import dataclasses
import inspect
import itertools
import json
import subprocess
import sys
import textwrap

import pytest

from vfljax import attacks, cli, defenses
from vfljax.experiments import Experiment
from vfljax.overrides import OverrideError, override

CONFIG = """
from vfljax.attacks import DirectInference, LinearRecovery
from vfljax.defenses import DPGaussian, NoDefense
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
    assert {"report.html", "summary.md", "summary.csv", "trade_off.png"} <= names
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
        (["run", "quickstart", "--data.num-parties", "9"], "num_parties=9"),
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
    for room, base in ((attacks, attacks.Attack), (defenses, defenses.Defense)):
        for name in records_of(room, base):
            assert name in printed
    for name in ("MLP", "ModelSplitting", "digits", "cifar100", "quadrants"):
        assert name in printed
    for name in ("quickstart", "fig5_mnist", "own_attack"):
        assert name in printed
    assert "PlantsBackdoor" not in printed  # a base, not an attack of its own


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["list"]])
def test_what_needs_no_jax_does_not_import_it(arguments):
    code = (
        "import sys; from vfljax import cli; "
        f"status = cli.main({arguments}); "
        "heavy = {'jax', 'scipy', 'matplotlib', 'polars'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def records_of(room, base):
    """The exported records of a room by name."""
    exported = {name: getattr(room, name) for name in room.__all__}
    return {
        name: found
        for name, found in exported.items()
        if isinstance(found, type) and issubclass(found, base) and found is not base
    }


def everything():
    """An experiment with every defense and every attack, by their classes' names."""
    kinds = records_of(defenses, defenses.Defense)
    del kinds["Chain"]
    return Experiment(
        name="everything",
        defenses={name: kind() for name, kind in kinds.items()},
        attacks={
            name: kind() for name, kind in records_of(attacks, attacks.Attack).items()
        },
    )


def fields_of(experiment):
    """(option, value) of every field of every record, nested ones included."""
    return [
        found
        for part in ("defenses", "attacks")
        for label, record in getattr(experiment, part).items()
        for found in leaves(f"--{part}.{label}", record)
    ]


def leaves(prefix, record):
    for field in dataclasses.fields(record):
        value, name = getattr(record, field.name), f"{prefix}.{field.name}"
        if dataclasses.is_dataclass(value):
            yield from leaves(name, value)
        elif field.name not in ONLY_IN_PYTHON:
            yield name.replace("_", "-"), value


ONLY_IN_PYTHON = ("autoencoder", "memory_shape")
WORDS = {
    "adversaries": "all",
    "amplification": "3.5",
    "batch-size": "6",
    "batches": "as_drawn",
    "bins": "5 3",
    "bound": "0.125",
    "clip-norm": "3.5",
    "contrast-weight": "0.5",
    "covers-label-party": "True",
    "ema-decay": "0.25",
    "entropy-weight": "0.5 0.25",
    "epochs": "3",
    "epsilon": "2.5",
    "exhausted": "zero",
    "finetune-bottom": "True",
    "head-layers": "2",
    "is-stealthy": "True",
    "iterations": "17",
    "keep-fraction": "0.5 0.25",
    "known-per-class": "2",
    "layers": "output hidden_0",
    "learning-rate": "0.75",
    "loss": "printed",
    "named-per-class": "3",
    "noise": "0.5 0.25",
    "noise-std": "0.5",
    "num-epochs": "2",
    "num-poisoned": "7",
    "num-poisoned-test": "9",
    "num-targets": "4",
    "optimizer": "malicious",
    "plaintext": "True",
    "power": "0.5 0.25",
    "product": "inner",
    "ratio": "0.5 0.25",
    "reading": "released",
    "release-fraction": "0.5 0.25",
    "residual": "none",
    "restarts": "5",
    "reweightings": "3",
    "ridge": "0.125",
    "seeds": "4 5",
    "sensitivity": "2",
    "share": "0.5",
    "signed": "True",
    "solver": "exact",
    "steps": "19",
    "steps-per-epoch": "7",
    "target-class": "1",
    "threshold": "0.5",
    "tolerance": "0.125",
    "trigger": "cifar",
    "uses-targets": "True",
    "zero-sum": "False",
}
"""Another value than the default of every field."""


def test_every_field_of_every_record_can_be_set():
    """A new field needs a line in WORDS; `mix` goes with a frozen bottom model."""
    experiment = everything()
    expected, arguments = [], []
    for option, value in fields_of(experiment):
        name = option.split(".")[-1]
        words = "input" if name == "mix" else WORDS[name]
        expected.append((option, words))
        flag = {"True": option, "False": f"no-{name}".join(option.rsplit(name, 1))}
        is_flag = isinstance(value, bool)
        arguments += [flag[words]] if is_flag else [option, *words.split()]
        assert name == "mix" or spelled(value) != words, option
    changed = fields_of(override(experiment, arguments))
    assert [(option, spelled(value)) for option, value in changed] == expected
    arguments = ["--attacks.ModelCompletion.mix", "feature"]
    changed = override(experiment, arguments).attacks["ModelCompletion"]
    assert spelled(getattr(changed, "mix", None)) == "feature"
    assert override(experiment, []) == experiment


def test_a_swept_field_takes_one_number_or_several():
    experiment = everything()
    option = "--defenses.DPGaussian.noise-std"
    one = override(experiment, [option, "0.5"]).defenses["DPGaussian"]
    several = override(experiment, [option, "0.5", "1"]).defenses["DPGaussian"]
    assert (one.strengths, several.strengths) == ((0.5,), (0.5, 1))


def test_parts_of_a_chain_can_be_set():
    chain = defenses.Chain(
        defenses.CAE(entropy_weight=(1.0,)), defenses.DiscreteSGD(bins=12)
    )
    experiment = Experiment(name="chained", defenses={"both": chain})
    changed = override(experiment, ["--num-trials", "3"])
    assert (changed.num_trials, changed.defenses) == (3, {"both": chain})
    changed = override(experiment, ["--defenses.both.parts.1.bins", "6"])
    assert changed.defenses["both"].public(8, 10).noise_std > 0
    assert changed.defenses["both"] != chain


def test_an_unknown_field_is_named():
    with pytest.raises(OverrideError, match=r"--attacks\.linear-recovery\.itertions"):
        override(Experiment(name="x"), ["--attacks.linear-recovery.itertions", "3"])


def spelled(value):
    """A value as it is written on the command line."""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def test_help_shows_every_field_with_a_sentence(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(cli, "_config_path", lambda name: None)
    monkeypatch.setattr(cli, "_load_config", lambda name, path, scale: everything())
    assert cli.main(["run", "everything", "--help"]) == 0
    printed = capsys.readouterr().out
    for option, _ in fields_of(everything()):
        assert option in printed
    for part in ("defenses", "attacks"):
        for record in getattr(everything(), part).values():
            for field in dataclasses.fields(record):
                words = documented(type(record), field.name)
                assert words[:1].isupper(), (record, field.name)
                assert words.endswith("."), (record, field.name)


def documented(kind, name):
    """The text below a field, in the class that declares it."""
    for owner in kind.__mro__:
        if name in vars(owner).get("__annotations__", {}):
            tree = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
            assert isinstance(tree, ast.ClassDef)
            for before, after in itertools.pairwise(tree.body):
                target = getattr(before, "target", None)
                if getattr(target, "id", None) == name:
                    assert isinstance(after, ast.Expr), (owner, name)
                    return " ".join(ast.literal_eval(after.value).split())
    raise AssertionError(f"{kind.__name__}.{name} has no text")


NEW_CONFIG = """
from vfljax.attacks import *
from vfljax.defenses import CAE
from vfljax.experiments import Experiment
experiment = Experiment(
    name="new",
    same_samples=True,
    batch_sizes=(40,),
    defenses={"cae": CAE()},
    attacks={
        "linear": LinearRecovery(),
        "cluster": ClusterMatching(),
        "repeated": RepeatedObservation(),
    },
)
"""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--defenses.cae.num-epochs", "0"], "num_epochs=0"),
        (["--defenses.cae.entropy-weight", "-1"], "entropy_weight=-1: must be in [0"),
        (["--defenses.cae.entropy-wieght", "1"], "--defenses.cae.entropy-weight"),
        (["--attacks.cluster.named-per-class", "4"], "named_per_class=4: leaves"),
        (["--no-same-samples"], "same_samples=False must be True"),
    ],
)
def test_mistakes_with_new_fields_are_one_line(arguments, message, tmp_path, capsys):
    path = tmp_path / "new.py"
    path.write_text(NEW_CONFIG)
    out = str(tmp_path / "out")
    assert cli.main(["run", str(path), "--out", out, *arguments]) == 2
    assert message in one_line(capsys)


NO_METHODS = [
    ("attacks", "max", "attacks.x: is the function 'max', must be a record"),
    ("attacks", "LinearRecovery", "attacks.x: is the class LinearRecovery, must"),
    ("attacks", "CAE()", "attacks.x: is a defense, CAE; defenses stand in"),
    ("attacks", "Blind()", "attacks.x: Blind has no `sees`, must name the view"),
    ("defenses", "max", "defenses.x: is the function 'max', must be a record"),
    ("defenses", "CAE", "defenses.x: is the class CAE, must be an instance"),
    ("defenses", "LinearRecovery()", "defenses.x: is an attack, LinearRecovery"),
]


def test_what_is_no_method_says_what_is_missing(tmp_path):
    """In a process without the tests' type checks, as users have it."""
    paths = []
    for number, (part, entry, _) in enumerate(NO_METHODS):
        paths.append(str(tmp_path / f"wrong_{number}.py"))
        (tmp_path / f"wrong_{number}.py").write_text(
            "import dataclasses\n"
            "from vfljax.attacks import *\n"
            "from vfljax.defenses import CAE\n"
            "from vfljax.experiments import Experiment\n"
            "@dataclasses.dataclass(frozen=True, kw_only=True)\n"
            "class Blind(Attack):\n"
            "    pass\n"
            f"experiment = Experiment(name='wrong', {part}={{'x': {entry}}})\n"
        )
    code = (
        "import sys; from vfljax import cli; "
        f"sys.exit(sum(cli.main(['run', path]) != 2 for path in {paths}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    lines = done.stderr.splitlines()
    assert (done.returncode, len(lines)) == (0, len(NO_METHODS)), done.stderr
    for line, (_, _, message) in zip(lines, NO_METHODS, strict=True):
        assert message in line


@pytest.mark.parametrize("kind", ["RoleFailed", "EncryptionError", "ImportError"])
def test_a_failing_role_ends_with_one_line_and_status_1(
    kind, config, tmp_path, monkeypatch, capsys
):
    error = type(kind, (ImportError if kind == "ImportError" else RuntimeError,), {})

    def fail(*arguments):
        raise error("active failed in iteration 3: no answer")

    monkeypatch.setattr(cli, "_run_experiment", fail)
    assert cli.main(["run", config, "--out", str(tmp_path / "out")]) == 1
    assert "active failed in iteration 3" in one_line(capsys)


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
