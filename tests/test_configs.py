"""Every shipped config builds at both scales, under its own name.

Those of model completion, whose full scale is for GPUs, trace at full scale as well.
"""

import runpy
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import cli, data, experiments
from vfljax.experiments import Experiment
from vfljax.experiments.programs import Programs
from vfljax.experiments.task import Task, check_fits, load_arrays
from vfljax.experiments.trial import make_attack, make_victim
from vfljax.experiments.world import Cell, Setting

_CONFIGS = Path(__file__).parents[1] / "configs"
_NAMES = sorted(p.stem for p in _CONFIGS.glob("*.py") if not p.stem.startswith("_"))


_COMPLETION = [name for name in _NAMES if name.startswith(("fu_", "fig8_completion"))]
_SHAPES = {  # of a sample at full scale, and the number of classes
    "mnist": ((28, 28), 10),
    "cifar10": ((32, 32, 3), 10),
    "cifar100": ((32, 32, 3), 100),
    "cinic10": ((32, 32, 3), 10),
    "bhi_2": ((100, 50, 3), 2),
    "bhi_8": ((400, 50, 3), 2),
    "criteo": ((8192,), 2),
    "yahoo_answers": ((128,), 10),
}


@pytest.fixture
def load(monkeypatch):
    """Loads the `make` of a config as `vfljax run` does."""
    monkeypatch.syspath_prepend(_CONFIGS)
    for shared in ("_backdoor", "_fu", "_llg", "_melis", "_zou"):
        monkeypatch.delitem(sys.modules, shared, raising=False)
    return lambda name: runpy.run_path(str(_CONFIGS / f"{name}.py"))["make"]


@pytest.mark.parametrize("name", _NAMES)
def test_config_builds_at_both_scales(name, load):
    make = load(name)
    small, full = make("small"), make("full")
    for experiment in (small, full):
        assert isinstance(experiment, Experiment)
        assert experiment.name == name
        assert experiment.title
    trained = [
        one.training.steps * one.training.size(max(one.batch_sizes))
        for one in (small, full)
    ]
    assert trained[0] <= trained[1]
    assert small != full


def test_the_page_names_every_config():
    page = (_CONFIGS / "README.md").read_text()
    assert [name for name in _NAMES if f"`{name}`" not in page] == []


def _few_samples(experiment):
    """Zeros of the right shape, just enough for the batches and the known labels."""
    shape, num_classes = _SHAPES[experiment.data.dataset]
    known = [attack.known_per_class or 0 for attack in experiment.attacks.values()]
    sizes = *experiment.batch_sizes, experiment.training.batch_size
    num_rows = max(*sizes, num_classes * (int(max(known)) + 1))
    features = np.zeros((num_rows, *shape), np.float32)
    labels = np.arange(num_rows) % num_classes
    names = [str(number) for number in range(num_classes)]
    name = experiment.data.dataset
    return data.from_arrays(
        features, labels, features, labels, name=name, class_names=names
    )


_OWN = [name for name in _NAMES if name.startswith("own_")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "num_trials"), [("quickstart", 1), *((name, 2) for name in _OWN)]
)
def test_config_runs_and_is_in_its_report(name, num_trials, load, tmp_path):
    experiment = load(name)("small")
    arguments = ["run", name, "--scale", "small", "--num-trials", f"{num_trials}"]
    assert cli.main([*arguments, "--out", str(tmp_path)]) == 0
    rows = experiments.read_frame(tmp_path)
    assert set(rows["status"]) == {"ok"}
    summary = (tmp_path / "report" / "summary.csv").read_text()
    labels = *experiment.attacks, *experiment.defenses, *experiment.variants
    assert [label for label in labels if label not in summary] == []


def test_records_of_a_config_are_listed(capsys):
    assert cli.main(["list", "own_attack"]) == 0
    printed = capsys.readouterr().out
    assert "nearest_message" in printed
    assert "NearestMessage: Give each sample the label of the known sample" in printed
    assert "dp_gaussian" in printed


@pytest.mark.slow
def test_labels_and_a_backdoor_on_ciphertexts(data_dir, tmp_path):
    """The marked features of a party that cheats are in its own pictures' shape."""
    arguments = ["run", "encrypted_mnist", "--scale", "small", "--out", str(tmp_path)]
    arguments += ["--data-dir", str(data_dir), "--encryption.no-processes"]
    assert cli.main(arguments) == 0
    rows = experiments.read_frame(tmp_path)
    assert rows.filter(attack="linear_recovery")["attack_accuracy"].to_list() == [1, 1]
    assert rows.filter(attack="replacement").height == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", _COMPLETION)
def test_full_scale_traces(name, load):
    """The victim and the first attack of its first variant, from shapes alone."""
    experiment = load(name)("full")
    if experiment.variants:
        experiment = experiment.variant(next(iter(experiment.variants)))
    dataset = _few_samples(experiment)
    num_classes, num_rows = len(dataset.class_names), len(dataset.train_labels)
    task = Task(experiment, dataset, num_classes)
    check_fits(task)
    arrays = load_arrays(task)
    cell = Cell(num_classes, experiment.batch_sizes[0], next(iter(experiment.defenses)))
    attack = next(iter(experiment.attacks.values()))
    sharing = Programs(experiment).sharing(attack)
    victim = jax.eval_shape(
        make_victim(experiment, cell, sharing),
        jax.random.key(0),
        (Setting(jnp.array(0.0), jnp.array(0)), {}),
        arrays,
    )
    assert victim.main["main_accuracy"].shape == ()
    answer = jax.eval_shape(
        make_attack(experiment, cell, attack, is_built_on=False),
        jax.random.key(1),
        (victim.seen(attack), (), {}),
        arrays,
    )
    num_inferred = num_rows if attack.sees.is_final else cell.batch_size
    assert answer.inference.labels.shape == (num_inferred,)
