"""The benchmark of mapped trials runs end to end, on data that needs no files."""

import importlib
import json
import sys
from pathlib import Path

import pytest

_BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    """Loads the script as `python benchmarks/trials_speed.py` would."""
    monkeypatch.syspath_prepend(_BENCHMARKS)
    yield importlib.import_module("trials_speed")
    for path in _BENCHMARKS.glob("*.py"):
        sys.modules.pop(path.stem, None)


def test_every_program_is_timed_alone_and_mapped(benchmark, tmp_path):
    out = tmp_path / "rows.jsonl"
    arguments = ["--dataset", "digits", "--batch-sizes", "16", "--num-trials", "2"]
    arguments += ["--inversion-steps", "3", "--training-steps", "3"]
    arguments += ["--recovery-iterations", "2", "--repeats", "2", "--out", str(out)]
    assert benchmark.main(arguments) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    measured = {(row["method"], row["num_trials"]) for row in rows}
    methods = {method for method, _ in measured}
    assert "training" in methods
    assert len(methods) == 3
    assert measured == {(method, count) for method in methods for count in (1, 2)}
    assert all(row["seconds_min"] > 0 for row in rows)
    assert {row.get("compilations_later_calls", 0) for row in rows} == {0}
