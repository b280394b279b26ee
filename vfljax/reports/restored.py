"""Which class is restored as which: matrices of counts as heat maps."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from vfljax.reports import drawing
from vfljax.reports.layout import SHORT_VIEWS
from vfljax.reports.statistics import Row, Summary, setting_of, summarize

_MOST_PANELS = 12
_MOST_NUMBERED = 10  # classes whose cells have room for a number
_COLORS = "Blues"


class _Panel(NamedTuple):
    """One matrix: its setting, and counts by true (row) and restored class."""

    summary: Summary
    counts: np.ndarray
    is_published: bool


@mpl.rc_context(drawing.LOOK)
def restored_given_true(rows: Sequence[Row], title: str | None = None) -> Figure:
    """How often each class is restored as which, as in Figure 10 of the paper.

    P(restored j | true i) of Zou et al. 2022, https://arxiv.org/abs/2112.05409, in
    percent, over the samples of class i in all trials that got an answer. A panel per
    setting and attack, in its published readout where every row has that. A class never
    seen is blank. At most twelve panels: attacks that ignore the defense first, of
    those every defense, then its further settings; how many are missing is said.

    Args:
        rows: one per trial; those without a confusion are left out.
        title: the figure's title, or None.

    Returns:
        The figure.

    Raises:
        ValueError: if no row has a confusion, or one has not classes² counts.
    """
    all_panels = _panels(rows)
    if not all_panels:
        raise ValueError(
            "rows has no confusion; allowed: a run that records at least one"
        )
    panels = _choose(all_panels)
    summaries = [panel.summary for panel in all_panels]
    names = tuple(
        name
        for name in drawing.SETTINGS
        if name == "defense_label"
        or (
            name not in ("attack", "view")
            and len(drawing.distinct(summaries, (name,))) > 1
            and not drawing.is_told(summaries, name)
        )
    )
    attacks = drawing.distinct(summaries, ("attack",))
    has_views = len(drawing.distinct(summaries, ("attack", "view"))) > len(attacks)
    figure, all_axes = drawing.panels(
        len(panels),
        title,
        most_columns=4,
        size=(2.5, 2.85) if len(panels) > 1 else (4.2, 3.6),
    )
    figure.set_layout_engine("constrained", h_pad=0.08)
    for axes, panel in zip(all_axes, panels, strict=True):
        image = _draw(axes, panel)
        setting = drawing.describe(panel.summary, names)
        if has_views:
            setting += f", {SHORT_VIEWS.get(panel.summary.view, panel.summary.view)}"
        setting = fill(setting, width=30)
        readout = " (published)" if panel.is_published else ""
        axes.set_title(f"{setting}\n{panel.summary.attack}{readout}", fontsize=8)
    figure.colorbar(image, ax=all_axes, label="of the true class (%)", aspect=30)
    drawing.label_left(all_axes, "true class")
    drawing.label_bottom(all_axes, "restored class")
    num_left_out = len(all_panels) - len(panels)
    if num_left_out:
        figure.supxlabel(
            f"{num_left_out} of {len(all_panels)} matrices are left out: "
            "attacks that know the defense, then further settings of each defense",
            fontsize=7,
            color="0.4",
        )
    return figure


def has_confusion(rows: Sequence[Row]) -> bool:
    """Whether a row has counts by true and restored class."""
    return any(row.get("confusion") is not None for row in rows)


def _panels(rows: Sequence[Row]) -> list[_Panel]:
    """The counts of every setting, over its trials."""
    counted = [row for row in rows if row.get("confusion") is not None]
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in counted:
        groups.setdefault(setting_of(row), []).append(row)
    panels = []
    for summary, group in zip(summarize(counted), groups.values(), strict=True):
        is_published = all(row.get("published_confusion") is not None for row in group)
        name = "published_confusion" if is_published else "confusion"
        counts = sum(_matrix(row[name], summary.num_classes, name) for row in group)
        panels.append(_Panel(summary, np.asarray(counts), is_published))
    return panels


def _matrix(counts: Sequence[int], num_classes: int, name: str) -> np.ndarray:
    """A flat list of counts as a matrix."""
    if len(counts) != num_classes**2:
        raise ValueError(
            f"{name} has {len(counts)} counts; allowed: num_classes² = {num_classes**2}"
        )
    return np.asarray(counts).reshape(num_classes, num_classes)


def _choose(panels: Sequence[_Panel]) -> list[_Panel]:
    """The first by priority, in the order they came in."""
    seen: dict[Any, int] = {}

    def priority(panel: _Panel) -> tuple[Any, ...]:
        of_attack = (panel.summary.defense, panel.summary.attack)
        turn = seen[of_attack] = seen.get(of_attack, 0) + 1
        return panel.summary.is_adaptive, turn

    priorities = [priority(panel) for panel in panels]
    order = sorted(range(len(panels)), key=lambda index: priorities[index])
    return [panels[index] for index in sorted(order[:_MOST_PANELS])]


def _draw(axes: Axes, panel: _Panel) -> AxesImage:
    """One heat map, with numbers where there is room."""
    num_classes = panel.summary.num_classes
    totals = panel.counts.sum(axis=1, keepdims=True)
    shares = np.full(panel.counts.shape, np.nan)
    np.divide(100 * panel.counts, totals, out=shares, where=totals > 0)
    image = axes.imshow(shares, cmap=_COLORS, vmin=0, vmax=100)
    axes.grid(visible=False)
    axes.spines[:].set_visible(True)
    ticks = np.arange(0, num_classes, -(-num_classes // _MOST_NUMBERED))
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    axes.tick_params(length=2, labelsize=7)
    if num_classes <= _MOST_NUMBERED:
        for (i, j), share in np.ndenumerate(shares):
            if share >= 0.5:  # else it would round to a zero in an empty cell
                axes.text(
                    j,
                    i,
                    f"{share:.0f}",
                    ha="center",
                    va="center",
                    fontsize=5.5 if num_classes > 5 else 8,
                    color="white" if share > 55 else "0.15",
                )
    return image
