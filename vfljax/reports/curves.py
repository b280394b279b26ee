"""Curves of recovery against one setting that was swept."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from vfljax.reports import drawing
from vfljax.reports.statistics import Row, Summary, summarize

_MOST_SERIES = 8
_FEW_SERIES = 5  # whose bands can lie over each other
_SAME_CHANCE = 2.0  # percentage points between series that share one line


def curves(
    rows: Sequence[Row],
    x_name: str,
    series_names: tuple[str, ...],
    title: str | None,
    panel_names: tuple[str, ...] = (),
) -> Figure:
    """Recovery against one setting: a line per series, a panel per other setting.

    Args:
        rows: one per trial.
        x_name: the setting on the x axis.
        series_names: the settings that tell one line from another.
        title: the figure's title, or None.
        panel_names: settings that get a panel per value, whether they vary or not.

    Returns:
        The figure.

    Raises:
        ValueError: if no two settings differ in `x_name` alone.
    """
    summaries = summarize(rows)
    if not is_swept(summaries, x_name):
        raise ValueError(
            f"rows has no two settings that differ in {x_name} alone; allowed: a run "
            f"that sweeps {x_name}"
        )
    # A defense that is the same everywhere need not be in the legend.
    series_names = series_names[:1] + tuple(
        name
        for name in series_names[1:]
        if len(drawing.distinct(summaries, (name,))) > 1
    )
    series_keys = drawing.distinct(summaries, series_names)
    if len(series_keys) > _MOST_SERIES and "defense_label" in series_names:
        series_names = tuple(name for name in series_names if name != "defense_label")
        series_keys = drawing.distinct(summaries, series_names)
    panel_names = _panel_names(summaries, (x_name, *series_names), panel_names)
    panel_keys = drawing.distinct(summaries, panel_names)
    styles = _styles(summaries, series_names, series_keys)
    figure, all_axes = drawing.panels(len(panel_keys), title, sharey=True)
    has_own_chance = False
    for axes, panel_key in zip(all_axes, panel_keys, strict=True):
        in_panel = drawing.matching(summaries, panel_names, panel_key)
        for series_key in drawing.distinct(in_panel, series_names):
            line = drawing.matching(in_panel, series_names, series_key)
            line.sort(key=lambda summary: getattr(summary, x_name))
            _draw_series(
                axes,
                line,
                x_name,
                series_names,
                styles[series_key],
                band_alpha=0.18 if len(series_keys) <= _FEW_SERIES else 0.07,
            )
        has_own_chance |= _draw_chance(axes, in_panel, x_name, series_names, styles)
        _finish_axes(axes, in_panel, x_name)
        drawing.title_panel(axes, in_panel[0], panel_names)
    drawing.label_left(all_axes, "labels recovered (%)")
    handles = _handles(summaries, series_names, styles, has_own_chance)
    drawing.draw_legend(figure, handles)
    return figure


def _panel_names(
    summaries: list[Summary], drawn: tuple[str, ...], wanted: tuple[str, ...]
) -> tuple[str, ...]:
    """The settings that need a panel per value: all that vary and are not drawn yet."""
    names = [
        name
        for name in drawing.SETTINGS
        if name in wanted
        or (name not in drawn and len(drawing.distinct(summaries, (name,))) > 1)
    ]
    attacks = drawing.distinct(summaries, ("attack",))
    if len(drawing.distinct(summaries, ("attack", "view"))) == len(attacks):
        # Every attack has one view, and each line or panel has one attack.
        names = [name for name in names if name != "view"]
    return tuple(names)


def _styles(
    summaries: list[Summary],
    series_names: tuple[str, ...],
    series_keys: list[tuple[Any, ...]],
) -> dict[tuple[Any, ...], drawing.Style]:
    """A look per series; where there are adaptive attacks, they and only they dash."""
    styles = {key: drawing.style(index) for index, key in enumerate(series_keys)}
    if "attack" in series_names and any(s.is_adaptive for s in summaries):
        for key, style in styles.items():
            example = drawing.matching(summaries, series_names, key)[0]
            dash = drawing.ADAPTIVE_DASH if example.is_adaptive else "-"
            styles[key] = style._replace(linestyle=dash)
    return styles


def _draw_series(
    axes: Axes,
    line: list[Summary],
    x_name: str,
    series_names: tuple[str, ...],
    style: drawing.Style,
    band_alpha: float,
) -> None:
    """One line with its band, and lighter the published readout where there is one."""
    xs = [getattr(summary, x_name) for summary in line]
    axes.plot(
        xs,
        [100 * summary.attack_mean for summary in line],
        **style._asdict(),
        label=drawing.describe(line[0], series_names),
        clip_on=False,
        zorder=3,
    )
    hollow = [summary for summary in line if summary.leaks_nonetheless]
    if hollow:
        axes.plot(
            [getattr(summary, x_name) for summary in hollow],
            [100 * summary.attack_mean for summary in hollow],
            color=style.color,
            marker=style.marker,
            label=f"_leaks nonetheless {drawing.describe(line[0], series_names)}",
            clip_on=False,
            zorder=3.5,
            **drawing.HOLLOW,
        )
    axes.fill_between(
        xs,
        [100 * (s.attack_mean if s.attack_low is None else s.attack_low) for s in line],
        [
            100 * (s.attack_mean if s.attack_high is None else s.attack_high)
            for s in line
        ],
        color=style.color,
        alpha=band_alpha,
        linewidth=0,
    )
    published = [summary for summary in line if summary.published_mean is not None]
    if x_name == "num_classes" and published:
        axes.plot(
            [getattr(summary, x_name) for summary in published],
            [100 * (summary.published_mean or 0.0) for summary in published],
            color=style.color,
            marker=style.marker,
            label=f"_published {drawing.describe(line[0], series_names)}",
            **_PUBLISHED,
        )


def _draw_chance(
    axes: Axes,
    in_panel: list[Summary],
    x_name: str,
    series_names: tuple[str, ...],
    styles: dict[tuple[Any, ...], drawing.Style],
) -> bool:
    """The chance level along x; one per series, and True, where the series differ."""
    levels: dict[Any, list[float]] = {}
    for summary in sorted(in_panel, key=lambda summary: getattr(summary, x_name)):
        levels.setdefault(getattr(summary, x_name), []).append(100 * summary.chance)
    spread = max(max(level) - min(level) for level in levels.values())
    if spread <= _SAME_CHANCE:
        axes.plot(
            list(levels),
            [max(level) for level in levels.values()],
            color=drawing.CHANCE_COLOR,
            label="_chance",
            **drawing.CHANCE,
        )
        return False
    for key in drawing.distinct(in_panel, series_names):
        line = drawing.matching(in_panel, series_names, key)
        line.sort(key=lambda summary: getattr(summary, x_name))
        axes.plot(
            [getattr(summary, x_name) for summary in line],
            [100 * summary.chance for summary in line],
            color=styles[key].color,
            alpha=0.7,
            label=f"_chance {drawing.describe(line[0], series_names)}",
            **drawing.CHANCE,
        )
    return True


def _finish_axes(axes: Axes, in_panel: list[Summary], x_name: str) -> None:
    """Scale, ticks and label of the x axis; 0 to 100 % on the y axis."""
    xs = sorted({getattr(summary, x_name) for summary in in_panel})
    if x_name == "batch_size":
        axes.set_xscale("log", base=2)
        axes.set_xlabel("batch size")
    elif x_name == "train_step":
        first_step = min((step for step in xs if step > 0), default=1)
        axes.set_xscale("symlog", linthresh=first_step, linscale=0.5)
        axes.set_xlabel("training step at which the view is taken")
    else:
        if xs[0] > 0 and xs[-1] / xs[0] > 20:
            axes.set_xscale("log")
        axes.set_xlabel("number of classes")
    drawing.tick_values(axes, xs)
    drawing.percent_axis(axes, "y")


def _handles(
    summaries: list[Summary],
    series_names: tuple[str, ...],
    styles: dict[tuple[Any, ...], drawing.Style],
    has_own_chance: bool,
) -> list[Line2D]:
    """The legend: every series, the published readout, chance."""
    handles = []
    for key, style in styles.items():
        example = drawing.matching(summaries, series_names, key)[0]
        label = drawing.describe(example, series_names)
        handles.append(Line2D([], [], **style._asdict(), label=label))
    if series_names == ("batch_size",) and any(
        summary.published_mean is not None for summary in summaries
    ):
        label = "published readout"
        handles.append(
            Line2D([], [], color="0.3", marker="o", label=label, **_PUBLISHED)
        )
    if "attack" in series_names and any(s.is_adaptive for s in summaries):
        label = "dashed: knows the defense, or more than its view"
        dash = drawing.ADAPTIVE_DASH
        handles.append(Line2D([], [], color="0.3", linestyle=dash, label=label))
    if any(summary.leaks_nonetheless for summary in summaries):
        handles.append(drawing.hollow_handle())
    handles.append(
        drawing.chance_handle(
            "chance (in the color of its line)" if has_own_chance else "chance"
        )
    )
    return handles


def is_swept(summaries: Sequence[Summary], x_name: str) -> bool:
    """Whether two settings differ in this one alone."""
    others = tuple(name for name in drawing.SETTINGS if name != x_name)
    return any(
        len({getattr(s, x_name) for s in drawing.matching(summaries, others, key)}) > 1
        for key in drawing.distinct(summaries, others)
    )


_PUBLISHED: dict[str, Any] = {
    "linestyle": ":",
    "linewidth": 1,
    "markerfacecolor": "white",
    "markersize": 4,
    "alpha": 0.6,
    "zorder": 2,
}
