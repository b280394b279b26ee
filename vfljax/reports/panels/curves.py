"""Labels recovered against one setting that was swept."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import matplotlib as mpl
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vfljax.reports import drawing
from vfljax.reports.frame import Frame, distinct, main_of, varying
from vfljax.reports.panels.base import Panel
from vfljax.reports.settings import (
    describe,
    groups,
    is_swept,
    is_told,
    panel_settings,
)

_MOST_SERIES = 8
_FEW_SERIES = 5  # whose bands can lie over each other
_SAME_CHANCE = 2.0  # percentage points between series that share one line
_LONG_NAMES = 30  # letters of all variants that fit below one panel
_BASELINES = ("direct", "direct_semi_supervised")  # families that use no trained model
_BY_ATTACK = ("attack", "defense_label")
_BY_FAMILY = ("attack_family", "adversary_optimizer")
_SERIES = {
    "num_classes": ("batch_size",),
    "batch_size": _BY_ATTACK,
    "train_step": _BY_ATTACK,
    "known_per_class": _BY_FAMILY,
    "variant": ("attack", "adversary_optimizer"),
}
"""What tells one line from another, for each setting on the x axis."""


def wants(frame: Frame, x_name: str) -> bool:
    """Whether a setting was swept; the batch size is a line where classes are."""
    if x_name == "batch_size" and wants(frame, "num_classes"):
        return False
    return is_swept(_drawn(frame, x_name), x_name)


@mpl.rc_context(drawing.LOOK)
def figure(frame: Frame, title: str | None, x_name: str) -> Figure:
    """Labels recovered against one setting: a line per series with its 95 % band.

    A panel per value of what else varies. Lines of attacks that know the defense are
    dashed where there are others too. A hollow marker looks like protection and is
    leakage. A family of attacks that uses no trained model is a baseline. Against the
    number of classes, as in Figure 5 of Zou et al. 2022,
    https://arxiv.org/abs/2112.05409, the published readout is drawn lighter; against
    the variants, the main task and what a party reaches alone are thin lines.

    Args:
        frame: of any run.
        title: the figure's title, or None.
        x_name: the setting, a key of `_SERIES`.

    Returns:
        The figure.

    Raises:
        ValueError: if no two settings differ in `x_name` alone.
    """
    summary = _drawn(frame, x_name)
    if not is_swept(summary, x_name):
        raise ValueError(
            f"frame has no two settings that differ in {x_name} alone; allowed: a run "
            f"that sweeps {x_name}"
        )
    series = _series(summary, x_name)
    names = panel_settings(summary, (x_name, *series))
    if x_name == "num_classes" and "attack" not in names:
        names = ("attack", *names)
    styles = _styles(summary, series)
    band_alpha = 0.18 if len(styles) <= _FEW_SERIES else 0.07
    all_panels = groups(summary, names)
    figure, all_axes = drawing.panels(len(all_panels), title, sharey=True)
    has_own_chance = False
    for axes, (_, in_panel) in zip(all_axes, all_panels, strict=True):
        in_panel = in_panel.sort("x", maintain_order=True)
        for key, line in groups(in_panel, series):
            _draw_series(axes, line, describe(line, series), styles[key], band_alpha)
            if x_name == "num_classes":
                _draw_published(axes, line, describe(line, series), styles[key])
        has_own_chance |= _draw_chance(axes, in_panel, series, styles)
        if x_name == "variant":
            _draw_models(axes, in_panel)
        _finish_x(axes, x_name, in_panel, distinct(summary, ("variant",)))
        drawing.percent_axis(axes, "y")
        drawing.title_panel(axes, describe(in_panel, names))
    drawing.label_left(all_axes, "labels recovered (%)")
    entries = _entries(summary, x_name, series, styles)
    chance = "chance (in the color of its line)" if has_own_chance else "chance"
    drawing.draw_legend(figure, [*entries, drawing.chance_entry(chance)])
    return figure


def _drawn(frame: Frame, x_name: str) -> pl.DataFrame:
    """The attacks that infer labels, with their place on the axis as `x`.

    Against the known labels, only views in which these are swept. Variants stand side
    by side in their order.
    """
    summary = frame.summary.filter(pl.col("view") != "message_rows")
    if x_name == "known_per_class":
        known = summary.filter(pl.col(x_name) > 0)
        by_view = [
            part for _, part in groups(known, ("view",)) if is_swept(part, x_name)
        ]
        summary = pl.concat([known.clear(), *by_view])
    x = pl.col(x_name)
    if x_name == "variant":
        x = x.cast(pl.Enum([name for (name,) in distinct(summary, ("variant",))]))
        x = x.to_physical()
    return summary.with_columns(x.cast(pl.Float64).alias("x"))


def _series(summary: pl.DataFrame, x_name: str) -> tuple[str, ...]:
    """What tells lines apart here: nothing that is the same everywhere, or told."""
    first, *others = _SERIES[x_name]
    if x_name == "variant" and is_swept(summary, "known_per_class"):
        first = "attack_family"
    others = [
        name for name in varying(summary, others) if not is_told(summary, name, first)
    ]
    if "defense_label" in others:
        if len(distinct(summary, (first, *others))) > _MOST_SERIES:
            others.remove("defense_label")
    return (first, *others)


def _styles(
    summary: pl.DataFrame, series: tuple[str, ...]
) -> dict[tuple[Any, ...], drawing.Style]:
    """A look per series; where there are adaptive attacks, they and only they dash."""
    styles = {}
    for index, (key, line) in enumerate(groups(summary, series)):
        look = drawing.style(index)
        if _has_dashes(summary, series):
            look = look._replace(linestyle="--" if line["is_adaptive"][0] else "-")
        if _is_baseline(line):
            look = look._replace(color="0.25", linestyle=(0, (1, 1)))
        styles[key] = look
    return styles


def _has_dashes(summary: pl.DataFrame, series: Sequence[str]) -> bool:
    """Whether lines of adaptive and of other attacks are drawn."""
    return "attack" in series and bool(varying(summary, ("is_adaptive",)))


def _is_baseline(line: pl.DataFrame) -> bool:
    """Whether an attack needs no model that was trained with others."""
    first = line.row(0, named=True)
    return first["view"] == "trained_model" and first["attack_family"] in _BASELINES


def _draw_series(
    axes: Axes, line: pl.DataFrame, label: str, look: drawing.Style, band_alpha: float
) -> None:
    """One line with its band, hollow where it leaks nonetheless."""
    drawing.draw_line(
        axes, line, "x", "attack_accuracy", band_alpha, label=label, **look._asdict()
    )
    drawing.draw_hollow(axes, line, "x", "attack_accuracy", look._asdict(), label)


def _draw_published(
    axes: Axes, line: pl.DataFrame, label: str, look: drawing.Style
) -> None:
    """The published readout of one line, lighter, where there is one."""
    line = line.filter(pl.col("published_accuracy").is_not_null())
    if line.height:
        axes.plot(
            line["x"],
            drawing.percent(line, "published_accuracy"),
            color=look.color,
            marker=look.marker,
            label=f"_published {label}",
            **_PUBLISHED,
        )


def _draw_chance(
    axes: Axes,
    in_panel: pl.DataFrame,
    series: tuple[str, ...],
    styles: dict[tuple[Any, ...], drawing.Style],
) -> bool:
    """The chance level along x; one per series, and True, where the series differ."""
    chance = 100 * pl.col("chance_accuracy")
    levels = in_panel.group_by("x", maintain_order=True).agg(
        chance.max().alias("highest"), (chance.max() - chance.min()).alias("spread")
    )
    if (levels["spread"] <= _SAME_CHANCE).all():
        look = drawing.CHANCE | {"color": drawing.CHANCE_COLOR, "label": "_chance"}
        axes.plot(levels["x"], levels["highest"], **look)
        return False
    for key, line in groups(in_panel, series):
        look = drawing.CHANCE | {"color": styles[key].color, "alpha": 0.7}
        level = drawing.percent(line, "chance_accuracy")
        axes.plot(line["x"], level, label=f"_chance {describe(line, series)}", **look)
    return True


def _draw_models(axes: Axes, in_panel: pl.DataFrame) -> None:
    """The main task as it is without an active attack, and what a party has alone."""
    models = [main_of(part) for _, part in groups(in_panel, ("x",))]
    trained = pl.DataFrame([m for m in models if m], schema=in_panel.schema)
    for name, (label, look) in _MODELS.items():
        drawn = trained if name == "main_accuracy" else in_panel
        drawn = drawn.filter(pl.col(name).is_not_null()).unique("x", keep="last")
        if drawn.height:
            drawn = drawn.sort("x")
            axes.plot(
                drawn["x"], drawing.percent(drawn, name), label=f"_{label}", **look
            )


def _finish_x(
    axes: Axes, x_name: str, in_panel: pl.DataFrame, variants: Sequence[tuple[str]]
) -> None:
    """Sets scale, ticks and label of the x axis."""
    axes.set_xlabel(_X_LABELS[x_name])
    if x_name == "variant":
        names = [name for (name,) in variants]
        is_long = sum(map(len, names)) > _LONG_NAMES
        turned: dict[str, Any] = {"rotation": 30, "ha": "right"} if is_long else {}
        axes.set_xticks(range(len(names)), names, **turned)
        axes.set_xlim(-0.3, len(names) - 0.7)
        return
    xs = in_panel["x"].unique().sort().to_list()
    if x_name == "batch_size":
        axes.set_xscale("log", base=2)
    elif x_name == "train_step":
        first_step = min((step for step in xs if step > 0), default=1)
        axes.set_xscale("symlog", linthresh=first_step, linscale=0.5)
    elif x_name == "known_per_class" or (xs[0] > 0 and xs[-1] / xs[0] > 20):
        axes.set_xscale("log")
    drawing.tick_values(axes, xs)


def _entries(
    summary: pl.DataFrame,
    x_name: str,
    series: tuple[str, ...],
    styles: dict[tuple[Any, ...], drawing.Style],
) -> list[Any]:
    """The legend: every series and every other mark that is there, but chance."""
    entries = []
    for key, line in groups(summary, series):
        label = describe(line, series) + ", the baseline" * _is_baseline(line)
        entries.append(drawing.entry(label, **styles[key]._asdict()))
    if x_name == "num_classes" and summary["published_accuracy"].count():
        look = _PUBLISHED | {"color": "0.3", "marker": "o"}
        entries.append(drawing.entry("published readout", **look))
    if _has_dashes(summary, series):
        label = "dashed: knows the defense"
        entries.append(drawing.entry(label, color="0.3", linestyle="--"))
    if summary.filter(drawing.LEAKS).height:
        entries.append(drawing.hollow_entry())
    if x_name == "variant":
        entries += [
            drawing.entry(label, **look)
            for name, (label, look) in _MODELS.items()
            if summary[name].count()
        ]
    return entries


_PUBLISHED: dict[str, Any] = {
    "linestyle": ":",
    "linewidth": 1,
    "markerfacecolor": "white",
    "markersize": 4,
    "alpha": 0.6,
    "zorder": 2,
}
_MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "main_accuracy": ("main task", {"color": "0.6", "linewidth": 1, "zorder": 1.7}),
    "alone_accuracy": (
        "attacker alone, all labels (test)",
        {"color": "0.4", "linestyle": "-.", "linewidth": 1, "zorder": 1.7},
    ),
    "floor_accuracy": ("label party alone", drawing.FLOOR),
}
_X_LABELS = {
    "batch_size": "batch size",
    "train_step": "training step at which the view is taken",
    "num_classes": "number of classes",
    "known_per_class": "known labels per class",
    "variant": "",  # its values say what they are
}


def _panel(name: str, title: str, x_name: str, caption: str) -> Panel:
    return Panel(
        name=name,
        title=title,
        wants=partial(wants, x_name=x_name),
        figure=partial(figure, x_name=x_name),
        caption=caption,
    )


CURVES = (
    _panel(
        "accuracy_against_classes",
        "Labels found and the number of classes",
        "num_classes",
        "Labels recovered against the number of classes, one line per batch size, with "
        "95 % bands. Lighter lines with hollow markers are the published readout.",
    ),
    _panel(
        "accuracy_against_batch_size",
        "Labels found and the batch size",
        "batch_size",
        "Labels recovered against the batch size, with 95 % bands.",
    ),
    _panel(
        "accuracy_against_train_step",
        "Labels found and the training step",
        "train_step",
        "Labels recovered against the training step at which the view is taken, with "
        "95 % bands. The axis is linear up to the first step and logarithmic beyond.",
    ),
    _panel(
        "accuracy_against_known_labels",
        "Labels found and labels known",
        "known_per_class",
        "Labels recovered, of the samples whose labels are not known, against the "
        "labels known per class, after the last epoch of the attack.",
    ),
    _panel(
        "accuracy_against_variant",
        "Labels found and the variant",
        "variant",
        "Labels recovered against the variants of the experiment. The thin gray line "
        "is the main-task accuracy, as it is without an active attack.",
    ),
)
