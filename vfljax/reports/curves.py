"""Curves of recovery against one setting that was swept."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from vfljax.reports import drawing
from vfljax.reports.statistics import TRAINED_MODEL, Row, Summary, summarize
from vfljax.reports.strongest import main_of
from vfljax.reports.x_axis import XAxis, make_x_axis

_MOST_SERIES = 8
_FEW_SERIES = 5  # whose bands can lie over each other
_SAME_CHANCE = 2.0  # percentage points between series that share one line
_BASELINES = ("direct", "direct_semi_supervised")  # families that use no trained model


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
    # A defense that is the same everywhere need not be in the legend, nor an optimizer
    # that the attack tells.
    series_names = series_names[:1] + tuple(
        name
        for name in series_names[1:]
        if len(drawing.distinct(summaries, (name,))) > 1
        and not drawing.is_told(summaries, name, _attack_name(series_names))
    )
    series_keys = drawing.distinct(summaries, series_names)
    if len(series_keys) > _MOST_SERIES and "defense_label" in series_names:
        series_names = tuple(name for name in series_names if name != "defense_label")
        series_keys = drawing.distinct(summaries, series_names)
    panel_names = _panel_names(summaries, (x_name, *series_names), panel_names)
    panel_keys = drawing.distinct(summaries, panel_names)
    styles = _styles(summaries, series_names, series_keys)
    x_axis = make_x_axis(summaries, x_name)
    figure, all_axes = drawing.panels(len(panel_keys), title, sharey=True)
    has_own_chance = False
    for axes, panel_key in zip(all_axes, panel_keys, strict=True):
        in_panel = drawing.matching(summaries, panel_names, panel_key)
        for series_key in drawing.distinct(in_panel, series_names):
            line = drawing.matching(in_panel, series_names, series_key)
            line.sort(key=x_axis.place)
            _draw_series(
                axes,
                line,
                x_axis,
                series_names,
                styles[series_key],
                band_alpha=0.18 if len(series_keys) <= _FEW_SERIES else 0.07,
            )
        has_own_chance |= _draw_chance(axes, in_panel, x_axis, series_names, styles)
        if x_name == "variant":
            _draw_main(axes, in_panel, x_axis)
            _draw_alone(axes, in_panel, x_axis)
        x_axis.finish(axes, in_panel)
        drawing.percent_axis(axes, "y")
        drawing.title_panel(axes, in_panel[0], panel_names)
    drawing.label_left(all_axes, "labels recovered (%)")
    handles = _handles(summaries, series_names, styles, has_own_chance)
    if x_name == "variant" and main_of(summaries):
        handles.append(Line2D([], [], label="main-task accuracy", **_MAIN))
    if x_name == "variant" and any("alone_accuracy" in s.further for s in summaries):
        label = "own features, all labels (test)"
        handles.append(Line2D([], [], label=label, **_ALONE))
    drawing.draw_legend(figure, handles)
    return figure


def _panel_names(
    summaries: list[Summary], drawn: tuple[str, ...], wanted: tuple[str, ...]
) -> tuple[str, ...]:
    """The settings that need a panel per value: all that vary and are not drawn yet."""
    attack = _attack_name(drawn)
    names = [
        name
        for name in drawing.SETTINGS
        if name in wanted
        or (
            name not in drawn
            and len(drawing.distinct(summaries, (name,))) > 1
            and not drawing.is_told(summaries, name, attack)
        )
    ]
    return tuple(n for n in names if n != "attack" or attack == "attack")


def _attack_name(drawn: tuple[str, ...]) -> str:
    """The field that tells the attacks drawn apart."""
    return "attack_family" if "attack_family" in drawn else "attack"


def _styles(
    summaries: list[Summary],
    series_names: tuple[str, ...],
    series_keys: list[tuple[Any, ...]],
) -> dict[tuple[Any, ...], drawing.Style]:
    """A look per series; where there are adaptive attacks, they and only they dash."""
    styles = {key: drawing.style(index) for index, key in enumerate(series_keys)}
    if _has_dashes(summaries, series_names):
        for key, style in styles.items():
            example = drawing.matching(summaries, series_names, key)[0]
            dash = drawing.ADAPTIVE_DASH if example.is_adaptive else "-"
            styles[key] = style._replace(linestyle=dash)
    for key, style in styles.items():
        if _is_baseline(drawing.matching(summaries, series_names, key)[0]):
            styles[key] = style._replace(color="0.25", linestyle=_BASELINE_DASH)
    return styles


def _has_dashes(summaries: list[Summary], series_names: tuple[str, ...]) -> bool:
    """Whether lines of adaptive and of other attacks are drawn."""
    kinds = drawing.distinct(summaries, ("is_adaptive",))
    return "attack" in series_names and len(kinds) > 1


def _is_baseline(summary: Summary) -> bool:
    """Whether an attack needs no model that was trained with others."""
    return summary.view == TRAINED_MODEL and summary.attack_family in _BASELINES


def _draw_series(
    axes: Axes,
    line: list[Summary],
    x_axis: XAxis,
    series_names: tuple[str, ...],
    style: drawing.Style,
    band_alpha: float,
) -> None:
    """One line with its band, and lighter the published readout where there is one."""
    xs = [x_axis.place(summary) for summary in line]
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
            [x_axis.place(summary) for summary in hollow],
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
    if x_axis.name == "num_classes" and published:
        axes.plot(
            [x_axis.place(summary) for summary in published],
            [100 * (summary.published_mean or 0.0) for summary in published],
            color=style.color,
            marker=style.marker,
            label=f"_published {drawing.describe(line[0], series_names)}",
            **_PUBLISHED,
        )


def _draw_chance(
    axes: Axes,
    in_panel: list[Summary],
    x_axis: XAxis,
    series_names: tuple[str, ...],
    styles: dict[tuple[Any, ...], drawing.Style],
) -> bool:
    """The chance level along x; one per series, and True, where the series differ."""
    levels: dict[Any, list[float]] = {}
    for summary in sorted(in_panel, key=x_axis.place):
        levels.setdefault(x_axis.place(summary), []).append(100 * summary.chance)
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
        line.sort(key=x_axis.place)
        axes.plot(
            [x_axis.place(summary) for summary in line],
            [100 * summary.chance for summary in line],
            color=styles[key].color,
            alpha=0.7,
            label=f"_chance {drawing.describe(line[0], series_names)}",
            **drawing.CHANCE,
        )
    return True


def _draw_main(axes: Axes, in_panel: list[Summary], x_axis: XAxis) -> None:
    """The main-task accuracy of the models under attack, thin and gray."""
    drawn = {}
    for value, place in x_axis.places.items():
        model = main_of(drawing.matching(in_panel, (x_axis.name,), (value,)))
        if model is not None and model.main_mean is not None:
            drawn[place] = 100 * model.main_mean
    axes.plot(list(drawn), list(drawn.values()), label="_main task", **_MAIN)


def _draw_alone(axes: Axes, in_panel: list[Summary], x_axis: XAxis) -> None:
    """What the adversary's features alone would give with all labels, dash-dotted."""
    drawn = {}
    for value, place in x_axis.places.items():
        for summary in drawing.matching(in_panel, (x_axis.name,), (value,)):
            mean = summary.rate("alone_accuracy").mean
            if mean is not None:
                drawn[place] = 100 * mean
    axes.plot(list(drawn), list(drawn.values()), label="_own features", **_ALONE)


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
        label += ", the baseline" if _is_baseline(example) else ""
        handles.append(Line2D([], [], **style._asdict(), label=label))
    if series_names == ("batch_size",) and any(
        summary.published_mean is not None for summary in summaries
    ):
        label = "published readout"
        handles.append(
            Line2D([], [], color="0.3", marker="o", label=label, **_PUBLISHED)
        )
    if _has_dashes(summaries, series_names):
        label = "dashed: knows the defense"
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
    if x_name == "variant":  # where it changes, what it says changes with it
        others = tuple(name for name in others if not drawing.is_told(summaries, name))
    if x_name == "known_per_class":
        others = tuple("attack_family" if name == "attack" else name for name in others)
    return any(
        len({getattr(s, x_name) for s in drawing.matching(summaries, others, key)}) > 1
        for key in drawing.distinct(summaries, others)
    )


_BASELINE_DASH = (0, (1, 1))
_MAIN: dict[str, Any] = {
    "color": "0.6",
    "linewidth": 1,
    "zorder": 1.7,
}
_ALONE: dict[str, Any] = {
    "color": "0.4",
    "linestyle": "-.",
    "linewidth": 1,
    "zorder": 1.7,
}
_PUBLISHED: dict[str, Any] = {
    "linestyle": ":",
    "linewidth": 1,
    "markerfacecolor": "white",
    "markersize": 4,
    "alpha": 0.6,
    "zorder": 2,
}
