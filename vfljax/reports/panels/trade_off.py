"""What a defense costs the model and what it buys: utility against what attacks find."""

from textwrap import fill
from typing import Any, NamedTuple

import matplotlib as mpl
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vfljax.reports import drawing
from vfljax.reports.columns import POINT
from vfljax.reports.drawing import entry, percent
from vfljax.reports.frame import UNDEFENDED, Frame, distinct, naive, strongest, varying
from vfljax.reports.panels.base import Panel
from vfljax.reports.settings import SETTINGS, describe, groups, is_told

_FEW_POINTS = 24  # in a panel of the usual size
_SAME_LEVEL = 0.5  # percentage points between levels that share one line
_PLANTED = pl.col("view") == "message_rows"


class _Words(NamedTuple):
    """How rates of inferred labels or of backdoors are called."""

    x_label: str
    chance: str
    ideal: str


_OF_LABELS = _Words(
    "labels recovered by the strongest attack\n(%, lower: labels are safer)",
    "chance",
    "↖ ideal: good model, attack at chance",
)
_OF_BACKDOORS = _Words(
    "backdoor accuracy (%, lower is safer)",
    "without trigger",
    "↖ ideal: good model, no backdoor",
)


@mpl.rc_context(drawing.LOOK)
def trade_off(frame: Frame, title: str | None = None) -> Figure:
    """Main-task accuracy against the accuracy of the strongest attack.

    One panel per view (threat model), one curve per defense over its strengths, the
    undefended model as a star. A defense is judged by the strongest attack, chosen for
    each point on its own; that choice among noisy means is slightly in the attacks'
    favor. Where an attack that knows the defense beats all that ignore it, a faint
    marker is the best of the latter, and a dotted line leads to the former. Crosses are
    95 % intervals of both rates. A hollow marker looks like protection and is leakage:
    up to the names of the classes, or below chance. Below the line of what the label
    party reaches alone, shaded, a model is not worth its training.

    Args:
        frame: of any run.
        title: the figure's title, or None.

    Returns:
        The figure.

    Raises:
        ValueError: if fewer than two defenses or strengths have a main-task accuracy.
    """
    if not _has_trade_off(frame):
        raise ValueError(
            "frame has a main_accuracy for fewer than two defenses or strengths; "
            "allowed: a run that trains a model under at least two"
        )
    points = _strongest(frame)
    ignoring = naive(frame.summary.filter(~_PLANTED))
    points = points.join(
        ignoring.select(*POINT, pl.col("attack_accuracy").alias("ignoring")),
        on=POINT,
        how="left",
        nulls_equal=True,
        maintain_order="left",
    )
    is_less = pl.col("ignoring") < pl.col("attack_accuracy")
    points = points.with_columns(ignoring=pl.when(is_less).then("ignoring"))
    names = tuple(
        name
        for name in POINT[:-1]
        if name == "view" or (varying(points, (name,)) and not is_told(points, name))
    )
    return _draw(points, names, _OF_LABELS, title)


@mpl.rc_context(drawing.LOOK)
def backdoor_trade_off(frame: Frame, title: str | None = None) -> Figure:
    """Main-task accuracy against backdoor accuracy, as in Figure 9 of Zou et al. 2022.

    https://arxiv.org/abs/2112.05409. One panel per backdoor and whatever else varies,
    one curve per defense over its strengths. Each backdoor has a training of its own.

    Args:
        frame: with backdoors on several defenses or strengths.
        title: the figure's title, or None.

    Returns:
        The figure.
    """
    points = frame.summary.filter(_PLANTED).with_columns(
        pl.lit(None, pl.Float64).alias("ignoring"),
        pl.lit(value=False).alias("below_chance"),  # a rare trigger leaks nothing
    )
    names = tuple(n for n in varying(points, SETTINGS) if n != "defense_label")
    return _draw(points, names, _OF_BACKDOORS, title)


def _strongest(frame: Frame) -> pl.DataFrame:
    """The strongest attack on each model that has a main-task accuracy."""
    attacks = strongest(frame.summary.filter(~_PLANTED))
    return attacks.filter(pl.col("main_accuracy").is_not_null())


def _has_trade_off(frame: Frame) -> bool:
    return _strongest(frame)["defense_label"].n_unique() > 1


def _draw(
    points: pl.DataFrame, names: tuple[str, ...], words: _Words, title: str | None
) -> Figure:
    """A panel per value of some settings, a curve per defense.

    Args:
        points: a row per marker, in `ignoring` the best rate of an attack that ignores
            the defense where knowing it is better.
        names: the settings that get a panel per value.
        words: how the rates are called.
        title: the figure's title, or None.
    """
    defenses = [name for (name,) in distinct(points, ("defense",))]
    defended = [name for name in defenses if name != UNDEFENDED]
    looks = {
        name: drawing.style(index)._asdict() for index, name in enumerate(defended)
    }
    looks |= {UNDEFENDED: _STAR} if UNDEFENDED in defenses else {}
    all_panels = groups(points, names)
    is_crowded = len(points) > _FEW_POINTS * len(all_panels)
    figure, all_axes = drawing.panels(
        len(all_panels),
        title,
        most_columns=2 if is_crowded else 3,
        size=(6.4, 5.0) if is_crowded else None,
        sharey=True,
    )
    labels = []
    for axes, (_, in_panel) in zip(all_axes, all_panels, strict=True):
        of_panel = []
        for (defense,), curve in groups(in_panel, ("defense",)):
            curve = curve.sort("defense_strength")
            _draw_curve(axes, curve, looks[defense])
            _draw_ignoring(axes, curve, looks[defense])
            of_panel += _strengths(curve, looks[defense]["color"])
        labels.append(of_panel)
        _draw_levels(axes, in_panel)
        drawing.percent_axis(axes, "x")
        attacks = ", ".join(name for (name,) in distinct(in_panel, ("attack",)))
        by = fill(f"strongest here: {attacks}", width=60 if is_crowded else 40)
        is_said = words is _OF_BACKDOORS
        axes.set_xlabel(words.x_label if is_said else f"{words.x_label}\n{by}")
        drawing.title_panel(axes, describe(in_panel, names))
    _set_main_axis(all_axes, points, words.ideal)
    drawing.draw_legend(figure, _entries(points, looks, words.chance))
    figure.draw_without_rendering()  # settles the layout
    for axes, of_panel in zip(all_axes, labels, strict=True):
        drawing.write_labels(axes, of_panel)
    return figure


def _draw_curve(axes: Axes, curve: pl.DataFrame, look: dict[str, Any]) -> None:
    """A defense over its strengths, or the star of the undefended, with crosses."""
    xs, ys = percent(curve, "attack_accuracy"), percent(curve, "main_accuracy")
    ends = [
        drawing.interval(curve, name) for name in ("attack_accuracy", "main_accuracy")
    ]
    errors = [
        [mean - low, high - mean]
        for mean, (low, high) in zip((xs, ys), ends, strict=True)
    ]
    cross = {"ecolor": look["color"], "alpha": 0.45, "elinewidth": 1, "zorder": 2}
    axes.errorbar(xs, ys, xerr=errors[0], yerr=errors[1], fmt="none", **cross)
    axes.plot(xs, ys, label=curve["defense"][0], **{"zorder": 3} | look)
    drawing.draw_hollow(
        axes, curve, "attack_accuracy", "main_accuracy", look, curve["defense"][0]
    )


def _draw_ignoring(axes: Axes, curve: pl.DataFrame, look: dict[str, Any]) -> None:
    """Where an attacker who ignores the defense gets, joined to the real points."""
    curve = curve.filter(pl.col("ignoring").is_not_null())
    if curve.is_empty():
        return
    xs, ys = percent(curve, "ignoring"), percent(curve, "main_accuracy")
    color, label = look["color"], curve["defense"][0]
    for start, end, y in zip(xs, percent(curve, "attack_accuracy"), ys, strict=True):
        axes.plot(
            [start, end], [y, y], label=f"_knowing {label}", color=color, **_JOINED
        )
    marker = {"color": color, "marker": look["marker"], "label": f"_ignoring {label}"}
    axes.plot(xs, ys, **marker, **_NAIVE)


def _draw_levels(axes: Axes, in_panel: pl.DataFrame) -> None:
    """Chance as a vertical line, what the label party has alone as a level one.

    Several levels are the range of them.
    """
    chance, floor = (
        percent(in_panel, "chance_accuracy"),
        percent(
            in_panel.filter(pl.col("floor_accuracy").is_not_null()), "floor_accuracy"
        ),
    )
    low, high = chance.min(), chance.max()
    for level in (low, high) if high - low > _SAME_LEVEL else (high,):
        look = {"color": drawing.CHANCE_COLOR, "label": "_chance"}
        axes.axvline(level, **look, **drawing.CHANCE)
    axes.axvspan(low, high, color="0.5", alpha=0.12, linewidth=0)
    if len(floor):
        axes.axhline(floor.max(), label="_floor", **drawing.FLOOR)
        axes.axhspan(
            0, floor.max(), color=drawing.FLOOR["color"], alpha=0.05, linewidth=0
        )


def _strengths(curve: pl.DataFrame, color: str) -> list[drawing.Label]:
    """The strength beside each marker: always the first and last, others if free."""
    xs, ys = percent(curve, "attack_accuracy"), percent(curve, "main_accuracy")
    return [
        drawing.Label(x, y, f"{strength:g}", color, index in (0, len(curve) - 1))
        for index, (x, y, strength) in enumerate(
            zip(xs, ys, curve["defense_strength"], strict=True)
        )
        if strength is not None
    ]


def _set_main_axis(all_axes: list[Axes], points: pl.DataFrame, ideal: str) -> None:
    """The y axis over the accuracies drawn, with room above for the ideal corner."""
    lows, highs = drawing.interval(points, "main_accuracy")
    floors = percent(points.drop_nulls("floor_accuracy"), "floor_accuracy")
    lowest, highest = min([*lows, *floors]), max([*highs, *floors])
    span = max(highest - lowest, 5.0)
    low, high = lowest - 0.08 * span, highest + 0.2 * span
    for axes in all_axes:
        axes.set_ylim(low, high)
        axes.set_yticks([tick for tick in axes.get_yticks() if low <= tick <= 100])
        axes.set_ylim(low, high)
        axes.text(
            0.01,
            0.985,
            ideal,
            transform=axes.transAxes,
            va="top",
            fontsize=7,
            style="italic",
            color="0.45",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        )
    drawing.label_left(all_axes, "main-task accuracy (%)\n(higher: model is better)")


def _entries(points: pl.DataFrame, looks: dict[str, Any], chance: str) -> list[Any]:
    """The legend: each defense with what its strength is, and every other mark."""
    names = dict(distinct(points, ("defense", "strength_name")))
    entries: list[Any] = []
    for defense, look in looks.items():
        of_strength = f" ({names[defense]})" if names[defense] else ""
        is_bare = defense == UNDEFENDED
        entries.append(
            entry("no defense" if is_bare else defense + of_strength, **look)
        )
    entries.append(drawing.chance_entry(chance))
    if points["floor_accuracy"].count():
        entries.append(entry("label party alone", **drawing.FLOOR))
    if points["ignoring"].count():
        gray: dict[str, Any] = {"color": "0.3", "marker": "o"}
        knows = entry("ignores / knows defense", linestyle="none", **gray)
        line = entry("", color="0.3", **_JOINED)
        entries.append((entry("", **gray, **_NAIVE), line, knows))
    if points.filter(drawing.LEAKS).height:
        entries.append(drawing.hollow_entry())
    return entries


_NAIVE: dict[str, Any] = {
    "linestyle": "none",
    "alpha": 0.35,
    "markeredgewidth": 0,
    "zorder": 1.9,
}
_JOINED: dict[str, Any] = {
    "linestyle": ":",
    "linewidth": 1,
    "alpha": 0.6,
    "zorder": 1.8,
}
_STAR: dict[str, Any] = {
    "color": "black",
    "linestyle": "none",
    "marker": "*",
    "markersize": 11,
    "markeredgecolor": "white",
    "markeredgewidth": 0.6,
    "zorder": 4,
}

TRADE_OFF = Panel(
    name="trade_off",
    title="What defenses cost and what they buy",
    wants=_has_trade_off,
    figure=trade_off,
    caption=(
        "Main-task accuracy against the labels recovered by the strongest attack; "
        "numbers beside the markers are strengths. The strongest attack is chosen for "
        "each point on its own, by its mean. Where an attack that knows the defense is "
        "stronger than all that ignore it, a thin line leads to it from the strongest "
        "of those. A hollow marker is no protection: the labels leak up to names, or "
        "the attack is below chance."
    ),
)
BACKDOOR_TRADE_OFF = Panel(
    name="backdoor_trade_off",
    title="What defenses against backdoors cost and what they buy",
    wants=lambda frame: frame.summary.filter(_PLANTED)["defense_label"].n_unique() > 1,
    figure=backdoor_trade_off,
    caption=(
        "Main-task accuracy against backdoor accuracy; numbers beside the markers are "
        "strengths. The upper left corner is where a defense should be."
    ),
)
