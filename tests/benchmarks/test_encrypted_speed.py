"""The script runs and its numbers fit together."""

import json

import pytest


def test_rows_of_small_sizes(load, tmp_path, capsys):
    script = load("encrypted_speed")
    out = tmp_path / "rows.jsonl"
    arguments = ["--batch-sizes", "6", "--widths", "3", "--iterations", "2"]
    assert script.main([*arguments, "--preset", "small", "--out", str(out)]) == 0
    assert "An encrypted iteration" in capsys.readouterr().out
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["method"] for row in rows] == ["row", "compact"]
    assert [row["num_gradient_ciphertexts"] for row in rows] == [6, 1]
    assert rows[0]["num_bytes"] > rows[1]["num_bytes"]
    for row in rows:
        assert row["num_repeats"] == 2
        assert row["peak_rss_mb"] > 50
        parts = [row[name] for name in row if name.endswith("_cpu_seconds")]
        assert len(parts) == 6
        assert min(parts) > 0
        assert row["library"].startswith("tenseal")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--iterations", "0"], "iterations=0: must be >= 1"),
        (["--preset", "toy"], "preset='toy': must be one of default, flood, small"),
    ],
)
def test_bad_options_are_one_line_and_status_2(load, capsys, arguments, reason):
    assert load("encrypted_speed").main(arguments) == 2
    assert reason in capsys.readouterr().err
