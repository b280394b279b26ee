"""Backdoors have a table and figures of their own, apart from inferred labels."""

import numpy as np
import pytest

from vfljax.reports.frame import summarize
from vfljax.reports.panels import PANELS
from vfljax.reports.panels.all_attacks import BACKDOORS
from vfljax.reports.panels.amplification import AMPLIFICATION
from vfljax.reports.panels.trade_off import BACKDOOR_TRADE_OFF


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


def line_of(axes, label):
    (line,) = [line for line in axes.get_lines() if line.get_label() == label]
    return line


def xs_of(line):
    return np.asarray(line.get_xdata()).tolist()


def ys_of(line):
    return np.asarray(line.get_ydata()).tolist()


def draw(panel, rows, title=""):
    part = panel.fill(summarize(rows), title)
    assert part
    assert part.figure
    return part.figure


def choose_figures(rows):
    frame = summarize(rows)
    return [
        panel.name for panel in PANELS if (part := panel.fill(frame)) and part.figure
    ]


def test_one_line_per_backdoor(rows, labels):
    assert not BACKDOORS.fill(summarize(labels))
    part = BACKDOORS.fill(summarize(rows + labels))
    assert part
    assert part.table
    headings = part.table.headings
    cells = [dict(zip(headings, line, strict=True)) for line in part.table.cells]
    assert [line["backdoor"] for line in cells] == ["weak", "strong", "flip"]
    assert [line["amplification"] for line in cells] == ["1", "10", "10"]
    assert cells[0]["backdoor %"].startswith("20.0 ±")
    assert cells[1]["own class included %"] == "90.0"
    assert [line["without trigger %"] for line in cells] == ["2.0"] * 3
    assert [line["labels inferred %"] for line in cells] == ["-", "-", "75.0"]


def test_figures_are_those_that_the_rows_can_fill(rows, labels):
    assert choose_figures(rows) == ["backdoor_against_amplification"]
    assert choose_figures(labels) == []
    defended = [{**row, "defense": "cae", "defense_strength": 1.0} for row in rows]
    names = {"backdoor_against_amplification", "backdoor_trade_off"}
    assert set(choose_figures(rows + defended)) == names


def test_amplification_is_on_the_x_axis(rows):
    """Of the two attacks on one panel: means 20 and 85, main 90 and 85."""
    figure = draw(AMPLIFICATION, rows[:4], "A title")
    (axes,) = figure.axes
    assert ys_of(line_of(axes, "backdoor")) == pytest.approx([20.0, 85.0])
    assert ys_of(line_of(axes, "own class included")) == pytest.approx([25.0, 90.0])
    assert ys_of(line_of(axes, "main task")) == pytest.approx([90.0, 85.0])
    assert [xs_of(line) for line in axes.get_lines()] == [[1.0, 10.0]] * 3
    assert figure.get_suptitle() == "A title"


def test_one_panel_per_backdoor_and_a_curve_per_defense(rows):
    defended = [
        {**row, "defense": "cae", "defense_strength": strength}
        for row in rows
        for strength in (1.0, 0.0)
    ]
    for row in defended:
        row["main_accuracy"] -= 0.1 * row["defense_strength"]
    figure = draw(BACKDOOR_TRADE_OFF, rows + defended)
    titles = [axes.get_title() for axes in figure.axes]
    assert [title.split(",")[0] for title in titles] == ["weak", "strong", "flip"]
    labels = {text.get_text() for text in figure.legends[0].get_texts()}
    assert labels == {"no defense", "cae", "without trigger"}
    weak = figure.axes[0]
    assert xs_of(line_of(weak, "cae")) == pytest.approx([20.0, 20.0])
    assert ys_of(line_of(weak, "cae")) == pytest.approx([90.0, 80.0])
    assert xs_of(line_of(weak, "without trigger")) == pytest.approx([2.0, 2.0])
    assert {"0", "1"} <= {text.get_text() for text in weak.texts}


def test_a_backdoor_that_seldom_works_is_no_leak(rows):
    """Below 1 / classes an inferred label is one under another name; this is not."""
    rows = [
        row | {"defense": defense, "attack_accuracy": 0.01, "trial": trial}
        for row in rows[:1]
        for defense in ("none", "cae")
        for trial in (0, 1)
    ]
    figure = draw(BACKDOOR_TRADE_OFF, rows)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["cae", "no defense", "without trigger"]
