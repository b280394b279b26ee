"""The benchmark of mapped trials runs end to end, on data that needs no files."""

import json

import jax


def test_every_program_is_timed_alone_and_mapped(load, monkeypatch, tmp_path):
    # The number of JAX's devices can't be changed any more in this process.
    monkeypatch.setattr(load("timer"), "num_cpu_threads", jax.local_device_count)
    out = tmp_path / "rows.jsonl"
    arguments = ["--dataset", "digits", "--batch-sizes", "16", "--num-trials", "2"]
    arguments += ["--inversion-steps", "3", "--training-steps", "3"]
    arguments += ["--recovery-iterations", "2", "--repeats", "2", "--out", str(out)]
    assert load("trials_speed").main(arguments) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    measured = {(row["method"], row["num_trials"]) for row in rows}
    methods = {method for method, _ in measured}
    assert "training" in methods
    assert len(methods) == 3
    assert measured == {(method, count) for method in methods for count in (1, 2)}
    assert all(row["seconds_min"] > 0 for row in rows)
    assert {row.get("compilations_later_calls", 0) for row in rows} == {0}
