import io
import json

import pytest
from rich.console import Console

from vfljax.experiments.records import Run
from vfljax.reports.report import print_summary, write_report


def make_rows():
    return [
        {
            "dataset": "digits",
            "variant": "",
            "view": "batch_gradient",
            "train_step": train_step,
            "batch_size": 64,
            "num_classes": 10,
            "defense": "none",
            "defense_strength": None,
            "attack": "linear_recovery",
            "trial": trial,
            "attack_accuracy": 0.5 + 0.2 * trial,
            "chance_accuracy": 0.125,
            "status": "ok" if trial else "non_finite",
        }
        for train_step in (0, 200)
        for trial in range(3)
    ]


@pytest.fixture
def run_dir(tmp_path):
    config = {"name": "steps", "title": "Recovery while training", "seed": 7}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "environment.json").write_text(json.dumps({"device": "cpu"}))
    lines = [json.dumps(row) + "\n" for row in make_rows()]
    (tmp_path / "trials.jsonl").write_text("".join(lines))
    return tmp_path


def test_the_report_of_a_folder(run_dir):
    paths = write_report(run_dir)
    assert [path.name for path in paths] == [
        "summary.md",
        "summary.csv",
        "accuracy_against_train_step.png",
        "accuracy_against_train_step.pdf",
    ]
    assert sorted((run_dir / "report").iterdir()) == sorted(paths)  # no leftovers
    text = paths[0].read_text()
    assert text.startswith("# Recovery while training\n")
    assert "data: digits; 6 trials in 2 settings; seed: 7; device: cpu." in text
    assert "70.0 ± 49.7" in text
    assert "failed trials: 2 of 6 (status non_finite)." in text
    assert "sent_unprotected" not in text
    assert "](accuracy_against_train_step.png)" in text
    assert paths[2].read_bytes().startswith(b"\x89PNG")
    assert paths[3].read_bytes().startswith(b"%PDF")


def test_what_was_sent_unprotected_is_said(run_dir):
    rows = [
        row | {"status": "sent_unprotected"} if row["trial"] == 1 else row
        for row in make_rows()
    ]
    lines = [json.dumps(row) + "\n" for row in rows]
    (run_dir / "trials.jsonl").write_text("".join(lines))
    text = write_report(run_dir)[0].read_text()
    assert "failed trials: 4 of 6 (status non_finite, sent_unprotected)." in text
    assert "- sent_unprotected: the defense was on" in text


def make_judged_rows():
    """A naive and an adaptive attack on a defense with an account of what it bounds."""
    return [
        row
        | {
            "train_step": 0,
            "trial": row["trial"] + (3 if row["train_step"] else 0),
            "attack": attack,
            "is_adaptive": attack == "known_scale",
            "label_epsilon": 1.234567,
            "label_delta": 1e-5,
            "label_epsilon_training": None,
            "allowed_accuracy": 0.2,
            "budget": "It buys little.",
        }
        for attack in ("linear_recovery", "known_scale")
        for row in make_rows()
    ]


def test_the_verdict_comes_first_and_the_budget_is_a_section(run_dir):
    lines = [json.dumps(row) + "\n" for row in make_judged_rows()]
    (run_dir / "trials.jsonl").write_text("".join(lines))
    text = write_report(run_dir)[0].read_text()
    headings = [line for line in text.split("\n") if line.startswith("## ")]
    assert headings == [
        "## Verdict",
        "## All attacks",
        "## Label privacy budget",
        "## Notes",
    ]
    assert "- none: It buys little." in text
    assert "| none | 1.23 | ∞ | 20.0 |" in text


def test_the_printed_verdict():
    printed = io.StringIO()
    console = Console(width=100, file=printed, color_system=None)
    print_summary(Run(config={}, environment={}, rows=make_judged_rows()), console)
    text = printed.getvalue()
    assert text.index("Verdict") < text.index("knows the defense")
    assert text.index("knows the defense") < text.index("Label privacy budget")
    assert "It buys little." in text


def make_completion_rows():
    """An attack on the trained model alone, with what it finds at the best epoch."""
    return [
        row
        | {
            "view": "trained_model",
            "train_step": 200,
            "trial": row["trial"] + (3 if row["train_step"] else 0),
            "attack": "passive",
            "is_adaptive": True,
            "best_attack_accuracy": 1.0,
        }
        for row in make_rows()
    ]


def test_model_completion_alone_replaces_the_verdict_and_the_table(run_dir):
    lines = [json.dumps(row) + "\n" for row in make_completion_rows()]
    (run_dir / "trials.jsonl").write_text("".join(lines))
    text = write_report(run_dir)[0].read_text()
    headings = [line for line in text.split("\n") if line.startswith("## ")]
    assert headings == ["## Model completion", "## Notes"]
    assert "- last: after the last epoch" in text
    assert "100.0" in text


def test_model_completion_comes_before_the_other_attacks(run_dir):
    rows = [*make_rows(), *make_completion_rows()]
    lines = [json.dumps(row) + "\n" for row in rows]
    (run_dir / "trials.jsonl").write_text("".join(lines))
    text = write_report(run_dir)[0].read_text()
    headings = [line for line in text.split("\n") if line.startswith("## ")]
    assert headings[:3] == ["## Model completion", "## Verdict", "## All attacks"]
    printed = io.StringIO()
    print_summary(Run(config={}, environment={}, rows=rows), Console(file=printed))
    assert printed.getvalue().index("Model completion") < printed.getvalue().index(
        "Verdict"
    )


def test_the_same_records_give_the_same_bytes(run_dir):
    first = {path: path.read_bytes() for path in write_report(run_dir)}
    second = {path: path.read_bytes() for path in write_report(run_dir)}
    assert first == second


def test_a_run_without_rows_is_refused_by_name(run_dir):
    (run_dir / "trials.jsonl").write_text("")
    with pytest.raises(ValueError, match=str(run_dir)):
        write_report(run_dir)
    assert not (run_dir / "report").exists()


def test_the_printed_summary():
    printed = io.StringIO()
    console = Console(width=100, file=printed, color_system=None)
    print_summary(
        Run(config={"name": "steps"}, environment={}, rows=make_rows()), console
    )
    lines = printed.getvalue().split("\n")
    assert lines[0] == "steps"
    assert lines[1] == "data: digits; 6 trials in 2 settings."
    assert any("70.0 ± 49.7" in line for line in lines)


def test_a_run_without_rows_prints_nothing():
    printed = io.StringIO()
    console = Console(file=printed)
    with pytest.raises(ValueError, match="rows is empty"):
        print_summary(Run(config={}, environment={}, rows=[]), console)
    assert printed.getvalue() == ""
