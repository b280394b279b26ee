"""What a defense costs the model and what it buys: utility against label recovery."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from vfljax.reports import drawing
from vfljax.reports.labels import Label, place_labels
from vfljax.reports.statistics import Row, Summary, summarize

UNDEFENDED = "none"

# One point: an attacked and trained model, under one defense of one strength.
_POINT = (
    "view",
    "dataset",
    "num_parties",
    "protocol",
    "train_step",
    "batch_size",
    "num_classes",
    "defense_label",
)


@mpl.rc_context(drawing.LOOK)
def trade_off(rows: Sequence[Row], title: str | None = None) -> Figure:
    """Main-task accuracy against the accuracy of the strongest attack.

    One panel per view (threat model), one curve per defense over its strengths, the
    undefended model as a star. A defense is judged by the strongest attack, chosen for
    each point on its own; that choice among noisy means is slightly in the attacks'
    favor. Crosses are 95 % intervals of both rates. A hollow marker is an attack below
    chance (`Summary.below_chance`): it looks like protection and is leakage.

    Args:
        rows: one per trial.
        title: the figure's title, or None.

    Returns:
        The figure.

    Raises:
        ValueError: if fewer than two defenses or strengths have a main-task accuracy.
    """
    summaries = summarize(rows)
    if not can_draw_trade_off(summaries):
        raise ValueError(
            "rows has a main_accuracy for fewer than two defenses or strengths; "
            "allowed: a run that trains a model under at least two"
        )
    points = strongest_attacks(summaries)
    panel_names = tuple(
        name
        for name in _POINT[:-1]
        if name == "view" or len(drawing.distinct(points, (name,))) > 1
    )
    panel_keys = drawing.distinct(points, panel_names)
    defenses = [key[0] for key in drawing.distinct(points, ("defense",))]
    styles = {
        defense: drawing.style(index)
        for index, defense in enumerate(name for name in defenses if name != UNDEFENDED)
    }
    figure, all_axes = drawing.panels(len(panel_keys), title, sharey=True)
    for axes, panel_key in zip(all_axes, panel_keys, strict=True):
        in_panel = drawing.matching(points, panel_names, panel_key)
        for defense in drawing.distinct(in_panel, ("defense",)):
            curve = drawing.matching(in_panel, ("defense",), defense)
            curve.sort(key=lambda summary: summary.defense_strength or 0.0)
            _draw_curve(axes, curve, styles.get(defense[0]))
        _draw_chance(axes, in_panel)
        drawing.percent_axis(axes, "x")
        attacks = ", ".join(key[0] for key in drawing.distinct(in_panel, ("attack",)))
        axes.set_xlabel(
            "labels recovered by the strongest attack\n"
            f"(%, lower: labels are safer)\nstrongest here: {attacks}"
        )
        drawing.title_panel(axes, in_panel[0], panel_names)
    _set_main_axis(all_axes, points)
    drawing.draw_legend(figure, _handles(points, styles))
    for axes, panel_key in zip(all_axes, panel_keys, strict=True):
        _label_strengths(
            figure, axes, drawing.matching(points, panel_names, panel_key), styles
        )
    return figure


def strongest_attacks(summaries: Sequence[Summary]) -> list[Summary]:
    """Of the attacks on one model, the one with the highest mean; the first on a tie.

    The strongest attack is shown even if its own rows have no main-task accuracy: the
    model is the same, so another attack's rows may supply it. A model that no row has
    a main-task accuracy for is left out.

    Args:
        summaries: from `summarize`.

    Returns:
        One summary per view, setting, defense and strength.
    """
    points = []
    for key in drawing.distinct(summaries, _POINT):
        attacks = drawing.matching(summaries, _POINT, key)
        strongest = max(attacks, key=lambda summary: summary.attack_mean)
        with_main = [s for s in (strongest, *attacks) if s.main_mean is not None]
        if with_main:
            points.append(
                strongest._replace(
                    num_main=with_main[0].num_main,
                    main_mean=with_main[0].main_mean,
                    main_low=with_main[0].main_low,
                    main_high=with_main[0].main_high,
                )
            )
    return points


def can_draw_trade_off(summaries: Sequence[Summary]) -> bool:
    """Whether at least two defenses or strengths have a main-task accuracy."""
    return len(drawing.distinct(strongest_attacks(summaries), ("defense_label",))) > 1


def _draw_curve(axes: Axes, curve: list[Summary], style: drawing.Style | None) -> None:
    """A defense over its strengths with crosses, or the star of the undefended."""
    xs = [100 * summary.attack_mean for summary in curve]
    ys = [100 * (summary.main_mean or 0.0) for summary in curve]
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
        hollow = [index for index, s in enumerate(curve) if s.below_chance]
        axes.plot(
            [xs[index] for index in hollow],
            [ys[index] for index in hollow],
            color=style.color,
            marker=style.marker,
            label=f"_below chance {label}",
            zorder=3.5,
            **_HOLLOW,
        )
    else:
        axes.plot(xs, ys, **_STAR, label=label, zorder=4)


def _draw_chance(axes: Axes, in_panel: list[Summary]) -> None:
    """The chance level as a vertical line, or the range of several."""
    levels = [100 * summary.chance for summary in in_panel]
    low, high = min(levels), max(levels)
    for level in (low, high) if high - low > 0.5 else (high,):
        axes.axvline(
            level, color=drawing.CHANCE_COLOR, label="_chance", **drawing.CHANCE
        )
    axes.axvspan(low, high, color="0.5", alpha=0.12, linewidth=0)


def _set_main_axis(all_axes: list[Axes], points: list[Summary]) -> None:
    """The y axis over the accuracies drawn, with room above for the ideal corner."""
    ends = [
        100 * end
        for summary in points
        for end in (summary.main_low, summary.main_mean, summary.main_high)
        if end is not None
    ]
    span = max(max(ends) - min(ends), 5.0)
    low, high = min(ends) - 0.08 * span, max(ends) + 0.2 * span
    for axes in all_axes:
        axes.set_ylim(low, high)
        axes.set_yticks([tick for tick in axes.get_yticks() if low <= tick <= 100])
        axes.set_ylim(low, high)
        axes.text(
            0.01,
            0.985,
            "↖ ideal: good model, attack at chance",
            transform=axes.transAxes,
            va="top",
            fontsize=7,
            style="italic",
            color="0.45",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        )
    drawing.label_left(all_axes, "main-task accuracy (%)\n(higher: model is better)")


def _label_strengths(
    figure: Figure,
    axes: Axes,
    in_panel: list[Summary],
    styles: dict[str, drawing.Style],
) -> None:
    """The strength beside each marker: always the first and last, others if free."""
    labels, keep_free = [], []
    for (defense,) in drawing.distinct(in_panel, ("defense",)):
        curve = drawing.matching(in_panel, ("defense",), (defense,))
        curve.sort(key=lambda summary: summary.defense_strength or 0.0)
        places = [(100 * s.attack_mean, 100 * (s.main_mean or 0.0)) for s in curve]
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


def _handles(points: list[Summary], styles: dict[str, drawing.Style]) -> list[Line2D]:
    """The legend: each defense with what its strength is, no defense, chance."""
    handles = []
    for defense, style in styles.items():
        strength_name = drawing.matching(points, ("defense",), (defense,))[
            0
        ].strength_name
        label = f"{defense} ({strength_name})" if strength_name else defense
        handles.append(Line2D([], [], **style._asdict(), label=label))
    if any(summary.defense == UNDEFENDED for summary in points):
        handles.append(Line2D([], [], **_STAR, label="no defense"))
    handles.append(drawing.chance_handle())
    if any(summary.below_chance for summary in points):
        label = "hollow: below chance, so leaks"
        handles.append(Line2D([], [], color="0.3", marker="o", label=label, **_HOLLOW))
    return handles


_HOLLOW: dict[str, Any] = {"linestyle": "none", "markerfacecolor": "white"}
_STAR: dict[str, Any] = {
    "color": "black",
    "linestyle": "none",
    "marker": "*",
    "markersize": 11,
    "markeredgecolor": "white",
    "markeredgewidth": 0.6,
}
