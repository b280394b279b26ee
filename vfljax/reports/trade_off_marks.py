"""The marks of the trade-off: points, what a naive attacker sees, chance, labels."""

from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from vfljax.reports import drawing
from vfljax.reports.labels import Label, place_labels
from vfljax.reports.statistics import POINT, Summary

UNDEFENDED = "none"


def draw_curve(axes: Axes, curve: list[Summary], style: drawing.Style | None) -> None:
    """A defense over its strengths with crosses, or the star of the undefended."""
    xs, ys = zip(*map(place, curve), strict=True)
    color = style.color if style else "black"
    for summary, x, y in zip(curve, xs, ys, strict=True):
        cross = {"color": color, "alpha": 0.45, "linewidth": 1, "zorder": 2}
        if summary.attack_low is not None and summary.attack_high is not None:
            axes.plot(
                [100 * summary.attack_low, 100 * summary.attack_high], [y, y], **cross
            )
        if summary.main_low is not None and summary.main_high is not None:
            axes.plot(
                [x, x], [100 * summary.main_low, 100 * summary.main_high], **cross
            )
    label = curve[0].defense
    if style:
        axes.plot(xs, ys, **style._asdict(), label=label, zorder=3)
        hollow = [index for index, s in enumerate(curve) if s.leaks_nonetheless]
        axes.plot(
            [xs[index] for index in hollow],
            [ys[index] for index in hollow],
            color=style.color,
            marker=style.marker,
            label=f"_leaks nonetheless {label}",
            zorder=3.5,
            **drawing.HOLLOW,
        )
    else:
        axes.plot(xs, ys, **_STAR, label=label, zorder=4)


def draw_naive(
    axes: Axes,
    in_panel: list[Summary],
    naive: list[Summary],
    styles: dict[str, drawing.Style],
) -> None:
    """Where an attacker who ignores the defense gets, joined to the real point."""
    for point in in_panel:
        for weaker in _of_same_model(naive, point):
            style = styles.get(point.defense)
            color, marker = (style.color, style.marker) if style else ("black", "*")
            x, y = place(weaker)
            axes.plot(
                [x, 100 * point.attack_mean],
                [y, y],
                color=color,
                label=f"_knowing {point.defense}",
                zorder=1.8,
                **_JOINED,
            )
            axes.plot(
                [x],
                [y],
                color=color,
                marker=marker,
                label=f"_ignoring {point.defense}",
                zorder=1.9,
                **_NAIVE,
            )


def _of_same_model(naive: list[Summary], point: Summary) -> list[Summary]:
    """The naive attack on the model of a point, if any."""
    return drawing.matching(naive, POINT, tuple(getattr(point, n) for n in POINT))


def draw_chance(axes: Axes, in_panel: list[Summary]) -> None:
    """The chance level as a vertical line, or the range of several."""
    levels = [100 * summary.chance for summary in in_panel]
    low, high = min(levels), max(levels)
    for level in (low, high) if high - low > 0.5 else (high,):
        axes.axvline(
            level, color=drawing.CHANCE_COLOR, label="_chance", **drawing.CHANCE
        )
    axes.axvspan(low, high, color="0.5", alpha=0.12, linewidth=0)


def label_strengths(
    figure: Figure,
    axes: Axes,
    in_panel: list[Summary],
    naive: list[Summary],
    styles: dict[str, drawing.Style],
) -> None:
    """The strength beside each marker: always the first and last, others if free."""
    labels: list[Label] = []
    keep_free = []
    for point in in_panel:
        weaker = _of_same_model(naive, point)
        y = place(point)[1]
        ends = [s.attack_mean for s in weaker] + [point.attack_low, point.attack_high]
        xs = [100 * end for end in (*ends, point.attack_mean) if end is not None]
        if len(xs) > 1:
            keep_free += [(x, y) for x in np.linspace(min(xs), max(xs), 8)]
    for (defense,) in drawing.distinct(in_panel, ("defense",)):
        curve = drawing.matching(in_panel, ("defense",), (defense,))
        curve.sort(key=lambda summary: summary.defense_strength or 0.0)
        places = [place(summary) for summary in curve]
        keep_free += places
        for start, end in pairwise(places):
            keep_free += [tuple(place) for place in np.linspace(start, end, 12)[1:-1]]
        labels += [
            Label(
                x=x,
                y=y,
                text=f"{summary.defense_strength:g}",
                color=styles[defense].color,
                is_required=index in (0, len(curve) - 1),
            )
            for index, ((x, y), summary) in enumerate(zip(places, curve, strict=True))
            if summary.defense_strength is not None and defense in styles
        ]
    place_labels(figure, axes, labels, np.asarray(keep_free))


def place(summary: Summary) -> tuple[float, float]:
    """Where a point is, in percent."""
    return 100 * summary.attack_mean, 100 * (summary.main_mean or 0.0)


def handles(
    points: list[Summary], styles: dict[str, drawing.Style], has_naive: bool
) -> list[Any]:
    """The legend: each defense with what its strength is, no defense, chance."""
    entries: list[Any] = []
    for defense, style in styles.items():
        strength_name = drawing.matching(points, ("defense",), (defense,))[
            0
        ].strength_name
        label = f"{defense} ({strength_name})" if strength_name else defense
        entries.append(Line2D([], [], **style._asdict(), label=label))
    if any(summary.defense == UNDEFENDED for summary in points):
        entries.append(Line2D([], [], **_STAR, label="no defense"))
    entries.append(drawing.chance_handle())
    if has_naive:
        gray: dict[str, Any] = {"color": "0.3", "marker": "o"}
        label = "ignores / knows defense"
        entries.append(
            (
                Line2D([], [], **gray, **_NAIVE),
                Line2D([], [], color="0.3", **_JOINED),
                Line2D([], [], **gray, linestyle="none", label=label),
            )
        )
    if any(summary.leaks_nonetheless for summary in points):
        entries.append(drawing.hollow_handle())
    return entries


_NAIVE: dict[str, Any] = {"linestyle": "none", "alpha": 0.35, "markeredgewidth": 0}
_JOINED: dict[str, Any] = {"linestyle": ":", "linewidth": 1, "alpha": 0.6}
_STAR: dict[str, Any] = {
    "color": "black",
    "linestyle": "none",
    "marker": "*",
    "markersize": 11,
    "markeredgecolor": "white",
    "markeredgewidth": 0.6,
}
