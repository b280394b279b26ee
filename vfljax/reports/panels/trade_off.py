"""What a defense costs the model, and what it buys against attacks."""

from collections.abc import Sequence
from textwrap import fill

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vfljax.reports import drawing
from vfljax.reports.columns import MESSAGE_ROWS, POINT, SCENE, UNDEFENDED
from vfljax.reports.drawing import Look, interval, percent
from vfljax.reports.frame import Frame, groups, in_titles, naive, strongest
from vfljax.reports.panels.base import Panel
from vfljax.reports.table import what_is_found

_FEW_POINTS = 24  # in a panel of the usual size
_SAME_LEVEL = 2.0  # percentage points between levels that share one line
_ATTACK, _MAIN, _FLOOR = "attack_accuracy", "main_accuracy", "floor_accuracy"
_IS_BACKDOOR = pl.col("view") == MESSAGE_ROWS
_X_LABEL = "{0} recovered by the strongest attack\n(%, lower: {0} are safer)\n{1}"
_BACKDOOR_X_LABEL = "backdoor accuracy (%, lower is safer)"
_Y_LABEL = "main-task accuracy (%)\n(higher: model is better)"


def _trade_off(frame: Frame, title: str) -> Figure | None:
    """The strongest attack on each model, one panel per view (threat model)."""
    ignoring = naive(frame.summary).select(*POINT, pl.col(_ATTACK).alias("ignoring"))
    points = strongest(frame.summary).drop_nulls(_MAIN)
    points = points.join(
        ignoring, on=POINT, how="left", nulls_equal=True, maintain_order="left"
    )
    is_less = pl.col("ignoring") < pl.col(_ATTACK)
    points = points.with_columns(ignoring=pl.when(is_less).then("ignoring"))
    told = in_titles(points, ())
    names = [name for name in SCENE if name == "view" or name in told]
    return _draw(points, names, title)


def _backdoor_trade_off(frame: Frame, title: str) -> Figure | None:
    """Every backdoor, which has a training of its own, one panel each."""
    points = frame.summary.with_columns(pl.lit(None, pl.Float64).alias("ignoring"))
    return _draw(points, in_titles(points, ("defense_label",)), title)


def _draw(points: pl.DataFrame, names: Sequence[str], title: str) -> Figure | None:
    """A panel per value of some settings, a curve per defense over its strengths.

    `ignoring` is the best rate of an attack that ignores the defense, where knowing it
    is better. None without several defenses or strengths.
    """
    if points["defense_label"].n_unique() <= 1:
        return None
    is_backdoor = points["view"][0] == MESSAGE_ROWS
    is_bare = pl.col("defense") == UNDEFENDED
    defended = points.filter(~is_bare)["defense"].unique(maintain_order=True)
    looks = {name: drawing.style(index) for index, name in enumerate(defended)}
    parts = [part for _, part in groups(points, names)]
    is_crowded = len(points) > _FEW_POINTS * len(parts)
    layout = {"most_columns": 2, "size": (6.4, 5.0)} if is_crowded else {}
    figure = drawing.small_multiples(parts, names, title, _Y_LABEL, **layout)
    for axes, in_panel in zip(figure.axes, parts, strict=True):
        on_top = in_panel.sort(is_bare, maintain_order=True)  # of all, the star
        for (defense,), curve in groups(on_top, ["defense"]):
            _draw_curve(axes, curve, looks.get(defense, _STAR))
        _draw_levels(axes, in_panel, "without trigger" if is_backdoor else "chance")
        drawing.percent_axis(axes, "x")
        attacks = ", ".join(in_panel["attack"].unique(maintain_order=True))
        who = fill(f"strongest here: {attacks}", width=60 if is_crowded else 40)
        x_label = _X_LABEL.format(what_is_found(in_panel), who)
        axes.set_xlabel(_BACKDOOR_X_LABEL if is_backdoor else x_label)
        wish = "backdoor without effect" if is_backdoor else "attack at chance"
        _set_main_axis(axes, points, f"↖ ideal: good model, {wish}")
    drawing.draw_legend(figure)
    figure.draw_without_rendering()  # settles the layout
    for axes in figure.axes:
        drawing.place_labels(axes)
    return figure


def _draw_curve(axes: Axes, curve: pl.DataFrame, look: Look) -> None:
    """A defense over its strengths, which are written beside them, with crosses."""
    curve = curve.sort("defense_strength", maintain_order=True)
    curve = curve.with_columns(x=100 * pl.col(_ATTACK))
    xs, ys = percent(curve, _ATTACK), percent(curve, _MAIN)
    name, strength_name = curve["defense"][0], curve["strength_name"][0]
    label = f"{name} ({strength_name})" if strength_name else name
    label = "no defense" if name == UNDEFENDED else label
    drawing.draw_line(axes, curve, _MAIN, look | {"label": label})
    (left, right), (low, high) = interval(curve, _ATTACK), interval(curve, _MAIN)
    cross = {"ecolor": look["color"], "alpha": 0.45, "elinewidth": 1, "zorder": 2}
    ends = {"xerr": [xs - left, right - xs], "yerr": [ys - low, high - ys]}
    axes.errorbar(xs, ys, fmt="none", **ends, **cross)
    joined = _JOINED | {"color": look["color"], "marker": look["marker"]}
    starts, strengths = percent(curve, "ignoring"), curve["defense_strength"]
    for i, (x, y) in enumerate(zip(xs, ys, strict=True)):
        if np.isfinite(starts[i]):
            axes.plot([starts[i], x], [y, y], **joined)
        if strengths[i] is not None:
            is_end = i in (0, len(curve) - 1)
            text = f"{strengths[i]:g}"
            drawing.write(axes, (x, y), text, look["color"], rank=is_end)


def _draw_levels(axes: Axes, in_panel: pl.DataFrame, label: str) -> None:
    """Chance upright, what the label party has alone level; of several their range."""
    chance, floor = (percent(in_panel, name) for name in ("chance_accuracy", _FLOOR))
    low, high = chance.min(), chance.max()
    for level in {low, high} if high - low > _SAME_LEVEL else {high}:
        axes.axvline(level, label=label, **drawing.CHANCE)
    axes.axvspan(low, high, color="0.5", alpha=0.12, linewidth=0)
    if np.isfinite(floor).any():
        top = np.nanmax(floor)
        axes.axhline(top, label="one party alone", **drawing.FLOOR)
        axes.axhspan(0, top, color=drawing.FLOOR["color"], alpha=0.06, linewidth=0)


def _set_main_axis(axes: Axes, points: pl.DataFrame, wish: str) -> None:
    """The y axis over the accuracies drawn, with room above for the ideal corner."""
    drawn = np.concatenate([percent(points, _FLOOR), *interval(points, _MAIN)])
    bottom, top = np.nanmin(drawn), np.nanmax(drawn)
    span = max(top - bottom, 5.0)
    low, high = bottom - 0.08 * span, top + 0.2 * span
    axes.set(ylim=(low, high))
    ticks = [tick for tick in axes.get_yticks() if low <= tick <= 100]
    axes.set(yticks=ticks, ylim=(low, high))
    look: Look = {"fontsize": 7, "style": "italic", "color": "0.45", "va": "top"}
    text = axes.text(0.01, 0.985, wish, transform=axes.transAxes, **look)
    text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1.5})


_LEADS = {"label": "gained by knowing the defense", "markevery": [0], "mew": 0}
_JOINED: Look = {"ls": ":", "lw": 1, "alpha": 0.4, "zorder": 1.8, **_LEADS}
_EDGE = {"mec": "white", "mew": 0.6}
_STAR: Look = {"color": "black", "marker": "*", "ms": 11, "ls": "none", **_EDGE}

TRADE_OFF = Panel(
    name="trade_off",
    title="What defenses cost and what they buy",
    about=~_IS_BACKDOOR,
    figure=_trade_off,
    caption=(
        "Main-task accuracy against the labels recovered by the strongest attack, a "
        "curve per defense; numbers beside the markers are strengths, crosses are 95 % "
        "intervals. The strongest attack is chosen for each point on its own, by its "
        "mean, which is slightly in the attacks' favor. Where an attack that knows the "
        "defense is stronger than all that ignore it, a dotted line leads to it from "
        "the strongest of those. A hollow marker is no protection: the labels leak up "
        "to names, or the attack is below chance. On or below what one party or "
        "participant reaches alone, shaded where known, a model is not worth its "
        "training."
    ),
)
BACKDOOR_TRADE_OFF = Panel(
    name="backdoor_trade_off",
    title="What defenses against backdoors cost and what they buy",
    about=_IS_BACKDOOR,
    figure=_backdoor_trade_off,
    caption=(
        "Main-task accuracy against backdoor accuracy, as in Figure 9 of Zou et al. "
        "2022 (arXiv 2112.05409); numbers beside the markers are strengths, crosses "
        "are 95 % intervals. The upper left corner is where a defense should be."
    ),
)
