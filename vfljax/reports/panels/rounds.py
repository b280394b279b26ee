"""Scores over rounds, beside the rounds that had the property."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vfljax.reports import drawing
from vfljax.reports.frame import Frame, groups
from vfljax.reports.panels.base import Panel

_NAMES = ("variant", "defense_label", "batch_size")
_MOST_PANELS = 6
_WIDTH = 5  # watched rounds of the mean that is drawn
_SHADE: drawing.Look = {"color": "#E69F00", "alpha": 0.2, "linewidth": 0, "zorder": 0.5}


def _figure(frame: Frame, title: str) -> Figure | None:
    """Axes per setting and a line per attack, of the first trial; six axes at most."""
    given = frame.raw.filter(pl.col("score_series").is_not_null())
    if given.is_empty():
        return None
    given = given.filter(pl.col("trial") == given["trial"].min())
    names = [name for name in _NAMES if given[name].n_unique() > 1]
    parts = [part for _, part in groups(given, names)][:_MOST_PANELS]
    size = (7.0, 1.9)
    figure = drawing.small_multiples(
        parts, names, title, "score", most_columns=1, size=size
    )
    attacks = given["attack"].unique(maintain_order=True).to_list()
    for axes, part in zip(figure.axes, parts, strict=True):
        first, every = part["first_watched"][0] or 0, part["watch_every"][0] or 1
        true = part["true_series"][0].to_list()
        rounds = first + every * np.arange(len(true))
        _shade(axes, true, first, every)
        for row in part.iter_rows(named=True):
            look = drawing.style(attacks.index(row["attack"]))
            look["marker"] = ""
            scores = np.array(row["score_series"], dtype=float)  # None is NaN
            color = look["color"]
            axes.plot(rounds, scores, ".", ms=2, alpha=0.35, color=color, label="_")
            means = running_mean(scores, _WIDTH)
            axes.plot(rounds, means, label=row["attack"], zorder=drawing.SERIES, **look)
        axes.set_ylim(-0.4, 1.4)
        axes.set_xlim(first, max(rounds[-1], first + 1))
        axes.set_xlabel("round of the training, dots: one watched round")
    drawing.draw_legend(figure)
    return figure


def _shade(axes: Axes, true: Sequence[int], start: int, every: int) -> None:
    """Shades runs of rounds with the property; the first round is number `start`."""
    is_there = np.array([0, *(number > 0 for number in true), 0], dtype=int)
    changes = np.flatnonzero(np.diff(is_there))
    for first, end in zip(changes[::2], changes[1::2], strict=True):
        low, high = (start + every * (place - 0.5) for place in (first, end))
        axes.axvspan(low, high, **_SHADE)


def running_mean(values: np.ndarray, width: int) -> np.ndarray:
    """The mean of up to `width` values, the last of which is at each place.

    Only what an observer has seen by then; NaN are left out, and all NaN are NaN.

    Example:
        >>> running_mean(np.array([1.0, 3.0, np.nan, 5.0]), 2).tolist()
        [1.0, 2.0, 3.0, 5.0]
    """
    is_there = np.isfinite(values)
    sums = np.cumsum(np.where(is_there, values, 0.0))
    numbers = np.cumsum(is_there).astype(float)
    sums[width:] -= sums[:-width].copy()
    numbers[width:] -= numbers[:-width].copy()
    means = np.full(len(values), np.nan)
    np.divide(sums, numbers, out=means, where=numbers > 0)
    return means


ROUNDS = Panel(
    name="scores_over_rounds",
    title="Scores over rounds",
    figure=_figure,
    caption=(
        "Score of each watched round (dots) and the mean of the last five (lines), of "
        "one trial; rounds in which the target's batches had the property are shaded. "
        "As in Figure 5 of Melis et al. 2019 (arXiv 1805.04049)."
    ),
)
