"""Figures of attacks that watch a training: rates against what varies, and scores."""

from typing import Any

import numpy as np
import pytest

from vfljax.goals import MEMBERSHIP, PROPERTY
from vfljax.reports.frame import summarize
from vfljax.reports.panels.curves import CURVES
from vfljax.reports.panels.rounds import ROUNDS
from vfljax.reports.panels.watched import WATCHED


@pytest.fixture
def watched(make_row):
    """One row of an attack on a property; fields can be replaced or added."""

    def make(**changes):
        given = {"view": "update", "goal": PROPERTY.words, "attack": "ridge"}
        return make_row(**(given | {"auc": 0.8, "main_auc": 0.9} | changes))

    return make


def figure_of(panel, rows) -> Any:
    """The figure of a panel for these rows, None if it has none."""
    part = panel.fill(summarize(rows))
    return part and part.figure


def lines_of(axes):
    """Values along y in percent of each labeled line."""
    return {
        str(line.get_label()): np.asarray(line.get_ydata()).round(6).tolist()
        for line in axes.get_lines()
    }


def test_auc_along_variants_beside_main_task_and_chance(watched):
    rows = [
        watched(variant=f"fraction {share}", auc=auc, main_auc=0.9)
        for share, auc in ((0.1, 0.6), (0.5, 0.8), (0.9, 0.95))
    ]
    (axes,) = figure_of(WATCHED, rows).axes
    found = lines_of(axes)
    assert found["ridge"] == [60, 80, 95]
    assert found["main-task AUC"] == [90, 90, 90]
    assert found["chance"] == [50, 50]
    names = [text.get_text() for text in axes.get_xticklabels()]
    assert names == ["fraction 0.1", "fraction 0.5", "fraction 0.9"]


def test_precision_along_batch_sizes_beside_recall(watched):
    rows = [
        watched(
            goal=MEMBERSHIP.words,
            batch_size=size,
            auc=None,
            precision=precision,
            chance_precision=0.5,
            recall=1.0,
        )
        for size, precision in ((32, 0.9), (64, 0.7))
    ]
    (axes,) = figure_of(WATCHED, rows).axes
    found = lines_of(axes)
    assert found["ridge"] == [90, 70]
    assert found["all called members"] == [50, 50]
    assert found["recall"] == [100, 100]
    assert axes.get_xlabel() == "batch size"


def test_both_goals_stand_side_by_side_and_keep_their_places(watched):
    """A defense without one of the rates leaves a gap, and no place is taken over."""
    member = {"goal": MEMBERSHIP.words, "attack": "rule", "auc": None}
    rows = [
        watched(),
        watched(defense="noise", defense_strength=0.5, strength_name="std", auc=0.6),
        watched(**member, precision=0.9, chance_precision=0.5),
    ]
    of_property, of_members = figure_of(WATCHED, rows).axes
    assert lines_of(of_property)["ridge"] == [80, 60]
    assert lines_of(of_members)["rule"] == [90]
    (left, right) = (axes.get_xlim() for axes in (of_property, of_members))
    assert left == right


def test_nothing_to_compare_is_no_figure(watched, make_row):
    assert figure_of(WATCHED, [watched()]) is None
    assert figure_of(WATCHED, [make_row(), make_row(batch_size=8)]) is None


def test_rounds_that_are_all_alike_are_told_by_their_mean_score(watched):
    """A regression may answer beyond 0 and 1."""
    rows = [
        watched(auc=None, variant=name, mean_score=score, trial=trial)
        for name, scores in (("with", (1.1, 1.3)), ("without", (-0.1, 0.3)))
        for trial, score in enumerate(scores)
    ]
    assert summarize(rows).summary["mean_score_high"][0] > 1.2
    (axes,) = figure_of(WATCHED, rows).axes
    assert lines_of(axes)["ridge"] == [120, 10]
    assert axes.get_ylabel().startswith("mean score")


def test_what_is_drawn_here_is_not_drawn_as_labels(watched):
    rows = [watched(batch_size=size) for size in (8, 16)]
    assert not [panel for panel in CURVES if figure_of(panel, rows)]


def test_scores_and_the_rounds_that_had_the_property(watched):
    series = {"score_series": [0.0, 0.5, 1.0, None], "true_series": [0, 3, 3, 0]}
    rows = [watched(**series), watched(**series, attack="forest")]
    rows.append(watched(trial=1, score_series=[9.0] * 4, true_series=[1] * 4))
    (axes,) = figure_of(ROUNDS, rows).axes
    found = lines_of(axes)
    assert found["ridge"] == found["forest"] == [0.0, 0.25, 0.5, 0.5]
    (shaded,) = axes.patches
    assert shaded.get_extents().transformed(axes.transData.inverted()).intervalx == (
        pytest.approx([0.5, 2.5])
    )
    assert figure_of(ROUNDS, [watched()]) is None


def test_rounds_are_those_of_the_training(watched):
    """Of rounds 12, 15, 18, 21 the middle two have the property."""
    series = {"score_series": [0.0, 0.5, 1.0, 0.5], "true_series": [0, 3, 3, 0]}
    rows = [watched(**series, first_watched=12, watch_every=3)]
    (axes,) = figure_of(ROUNDS, rows).axes
    (shaded,) = axes.patches
    assert (shaded.get_x(), shaded.get_x() + shaded.get_width()) == (13.5, 19.5)
    assert axes.get_xlim() == (12, 21)
