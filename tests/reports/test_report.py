"""The files of a report, and what is printed."""

import io

import polars as pl
import pytest
from rich.console import Console

from vfljax.reports import print_summary, summarize, write_report
from vfljax.reports.report import csv


def printed(run, width=100):
    text = io.StringIO()
    print_summary(run, Console(width=width, file=text, color_system=None))
    return text.getvalue()


@pytest.fixture
def steps(make_rows):
    """Three trials at two steps, one of them failed."""
    status = ["non_finite", "ok", "ok"]
    return [
        row
        for step in (0, 200)
        for row in make_rows([0.5, 0.7, 0.9], train_step=step, status=status)
    ]


def test_the_files_of_a_report(write_run, steps):
    paths = write_report(write_run(steps))
    assert [path.name for path in paths[:3]] == [
        "report.html",
        "summary.md",
        "summary.csv",
    ]
    assert {path.name for path in paths[3:]} == {
        "accuracy_against_train_step.png",
        "accuracy_against_train_step.pdf",
    }
    assert sorted(paths[0].parent.iterdir()) == sorted(paths)  # no leftovers
    by_name = {path.name: path for path in paths}
    png = by_name["accuracy_against_train_step.png"].read_bytes()
    pdf = by_name["accuracy_against_train_step.pdf"].read_bytes()
    assert png.startswith(b"\x89PNG")
    assert pdf.startswith(b"%PDF")


def test_the_markdown(write_run, steps):
    environment = {
        "versions": {"vfljax": "0.1", "jax": "0.10"},
        "python": "3.11",
        "device": "cpu",
        "commit": "abc",
    }
    text = write_report(write_run(steps, environment))[1].read_text()
    assert text.startswith("# A title\n\n1 attack under 1 threat model and no defense")
    assert "**Encrypted messages.** In 2 settings without a defense" in text
    assert "**No defense was tried, so there is none to choose.**" in text
    assert "70.0 ± 49.7" in text
    assert "2 of 6 trials failed (non_finite). They are counted in every mean." in text
    assert "](accuracy_against_train_step.png)" in text
    assert "The rule:" not in text
    for line in (
        "- command: vfljax run tried",
        "- seed: 7",
        "- versions: python 3.11, vfljax 0.1, jax 0.10",
        "- device: cpu",
        "- commit: abc",
    ):
        assert line in text.split("\n")


def test_the_answer_comes_first_and_how_it_was_computed_last(write_run, swept_rows):
    text = write_report(write_run(swept_rows))[1].read_text()
    headings = [line for line in text.split("\n") if line.startswith("## ")]
    assert text.index("**Take gaussian noise_std=0.1.**") < text.index(headings[0])
    assert text.index("The rule:") < text.index(headings[0])
    assert headings[0] == "## Who sees what"
    assert "## All attacks" in headings
    assert headings[-1] == "## How this was computed, and how to compute it again"


def test_the_same_records_give_the_same_bytes(write_run, swept_rows):
    folder = write_run(swept_rows)
    first = {path: path.read_bytes() for path in write_report(folder)}
    second = {path: path.read_bytes() for path in write_report(folder)}
    assert first == second


def test_a_run_without_rows_is_refused_by_name(write_run):
    folder = write_run([])
    with pytest.raises(ValueError, match=str(folder)):
        write_report(folder)
    assert not (folder / "report").exists()


def test_csv_gives_back_every_number(swept_rows):
    swept_rows[0] |= {"auc": 1 / 3, "budget": "It bounds nothing."}
    frame = summarize(swept_rows)
    read = pl.read_csv(io.StringIO(csv(frame)), infer_schema_length=None)
    assert "auc_number" in read.columns
    assert "main_f1" not in read.columns
    assert "main_f1_number" not in read.columns
    for name in read.columns:
        expected = frame.summary[name].to_list()
        found = read[name].to_list()
        if name == "label_epsilon":
            assert found[0] == float("inf")
        assert found == [None if value == "" else value for value in expected] or (
            found == expected
        )


def test_the_printed_answer(make_run, swept_rows):
    text = printed(make_run(swept_rows))
    lines = text.split("\n")
    assert lines[0] == "tried"
    assert lines[1].startswith("2 attacks under 2 threat models")
    assert text.index("Take gaussian noise_std=0.1.") < text.index("ignores")
    assert text.index("ignores") < text.index("The rule: ")
    assert text.count("ignores") == text.count(" ───") == 1  # one table
    assert "report/report.html in the run folder" in text
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("width", [80, 120])
def test_no_word_is_cut_on_a_terminal(make_run, swept_rows, width):
    rows = [row | {"batch_size": size} for row in swept_rows for size in (16, 64)]
    text = printed(make_run(rows), width)
    assert "…" not in text
    assert max(map(len, text.split("\n"))) <= width
    for word in ("Plaintext", "messages,", "gaussian", "noise_std=0.25", "(-25.0)"):
        assert word in text


def test_marks_are_explained_on_a_terminal(make_run, make_rows):
    text = " ".join(printed(make_run(make_rows([0.0, 0.0]))).split())
    assert "0.0 ± 0.0 †" in text
    assert "† No trial failed and the attack finds less than blind" in text
    assert "read it as leakage, not protection" in text


def test_a_long_table_is_cut_and_said_to_be(make_run, make_rows):
    rows = [row for step in range(45) for row in make_rows([0.5], train_step=step)]
    assert "and 5 more lines." in printed(make_run(rows))


def test_a_run_without_rows_prints_nothing(make_run):
    text = io.StringIO()
    with pytest.raises(ValueError, match="rows is empty"):
        print_summary(make_run([]), Console(file=text))
    assert text.getvalue() == ""
