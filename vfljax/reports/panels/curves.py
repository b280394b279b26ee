"""Labels recovered against one setting that was swept."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vfljax.reports import drawing
from vfljax.reports.drawing import Look, percent
from vfljax.reports.frame import (
    MESSAGE_ROWS,
    TRAINED_MODEL,
    Frame,
    groups,
    main_of,
    varying,
)
from vfljax.reports.panels.base import Panel
from vfljax.reports.settings import describe, is_swept, is_told, panel_settings

_MOST_SERIES = 8
_FEW_SERIES = 5  # whose bands can lie over each other
_SAME_CHANCE = 2.0  # percentage points between series that share one line
_LONG_NAMES = 30  # letters of all variants that fit below one panel
_BASELINES = ("direct", "direct_semi_supervised")  # families that use no trained model

Looks = dict[tuple[Any, ...], Look]


class Sweep(NamedTuple):
    """A figure: the setting on its x axis, what tells lines apart, words."""

    name: str
    setting: str
    series: tuple[str, ...]
    title: str
    x_label: str
    caption: str


def _wants(frame: Frame, sweep: Sweep) -> bool:
    """Whether the setting was swept; the batch size is a line where classes are."""
    is_line = sweep.setting == "batch_size" and _is_swept(frame, "num_classes")
    return not is_line and _is_swept(frame, sweep.setting)


def _is_swept(frame: Frame, setting: str) -> bool:
    return is_swept(_drawn(frame, setting), setting)


def _figure(frame: Frame, title: str, sweep: Sweep) -> Figure:
    """A line per series with its 95 % band, a panel per value of what else varies."""
    summary = _drawn(frame, sweep.setting)
    series = _series(summary, sweep)
    names = panel_settings(summary, (sweep.setting, *series))
    is_published = sweep.setting == "num_classes"
    if is_published:
        names = tuple(dict.fromkeys(("attack", *names)))
    looks = _looks(summary, series)
    alpha = 0.18 if len(looks) <= _FEW_SERIES else 0.07
    parts = [part.sort("x", maintain_order=True) for _, part in groups(summary, names)]
    figure, all_axes = drawing.small_multiples(
        parts, names, title, "labels recovered (%)"
    )
    for axes, in_panel in zip(all_axes, parts, strict=True):
        for key, line in groups(in_panel, series):
            xs, look = line["x"].to_numpy(), looks[key]
            label = describe(line.row(0, named=True), series)
            label += ", the baseline" * _is_baseline(line)
            drawing.draw_line(
                axes, line, xs, "attack_accuracy", look, label, alpha=alpha
            )
            if is_published and line["published_accuracy"].count():
                published = percent(line, "published_accuracy")
                look = look | _PUBLISHED
                axes.plot(xs, published, label="published readout", **look)
        _draw_chance(axes, in_panel, series, looks)
        if sweep.setting == "variant":
            _draw_models(axes, in_panel)
        drawing.percent_axis(axes, "y")
        axes.set_xlabel(sweep.x_label)
        variants = summary["variant"].unique(maintain_order=True).to_list()
        _scale_x(axes, sweep.setting, sorted(set(in_panel["x"])), variants)
    if _has_dashes(summary, series):
        dashed: Look = {"color": "0.3", "ls": "--", "zorder": drawing.SERIES}
        axes.plot([], [], label="dashed: knows the defense", **dashed)
    drawing.draw_legend(figure)
    return figure


def _drawn(frame: Frame, setting: str) -> pl.DataFrame:
    """The attacks that infer labels, with their place on the axis as `x`.

    Against the known labels, only views in which these are swept. Variants stand side
    by side in their order.
    """
    summary = frame.summary
    if setting == "known_per_class":
        known = summary.filter(pl.col(setting) > 0)
        views = [view for _, view in groups(known, ["view"]) if is_swept(view, setting)]
        summary = pl.concat([known.clear(), *views])
    x = pl.col(setting)
    if setting == "variant":
        variants = pl.Enum(summary["variant"].unique(maintain_order=True))
        x = x.cast(variants).to_physical()
    return summary.with_columns(x.cast(pl.Float64).alias("x"))


def _series(summary: pl.DataFrame, sweep: Sweep) -> tuple[str, ...]:
    """What tells lines apart here: nothing that is the same everywhere, or told."""
    first, *others = sweep.series
    if sweep.setting == "variant" and is_swept(summary, "known_per_class"):
        first = "attack_family"
    others = [
        name for name in varying(summary, others) if not is_told(summary, name, first)
    ]
    if summary.select(first, *others).n_unique() > _MOST_SERIES:
        others = [name for name in others if name != "defense_label"]
    return (first, *others)


def _looks(summary: pl.DataFrame, series: tuple[str, ...]) -> Looks:
    """A look per series; where there are adaptive attacks, they and only they dash."""
    looks: Looks = {}
    for index, (key, line) in enumerate(groups(summary, series)):
        looks[key] = drawing.style(index)
        if _has_dashes(summary, series):
            looks[key]["linestyle"] = "--" if line["is_adaptive"][0] else "-"
        if _is_baseline(line):
            looks[key] |= {"color": "0.25", "linestyle": (0, (1, 1))}
    return looks


def _has_dashes(summary: pl.DataFrame, series: Sequence[str]) -> bool:
    """Whether lines of adaptive and of other attacks are drawn."""
    return "attack" in series and bool(varying(summary, ("is_adaptive",)))


def _is_baseline(line: pl.DataFrame) -> bool:
    """Whether an attack needs no model that was trained with others."""
    return line["view"][0] == TRAINED_MODEL and line["attack_family"][0] in _BASELINES


def _draw_chance(
    axes: Axes, in_panel: pl.DataFrame, series: tuple[str, ...], looks: Looks
) -> None:
    """The chance level along x, a line per series where these differ."""
    chance = 100 * pl.col("chance_accuracy")
    levels = in_panel.group_by("x", maintain_order=True).agg(
        chance.max().alias("chance"), (chance.max() - chance.min()).alias("spread")
    )
    if (levels["spread"] <= _SAME_CHANCE).all():
        axes.plot(levels["x"], levels["chance"], label="chance", **drawing.CHANCE)
        return
    for key, line in groups(in_panel, series):
        look = drawing.CHANCE | {"color": looks[key]["color"], "alpha": 0.7}
        label = "chance (in the color of its line)"
        axes.plot(line["x"], percent(line, "chance_accuracy"), label=label, **look)


def _draw_models(axes: Axes, in_panel: pl.DataFrame) -> None:
    """The main task as it is without an active attack, and what a party has alone."""
    models = filter(None, (main_of(part) for _, part in groups(in_panel, ["x"])))
    trained = pl.DataFrame(list(models), schema=in_panel.schema)
    for name, look in _MODELS.items():
        drawn = trained if name == "main_accuracy" else in_panel
        drawn = drawn.drop_nulls(name).unique("x", keep="last").sort("x")
        if drawn.height:
            axes.plot(drawn["x"], percent(drawn, name), **look)


def _scale_x(axes: Axes, setting: str, xs: list[float], variants: list[str]) -> None:
    """Sets scale and ticks of the x axis."""
    if setting == "variant":
        is_long = sum(map(len, variants)) > _LONG_NAMES
        turned: dict[str, Any] = {"rotation": 30, "ha": "right"} if is_long else {}
        axes.set_xticks(range(len(variants)), variants, **turned)
        axes.set_xlim(-0.3, len(variants) - 0.7)
        return
    if setting == "batch_size":
        axes.set_xscale("log", base=2)
    elif setting == "train_step":
        first_step = min((step for step in xs if step > 0), default=1)
        axes.set_xscale("symlog", linthresh=first_step, linscale=0.5)
    elif setting == "known_per_class" or (xs[0] > 0 and xs[-1] / xs[0] > 20):
        axes.set_xscale("log")
    drawing.tick_values(axes, xs)


_DOTTED: Look = {"linestyle": ":", "linewidth": 1, "alpha": 0.6, "zorder": 2}
_PUBLISHED: Look = {"markersize": 4, "markerfacecolor": "white", **_DOTTED}
_THIN = {"linewidth": 1, "zorder": 1.7}
_ALONE = "attacker alone, all labels (test)"
_MODELS: dict[str, Look] = {
    "main_accuracy": {"label": "main-task accuracy", "color": "0.6", **_THIN},
    "alone_accuracy": {"label": _ALONE, "color": "0.4", "linestyle": "-.", **_THIN},
    "floor_accuracy": {"label": "label party alone", **drawing.FLOOR},
}

_SWEEPS = (
    Sweep(
        "accuracy_against_classes",
        "num_classes",
        ("batch_size",),
        "the number of classes",
        "number of classes",
        "Labels recovered against the number of classes, one line per batch size with "
        "its 95 % band, as in Figure 5 of Zou et al. 2022 (arXiv 2112.05409). Lighter "
        "lines are the published readout.",
    ),
    Sweep(
        "accuracy_against_batch_size",
        "batch_size",
        ("attack", "defense_label"),
        "the batch size",
        "batch size",
        "Labels recovered against the batch size, with 95 % bands.",
    ),
    Sweep(
        "accuracy_against_train_step",
        "train_step",
        ("attack", "defense_label"),
        "the training step",
        "training step at which the view is taken",
        "Labels recovered against the training step at which the view is taken, with "
        "95 % bands. The axis is linear up to the first step and logarithmic beyond.",
    ),
    Sweep(
        "accuracy_against_known_labels",
        "known_per_class",
        ("attack_family", "adversary_optimizer"),
        "the labels known",
        "known labels per class",
        "Labels recovered, of the samples whose labels are not known, against the "
        "labels known per class, after the last epoch of the attack. An attack that "
        "uses no trained model is the baseline.",
    ),
    Sweep(
        "accuracy_against_variant",
        "variant",
        ("attack", "adversary_optimizer"),
        "the variant",
        "",  # its values say what they are
        "Labels recovered against the variants of the experiment. The thin gray line "
        "is the main-task accuracy, as it is without an active attack.",
    ),
)
CURVES = tuple(
    Panel(
        name=sweep.name,
        title=f"Labels found and {sweep.title}",
        about=pl.col("view") != MESSAGE_ROWS,
        wants=partial(_wants, sweep=sweep),
        figure=partial(_figure, sweep=sweep),
        caption=sweep.caption,
    )
    for sweep in _SWEEPS
)
