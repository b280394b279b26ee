"""Every shipped config builds at both scales, under its own name."""

import runpy
import sys
from pathlib import Path

import pytest

from vfljax.experiments import EncryptedRun, Experiment

_CONFIGS = Path(__file__).parents[1] / "configs"
_NAMES = sorted(p.stem for p in _CONFIGS.glob("*.py") if not p.stem.startswith("_"))


@pytest.mark.parametrize("name", _NAMES)
def test_config_builds_at_both_scales(name, monkeypatch):
    monkeypatch.syspath_prepend(_CONFIGS)
    for shared in ("_backdoor", "_fu", "_zou"):
        monkeypatch.delitem(sys.modules, shared, raising=False)
    make = runpy.run_path(str(_CONFIGS / f"{name}.py"))["make"]
    small, full = make("small"), make("full")
    for experiment in (small, full):
        assert isinstance(experiment, Experiment | EncryptedRun)
        assert experiment.name == name
        assert experiment.title
    trained = [_num_trained(experiment) for experiment in (small, full)]
    assert trained[0] <= trained[1]
    assert small != full


def _num_trained(experiment):
    if isinstance(experiment, EncryptedRun):
        return experiment.iterations * experiment.batch_size
    return experiment.training.steps * experiment.training.batch_size


def test_the_page_names_every_config():
    page = (_CONFIGS / "README.md").read_text()
    assert [name for name in _NAMES if f"`{name}`" not in page] == []
