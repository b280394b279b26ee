"""The benchmark of calibrations runs end to end, on data that needs no files."""

import json


def test_all_ways_find_the_same(load, tmp_path, capsys):
    out = tmp_path / "rows.jsonl"
    arguments = ["--dataset", "digits", "--batch-sizes", "3", "--num-batches", "2"]
    arguments += ["--repeats", "2", "--out", str(out)]
    assert load("count_calibration").main(arguments) == 0
    assert "Calibration of LLG*" in capsys.readouterr().out
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    ways = ["batch by batch", "all batches", "closed form"]
    assert [(row["variant"], row["method"]) for row in rows] == [
        *(("LLG+", way) for way in [*ways, "few samples"]),
        *(("LLG*", way) for way in ways),
    ]
    for row in rows:
        assert row["num_repeats"] == 2
        assert row["seconds_min"] > 0
        assert row["compile_seconds"] > 0
        assert row["relative_error"] < 1e-3 or row["method"] == "few samples"
        assert 0.7 < row["success_rate"] <= 1
        assert (row["batch_size"], row["num_classes"], row["num_batches"]) == (3, 10, 2)
    for reference, *others in (rows[:4], rows[4:]):
        for row in others:
            ratio = reference["seconds_min"] / row["seconds_min"]
            assert abs(row["times_faster"] / ratio - 1) < 1e-6


def test_bad_numbers_are_one_line_and_status_2(load, capsys):
    script = load("count_calibration")
    assert script.main(["--dataset", "digits", "--repeats", "0"]) == 2
    assert "repeats=0: must be >= 1" in capsys.readouterr().err
