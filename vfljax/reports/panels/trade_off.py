"""What a defense costs the model, and what it buys against attacks."""

from textwrap import fill

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vfljax.reports import drawing
from vfljax.reports.columns import POINT
from vfljax.reports.drawing import Label, Look, interval, percent
from vfljax.reports.frame import (
    MESSAGE_ROWS,
    UNDEFENDED,
    Frame,
    groups,
    naive,
    strongest,
    varying,
)
from vfljax.reports.panels.base import Panel
from vfljax.reports.settings import SETTINGS, is_told

_FEW_POINTS = 24  # in a panel of the usual size
_SAME_LEVEL = 2.0  # percentage points between levels that share one line
_ATTACK, _MAIN = "attack_accuracy", "main_accuracy"
_IS_BACKDOOR = pl.col("view") == MESSAGE_ROWS


def _trade_off(frame: Frame, title: str) -> Figure | None:
    """The strongest attack on each model, one panel per view (threat model)."""
    ignoring = naive(frame.summary).select(*POINT, pl.col(_ATTACK).alias("ignoring"))
    points = strongest(frame.summary).drop_nulls(_MAIN)
    points = points.join(
        ignoring, on=POINT, how="left", nulls_equal=True, maintain_order="left"
    )
    is_less = pl.col("ignoring") < pl.col(_ATTACK)
    points = points.with_columns(ignoring=pl.when(is_less).then("ignoring"))
    names = [
        name
        for name in POINT[:-1]
        if name == "view" or (varying(points, (name,)) and not is_told(points, name))
    ]
    return _draw(points, names, title)


def _backdoor_trade_off(frame: Frame, title: str) -> Figure | None:
    """Every backdoor, which has a training of its own, one panel each."""
    points = frame.summary.with_columns(pl.lit(None, pl.Float64).alias("ignoring"))
    names = [n for n in varying(points, SETTINGS) if n != "defense_label"]
    return _draw(points, names, title)


def _draw(points: pl.DataFrame, names: list[str], title: str) -> Figure | None:
    """A panel per value of some settings, a curve per defense over its strengths.

    `ignoring` is the best rate of an attack that ignores the defense, where knowing it
    is better. None without several defenses or strengths.
    """
    if points["defense_label"].n_unique() <= 1:
        return None
    defenses = points["defense"].unique(maintain_order=True)
    defended = defenses.filter(defenses != UNDEFENDED)
    looks = {name: drawing.style(index) for index, name in enumerate(defended)}
    parts = [part for _, part in groups(points, names)]
    is_crowded = len(points) > _FEW_POINTS * len(parts)
    layout = {"most_columns": 2, "size": (6.4, 5.0)} if is_crowded else {}
    y_label = "main-task accuracy (%)\n(higher: model is better)"
    figure, all_axes = drawing.small_multiples(parts, names, title, y_label, **layout)
    labels: list[list[Label]] = []
    for axes, in_panel in zip(all_axes, parts, strict=True):
        labels.append([])
        curves = groups(in_panel, ["defense"])
        curves.sort(key=lambda curve: curve[0] == (UNDEFENDED,))  # the star on top
        for (defense,), curve in curves:
            curve = curve.sort("defense_strength", maintain_order=True)
            labels[-1] += _draw_curve(axes, curve, looks.get(defense, _STAR))
        _draw_levels(axes, in_panel)
        drawing.percent_axis(axes, "x")
        axes.set_xlabel(_x_label(in_panel, width=60 if is_crowded else 40))
        _set_main_axis(axes, points)
    drawing.draw_legend(figure)
    figure.draw_without_rendering()  # settles the layout
    for axes, of_panel in zip(all_axes, labels, strict=True):
        drawing.write_labels(axes, of_panel)
    return figure


def _is_backdoor(points: pl.DataFrame) -> bool:
    return points["view"][0] == MESSAGE_ROWS


def _x_label(in_panel: pl.DataFrame, width: int) -> str:
    if _is_backdoor(in_panel):
        return "backdoor accuracy (%, lower is safer)"
    attacks = ", ".join(in_panel["attack"].unique(maintain_order=True))
    strongest_here = fill(f"strongest here: {attacks}", width=width)
    what = "labels recovered by the strongest attack\n(%, lower: labels are safer)\n"
    return what + strongest_here


def _draw_curve(axes: Axes, curve: pl.DataFrame, look: Look) -> list[Label]:
    """A defense over its strengths with crosses; returns the strengths to write."""
    xs, ys = percent(curve, _ATTACK), percent(curve, _MAIN)
    first, color = curve.row(0, named=True), look["color"]
    name, strength_name = first["defense"], first["strength_name"]
    label = f"{name} ({strength_name})" if strength_name else name
    is_bare = name == UNDEFENDED
    label = "no defense" if is_bare else label
    drawing.draw_line(axes, curve, xs, _MAIN, look, label, with_hollow=not is_bare)
    (left, right), (low, high) = interval(curve, _ATTACK), interval(curve, _MAIN)
    cross = {"ecolor": color, "alpha": 0.45, "elinewidth": 1, "zorder": 2}
    ends = {"xerr": [xs - left, right - xs], "yerr": [ys - low, high - ys]}
    axes.errorbar(xs, ys, fmt="none", **ends, **cross)
    joined = _JOINED | {"color": color, "marker": look["marker"]}
    for start, x, y in zip(percent(curve, "ignoring"), xs, ys, strict=True):
        if start == start:  # not NaN
            axes.plot([start, x], [y, y], **joined)
    strengths = curve["defense_strength"].to_list()
    return [
        Label(x, y, f"{strength:g}", color, is_required=index in (0, len(curve) - 1))
        for index, (x, y, strength) in enumerate(zip(xs, ys, strengths, strict=True))
        if strength is not None
    ]


def _draw_levels(axes: Axes, in_panel: pl.DataFrame) -> None:
    """Chance upright, what the label party has alone level; of several their range."""
    label = "without trigger" if _is_backdoor(in_panel) else "chance"
    chance, floor = (
        percent(in_panel.drop_nulls(name), name)
        for name in ("chance_accuracy", "floor_accuracy")
    )
    low, high = chance.min(), chance.max()
    for level in {low, high} if high - low > _SAME_LEVEL else {high}:
        axes.axvline(level, label=label, **drawing.CHANCE)
    axes.axvspan(low, high, color="0.5", alpha=0.12, linewidth=0)
    if len(floor):
        axes.axhline(floor.max(), label="label party alone", **drawing.FLOOR)
        shade = {"color": drawing.FLOOR["color"], "alpha": 0.06, "linewidth": 0}
        axes.axhspan(0, floor.max(), **shade)


def _set_main_axis(axes: Axes, points: pl.DataFrame) -> None:
    """The y axis over the accuracies drawn, with room above for the ideal corner."""
    floors = percent(points.drop_nulls("floor_accuracy"), "floor_accuracy")
    ends = [*floors, *(end for ends in interval(points, _MAIN) for end in ends)]
    span = max(max(ends) - min(ends), 5.0)
    low, high = min(ends) - 0.08 * span, max(ends) + 0.2 * span
    axes.set(ylim=(low, high))
    ticks = [tick for tick in axes.get_yticks() if low <= tick <= 100]
    axes.set(yticks=ticks, ylim=(low, high))
    wish = "backdoor without effect" if _is_backdoor(points) else "attack at chance"
    text = axes.text(0.01, 0.985, f"↖ ideal: good model, {wish}", va="top")
    text.set(transform=axes.transAxes, fontsize=7, style="italic", color="0.45")
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
        "to names, or the attack is below chance. On or below what the label party "
        "reaches alone, shaded where known, a model is not worth its training."
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
