"""Benchmarks are scripts, not modules of a package."""

import importlib
import sys
from pathlib import Path

import pytest

_BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def load(monkeypatch):
    """Loads a script as `python benchmarks/NAME.py` would: from its own folder."""
    monkeypatch.syspath_prepend(_BENCHMARKS)
    known = {path.stem for path in _BENCHMARKS.glob("*.py")}
    for name in known:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module
    for name in known:
        sys.modules.pop(name, None)
