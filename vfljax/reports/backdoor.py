"""How often a trigger leads to the adversary's class, and what that costs the model."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from vfljax.reports import drawing
from vfljax.reports.layout import (
    SETTING_COLUMNS,
    Column,
    Layout,
    choose_columns,
    footnotes,
    main_cell,
    percent,
    rate_cell,
    text_cell,
)
from vfljax.reports.statistics import MESSAGE_ROWS, Row, Summary, summarize

_UNDEFENDED = "none"
_MAIN_STYLE = {"color": "0.35", "marker": "d", "linestyle": (0, (4, 1))}


def backdoors(summaries: Sequence[Summary]) -> list[Summary]:
    """Those of trainings with a backdoor; all others are of inferred labels."""
    return [summary for summary in summaries if summary.view == MESSAGE_ROWS]


def inferences(summaries: Sequence[Summary]) -> list[Summary]:
    """Those of inferred labels."""
    return [summary for summary in summaries if summary.view != MESSAGE_ROWS]


def lay_out_backdoors(summaries: Sequence[Summary]) -> Layout:
    """One line per setting and backdoor.

    Args:
        summaries: from `summarize`; those of inferred labels are left out.

    Returns:
        The table.
    """
    columns = (
        *(column for column in SETTING_COLUMNS if column.heading not in _LEFT_OUT),
        Column("backdoor", text_cell("attack"), is_number=False),
        Column("amplification", _amplification, is_number=True),
        Column("trials", text_cell("num_trials"), is_number=True),
        Column("failed", text_cell("num_failed"), is_number=True),
        Column("backdoor %", _backdoor, is_number=True, is_result=True),
        Column("own class included %", _published, is_number=True, is_result=True),
        Column("without trigger %", _without, is_number=True, is_result=True),
        Column("main task %", main_cell, is_number=True, is_result=True),
        Column(
            "labels inferred %",
            rate_cell("inferred_accuracy", has_width=False),
            True,
            True,
        ),
    )
    layout = choose_columns(columns, backdoors(summaries), ())
    return layout._replace(
        footnotes=footnotes(cell for cells in layout.cells for cell in cells)
    )


BACKDOOR_NOTES = (
    (
        "backdoor %: test samples of other classes that the trigger leads to the "
        "target class, mean over trials ± half-width of the 95 % interval. own class "
        "included %: the same of all test samples tried, as published; those of the "
        "target class count as successes."
    ),
    (
        "without trigger %: the same samples of other classes without the trigger. "
        "main task %: all test samples without it, of the model with the backdoor; "
        "each backdoor has a training of its own."
    ),
)


def is_amplification_swept(summaries: Sequence[Summary]) -> bool:
    """Whether backdoors differ in their amplification."""
    return len({summary.amplification for summary in backdoors(summaries)}) > 1


def can_compare_defenses(summaries: Sequence[Summary]) -> bool:
    """Whether backdoors were tried on several defenses or strengths."""
    return len({summary.defense_label for summary in backdoors(summaries)}) > 1


@mpl.rc_context(drawing.LOOK)
def backdoor_against_amplification(
    rows: Sequence[Row], title: str | None = None
) -> Figure:
    """Backdoor and main-task accuracy against γ, as in Figure 6 of Zou et al. (2022).

    One panel per defense and whatever else varies, with 95 % bands; the thin line is
    the backdoor rate with samples of the target class included, as published.

    Args:
        rows: one per trial.
        title: the figure's title, or None.

    Returns:
        The figure.
    """
    summaries = backdoors(summarize(rows))
    names = _varying(summaries, without=("attack",))
    keys = drawing.distinct(summaries, names)
    figure, all_axes = drawing.panels(len(keys), title, sharey=True)
    for axes, key in zip(all_axes, keys, strict=True):
        line = drawing.matching(summaries, names, key)
        line.sort(key=lambda summary: summary.amplification or 0.0)
        gammas = [summary.amplification or 0.0 for summary in line]
        first = drawing.style(0)
        _draw(axes, gammas, line, "attack", first._asdict())
        _draw(axes, gammas, line, "main", _MAIN_STYLE)
        axes.plot(
            gammas,
            [100 * (summary.published_mean or 0.0) for summary in line],
            color=first.color,
            linewidth=0.8,
            alpha=0.6,
        )
        positive = [gamma for gamma in gammas if gamma > 0]
        axes.set_xscale("symlog", linthresh=min(positive, default=1.0))
        drawing.tick_values(axes, gammas)
        axes.set_xlabel(r"amplification $\gamma$")
        drawing.percent_axis(axes, "y")
        drawing.title_panel(axes, line[0], names)
    drawing.label_left(all_axes, "accuracy (%)")
    drawing.draw_legend(
        figure,
        [
            Line2D([], [], label="backdoor", **drawing.style(0)._asdict()),
            Line2D(
                [],
                [],
                color=drawing.style(0).color,
                linewidth=0.8,
                alpha=0.6,
                label="own class included",
            ),
            Line2D([], [], label="main task", **_MAIN_STYLE),
        ],
    )
    return figure


@mpl.rc_context(drawing.LOOK)
def backdoor_trade_off(rows: Sequence[Row], title: str | None = None) -> Figure:
    """Main-task accuracy against backdoor accuracy, as in Figure 9 of Zou et al.

    One panel per backdoor and whatever else varies, one curve per defense over its
    strengths; numbers beside the markers are strengths.

    Args:
        rows: one per trial.
        title: the figure's title, or None.

    Returns:
        The figure.
    """
    summaries = backdoors(summarize(rows))
    names = _varying(summaries, without=("defense_label",))
    keys = drawing.distinct(summaries, names)
    defenses = [key for (key,) in drawing.distinct(summaries, ("defense",))]
    colored = [name for name in defenses if name != _UNDEFENDED]
    styles = {name: drawing.style(index) for index, name in enumerate(colored)}
    styles[_UNDEFENDED] = drawing.Style("black", "*", "none")
    figure, all_axes = drawing.panels(len(keys), title, size=(4.2, 3.8), sharey=True)
    for axes, key in zip(all_axes, keys, strict=True):
        in_panel = drawing.matching(summaries, names, key)
        for defense in defenses:
            curve = drawing.matching(in_panel, ("defense",), (defense,))
            curve.sort(key=lambda summary: summary.defense_strength or 0.0)
            _draw_defense(axes, curve, styles[defense])
        drawing.percent_axis(axes, "x")
        axes.set_xlabel("backdoor accuracy (%, lower is safer)")
        drawing.title_panel(axes, in_panel[0], names)
    drawing.label_left(all_axes, "main-task accuracy (%)")
    drawing.draw_legend(
        figure,
        [
            Line2D(
                [],
                [],
                label="no defense" if name == _UNDEFENDED else name,
                **styles[name]._asdict(),
            )
            for name in defenses
        ],
    )
    return figure


def _draw(axes: Axes, xs: list[float], line: list[Summary], what: str, look) -> None:
    """A line with its band."""
    means, lows, highs = (
        [getattr(summary, f"{what}_{end}") for summary in line]
        for end in ("mean", "low", "high")
    )
    axes.plot(xs, [100 * mean for mean in means], clip_on=False, zorder=3, **look)
    axes.fill_between(
        xs,
        [100 * (m if e is None else e) for m, e in zip(means, lows, strict=True)],
        [100 * (m if e is None else e) for m, e in zip(means, highs, strict=True)],
        color=look["color"],
        alpha=0.15,
        linewidth=0,
    )


def _draw_defense(axes: Axes, curve: list[Summary], style: drawing.Style) -> None:
    """One defense over its strengths, with the intervals of both rates."""
    xs = [100 * summary.attack_mean for summary in curve]
    ys = [100 * (summary.main_mean or 0.0) for summary in curve]
    axes.plot(xs, ys, **style._asdict(), zorder=3)
    for x, y, summary in zip(xs, ys, curve, strict=True):
        for mean, low, high, horizontal in (
            (x, summary.attack_low, summary.attack_high, True),
            (y, summary.main_low, summary.main_high, False),
        ):
            if low is None or high is None:
                continue
            ends = [[mean - 100 * low], [100 * high - mean]]
            error: dict[str, Any] = {"xerr" if horizontal else "yerr": ends}
            axes.errorbar(
                x, y, **error, color=style.color, alpha=0.35, linewidth=0.8, zorder=2
            )
        if summary.defense_strength is not None:
            axes.annotate(
                f"{summary.defense_strength:g}",
                (x, y),
                xytext=(4, 4),
                textcoords="offset points",
                fontsize=7,
                color=style.color,
            )


def _varying(summaries: Sequence[Summary], without: Sequence[str]) -> tuple[str, ...]:
    """Settings that get a panel per value."""
    return tuple(
        name
        for name in drawing.SETTINGS
        if name not in without and len(drawing.distinct(summaries, (name,))) > 1
    )


_LEFT_OUT = ("view", "step", "protocol")


def _amplification(summary: Summary) -> str:
    return f"{summary.amplification:g}"


def _backdoor(summary: Summary) -> str:
    return percent(summary.attack_mean, summary.attack_low, summary.attack_high)


def _published(summary: Summary) -> str:
    return percent(summary.published_mean, None, None)


def _without(summary: Summary) -> str:
    return percent(summary.chance, None, None)
