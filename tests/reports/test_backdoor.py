"""Backdoors have a table and figures of their own, apart from inferred labels."""

import io

import numpy as np
import pytest
from rich.console import Console

from vfljax.experiments import Run
from vfljax.reports.backdoor import (
    backdoor_against_amplification,
    backdoor_trade_off,
    backdoors,
    inferences,
    lay_out_backdoors,
)
from vfljax.reports.figures import choose_figures
from vfljax.reports.report import print_summary
from vfljax.reports.statistics import summarize


def make_row(attack, rate, **changes):
    return {
        "dataset": "digits",
        "num_parties": 2,
        "protocol": "sum_of_logits",
        "view": "message_rows",
        "train_step": 900,
        "batch_size": 64,
        "num_classes": 10,
        "defense": "none",
        "attack": attack,
        "amplification": 10.0,
        "trial": 0,
        "attack_accuracy": rate,
        "published_accuracy": rate + 0.05,
        "chance_accuracy": 0.02,
        "main_accuracy": 0.9,
        "status": "ok",
    } | changes


@pytest.fixture
def rows():
    return [
        make_row("weak", 0.1, amplification=1.0),
        make_row("weak", 0.3, amplification=1.0, trial=1),
        make_row("strong", 0.8),
        make_row("strong", 0.9, trial=1, main_accuracy=0.8),
        make_row("flip", 0.5, inferred_accuracy=0.75),
    ]


@pytest.fixture
def labels():
    return [make_row("linear", 0.6, view="batch_gradient", amplification=None)]


def test_one_line_per_backdoor(rows, labels):
    layout = lay_out_backdoors(summarize(rows + labels))
    cells = [dict(zip(layout.headings, line, strict=True)) for line in layout.cells]
    assert [line["backdoor"] for line in cells] == ["weak", "strong", "flip"]
    assert [line["amplification"] for line in cells] == ["1", "10", "10"]
    assert cells[0]["backdoor %"].startswith("20.0 ±")
    assert cells[1]["own class included %"] == "90.0"
    assert [line["without trigger %"] for line in cells] == ["2.0"] * 3
    assert [line["labels inferred %"] for line in cells] == ["-", "-", "75.0"]


def test_inferred_labels_stay_apart(rows, labels):
    summaries = summarize(rows + labels)
    assert [s.attack for s in inferences(summaries)] == ["linear"]
    assert [s.attack for s in backdoors(summaries)] == ["weak", "strong", "flip"]


@pytest.mark.parametrize("with_labels", [False, True])
def test_summary_has_both_parts(with_labels, rows, labels):
    run = Run(config={}, environment={}, rows=rows + labels * with_labels)
    printed = io.StringIO()
    print_summary(run, Console(width=100, file=printed, color_system=None))
    text = printed.getvalue()
    assert "Backdoors" in text
    assert "strong" in text
    assert ("linear" in text) == with_labels


def test_figures_are_those_that_the_rows_can_fill(rows, labels):
    assert list(choose_figures(rows)) == ["backdoor_against_amplification"]
    assert list(choose_figures(labels)) == []
    defended = [{**row, "defense": "cae", "defense_strength": 1.0} for row in rows]
    names = {"backdoor_against_amplification", "backdoor_trade_off"}
    assert set(choose_figures(rows + defended)) == names


def test_amplification_is_on_the_x_axis(rows):
    """Of the two attacks on one panel: means 20 and 85, main 90 and 85."""
    figure = backdoor_against_amplification(rows[:4])
    (axes,) = figure.axes
    drawn = [np.asarray(line.get_ydata()).tolist() for line in axes.get_lines()]
    assert any(ys == pytest.approx([20.0, 85.0]) for ys in drawn)
    assert any(ys == pytest.approx([90.0, 85.0]) for ys in drawn)
    for line in axes.get_lines():
        assert np.asarray(line.get_xdata()).tolist() == [1.0, 10.0]


def test_one_panel_per_backdoor_and_a_curve_per_defense(rows):
    defended = [
        {**row, "defense": "cae", "defense_strength": strength}
        for row in rows
        for strength in (0.0, 1.0)
    ]
    figure = backdoor_trade_off(rows + defended)
    titles = [axes.get_title() for axes in figure.axes]
    assert [title.split(",")[0] for title in titles] == ["weak", "strong", "flip"]
    labels = {text.get_text() for text in figure.legends[0].get_texts()}
    assert labels == {"no defense", "cae"}
