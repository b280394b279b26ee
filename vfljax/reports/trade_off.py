"""What a defense costs the model and what it buys: utility against label recovery."""

from collections.abc import Sequence
from textwrap import fill

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vfljax.reports import drawing
from vfljax.reports.statistics import POINT, Row, Summary, summarize
from vfljax.reports.strongest import Verdict, judge, with_main
from vfljax.reports.trade_off_marks import (
    UNDEFENDED,
    draw_chance,
    draw_curve,
    draw_naive,
    handles,
    label_strengths,
)

_FEW_POINTS = 24  # in a panel of the usual size


@mpl.rc_context(drawing.LOOK)
def trade_off(rows: Sequence[Row], title: str | None = None) -> Figure:
    """Main-task accuracy against the accuracy of the strongest attack.

    One panel per view (threat model), one curve per defense over its strengths, the
    undefended model as a star. A defense is judged by the strongest attack, chosen for
    each point on its own; that choice among noisy means is slightly in the attacks'
    favor. Where an attack that knows the defense beats all that ignore it, a faint
    marker is the best of the latter, and a dotted line leads to the former. Crosses are
    95 % intervals of both rates. A hollow marker looks like protection and is leakage:
    up to the names of the classes (`Verdict.hides_names_only`), or below chance
    (`Summary.below_chance`).

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
    naive = _naive_attacks(summaries)
    panel_names = tuple(
        name
        for name in POINT[:-1]
        if name == "view"
        or (
            len(drawing.distinct(points, (name,))) > 1
            and not drawing.is_told(points, name)
        )
    )
    panel_keys = drawing.distinct(points, panel_names)
    defenses = [key[0] for key in drawing.distinct(points, ("defense",))]
    styles = {
        defense: drawing.style(index)
        for index, defense in enumerate(name for name in defenses if name != UNDEFENDED)
    }
    is_crowded = len(points) > _FEW_POINTS * len(panel_keys)
    figure, all_axes = drawing.panels(
        len(panel_keys),
        title,
        most_columns=2 if is_crowded else 3,
        size=(6.4, 5.0) if is_crowded else None,
        sharey=True,
    )
    for axes, panel_key in zip(all_axes, panel_keys, strict=True):
        in_panel = drawing.matching(points, panel_names, panel_key)
        for defense in drawing.distinct(in_panel, ("defense",)):
            curve = drawing.matching(in_panel, ("defense",), defense)
            curve.sort(key=lambda summary: summary.defense_strength or 0.0)
            draw_curve(axes, curve, styles.get(defense[0]))
        draw_naive(axes, in_panel, naive, styles)
        draw_chance(axes, in_panel)
        drawing.percent_axis(axes, "x")
        attacks = ", ".join(key[0] for key in drawing.distinct(in_panel, ("attack",)))
        axes.set_xlabel(
            "labels recovered by the strongest attack\n(%, lower: labels are safer)\n"
            + fill(f"strongest here: {attacks}", width=60 if is_crowded else 40)
        )
        drawing.title_panel(axes, in_panel[0], panel_names)
    _set_main_axis(all_axes, points)
    drawing.draw_legend(figure, handles(points, styles, has_naive=bool(naive)))
    for axes, panel_key in zip(all_axes, panel_keys, strict=True):
        label_strengths(
            figure,
            axes,
            drawing.matching(points, panel_names, panel_key),
            drawing.matching(naive, panel_names, panel_key),
            styles,
        )
    return figure


def strongest_attacks(summaries: Sequence[Summary]) -> list[Summary]:
    """The strongest attack on each model that has a main-task accuracy.

    It is shown with the model's main-task accuracy even if its own rows have none. A
    model that no row has a main-task accuracy for is left out.

    Args:
        summaries: from `summarize`.

    Returns:
        One summary per view, setting, defense and strength.
    """
    return [_at_model(verdict, verdict.strongest) for verdict in _drawn(summaries)]


def _drawn(summaries: Sequence[Summary]) -> list[Verdict]:
    return [v for v in judge(summaries) if v.model.main_mean is not None]


def _at_model(verdict: Verdict, attack: Summary) -> Summary:
    """An attack with the main-task accuracy of its model, judged as the verdict."""
    return with_main(attack, verdict.model)._replace(
        hides_names_only=verdict.hides_names_only
    )


def _naive_attacks(summaries: Sequence[Summary]) -> list[Summary]:
    """The strongest attack that ignores the defense, where knowing it does better."""
    return [
        _at_model(verdict, verdict.naive)
        for verdict in _drawn(summaries)
        if verdict.naive is not None
        and verdict.naive.attack_mean < verdict.strongest.attack_mean
    ]


def can_draw_trade_off(summaries: Sequence[Summary]) -> bool:
    """Whether at least two defenses or strengths have a main-task accuracy."""
    return len(drawing.distinct(strongest_attacks(summaries), ("defense_label",))) > 1


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
