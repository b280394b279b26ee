"""Labels recovered against one setting that was swept."""

from functools import partial
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vfljax.reports import drawing
from vfljax.reports.columns import MESSAGE_ROWS, TRAINED_MODEL
from vfljax.reports.drawing import Look, percent
from vfljax.reports.frame import Frame, groups, in_titles, is_swept, main_of, untold
from vfljax.reports.panels.base import Panel
from vfljax.reports.panels.watched import WATCHED
from vfljax.reports.table import describe, what_is_found

_MOST_SERIES = 8
_FEW_SERIES = 5  # whose bands can lie over each other
_SAME_CHANCE = 2.0  # percentage points between series that share one line
_LONG_NAMES = 30  # letters of all variants that fit below one panel
_BASELINES = ("direct", "direct_semi_supervised")  # families that use no trained model

Names = tuple[str, ...]
Looks = dict[tuple[Any, ...], Look]


def _figure(
    frame: Frame, title: str, setting: str, series: Names, x_label: str
) -> Figure | None:
    """A line per series with its 95 % band, axes per value of what else varies.

    None if the setting was not swept; the batch size is a line where classes are.
    """
    summary = _drawn(frame, setting)
    is_line = setting == "batch_size" and is_swept(frame.summary, "num_classes")
    if is_line or not is_swept(summary, setting):
        return None
    series = _series(summary, setting, series)
    names = in_titles(summary, (setting, *series))
    is_published = setting == "num_classes"
    if is_published:
        names = tuple(dict.fromkeys(("attack", *names)))
    has_dashes = "attack" in series and summary["is_adaptive"].n_unique() > 1
    looks = _looks(summary, series, has_dashes)
    alpha = 0.18 if len(looks) <= _FEW_SERIES else 0.07
    parts = [part.sort("x", maintain_order=True) for _, part in groups(summary, names)]
    y_label = f"{what_is_found(summary)} recovered (%)"
    figure = drawing.small_multiples(parts, names, title, y_label)
    for axes, part in zip(figure.axes, parts, strict=True):
        for key, line in groups(part, series):
            label = describe(line.row(0, named=True), series)
            look = {"label": label + ", the baseline" * line["is_baseline"][0]}
            look |= looks[key]
            drawing.draw_line(axes, line, "attack_accuracy", look, alpha)
            if is_published and line["published_accuracy"].count():
                published = percent(line, "published_accuracy")
                axes.plot(line["x"], published, **look | _PUBLISHED)
        _draw_chance(axes, part, series, looks)
        if setting == "variant":
            _draw_models(axes, part)
        drawing.percent_axis(axes, "y")
        axes.set_xlabel(x_label)
        _scale_x(axes, setting, part["x"].to_list(), summary["variant"])
    if has_dashes:
        figure.axes[-1].plot([], [], **_DASHED)
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
    is_completed = pl.col("view") == TRAINED_MODEL
    is_baseline = is_completed & pl.col("attack_family").is_in(_BASELINES)
    return summary.with_columns(x=x.cast(pl.Float64), is_baseline=is_baseline)


def _series(summary: pl.DataFrame, setting: str, series: Names) -> Names:
    """What tells lines apart here: nothing that is the same everywhere, or told."""
    first, *others = series
    if setting == "variant" and is_swept(summary, "known_per_class"):
        first = "attack_family"
    others = untold(summary, others, first)
    if summary.select(first, *others).n_unique() > _MOST_SERIES:
        others = (name for name in others if name != "defense_label")
    return (first, *others)


def _looks(summary: pl.DataFrame, series: Names, has_dashes: bool) -> Looks:
    """A look per series; where there are adaptive attacks, they and only they dash."""
    looks: Looks = {}
    for index, (key, line) in enumerate(groups(summary, series)):
        looks[key] = drawing.style(index)
        if has_dashes:
            looks[key]["linestyle"] = "--" if line["is_adaptive"][0] else "-"
        if line["is_baseline"][0]:
            looks[key] |= {"color": "0.25", "linestyle": (0, (1, 1))}
    return looks


def _draw_chance(axes: Axes, part: pl.DataFrame, series: Names, looks: Looks) -> None:
    """The chance level along x, a line per series where these differ."""
    chance = 100 * pl.col("chance_accuracy")
    levels = part.group_by("x", maintain_order=True).agg(
        chance.max().alias("chance"), (chance.max() - chance.min()).alias("spread")
    )
    if (levels["spread"] <= _SAME_CHANCE).all():
        axes.plot(levels["x"], levels["chance"], label="chance", **drawing.CHANCE)
        return
    look = drawing.CHANCE | {"label": "chance (in the color of its line)", "alpha": 0.7}
    for key, line in groups(part, series):
        look["color"] = looks[key]["color"]
        axes.plot(line["x"], percent(line, "chance_accuracy"), **look)


def _draw_models(axes: Axes, part: pl.DataFrame) -> None:
    """The main task as it is without an active attack, and what a party has alone."""
    trained = pl.DataFrame([main_of(at) for _, at in groups(part, ["x"])], part.schema)
    for name, look in _MODELS.items():
        drawn = trained if name == "main_accuracy" else part
        drawn = drawn.drop_nulls(name).unique("x", keep="last").sort("x")
        if drawn.height:
            axes.plot(drawn["x"], percent(drawn, name), **look)


def _scale_x(axes: Axes, setting: str, xs: list[float], variants: pl.Series) -> None:
    """Sets scale and ticks of the x axis."""
    if setting == "variant":
        names = variants.unique(maintain_order=True).to_list()
        is_long = sum(map(len, names)) > _LONG_NAMES
        turned: dict[str, Any] = {"rotation": 30, "ha": "right"} if is_long else {}
        axes.set_xticks(range(len(names)), names, **turned)
        axes.set_xlim(-0.3, len(names) - 0.7)
        return
    if setting == "batch_size":
        axes.set_xscale("log", base=2)
    elif setting == "train_step":
        first_step = min((step for step in xs if step > 0), default=1)
        axes.set_xscale("symlog", linthresh=first_step, linscale=0.5)
    elif setting == "known_per_class" or (xs[0] > 0 and xs[-1] / xs[0] > 20):
        axes.set_xscale("log")
    drawing.tick_values(axes, xs)


_DASHED: Look = {"color": "0.3", "ls": "--", "zorder": drawing.SERIES}
_DASHED["label"] = "dashed: knows the defense"
_READOUT = {"label": "published readout", "markersize": 4}
_DOTTED = {"linestyle": ":", "linewidth": 1, "alpha": 0.6, "zorder": 2}
_PUBLISHED: Look = {"markerfacecolor": "white", **_READOUT, **_DOTTED}
_THIN = {"linewidth": 1, "zorder": 1.7}
_ALONE = "attacker alone, all labels (test)"
_MODELS: dict[str, Look] = {
    "main_accuracy": {"label": "main-task accuracy", "color": "0.6", **_THIN},
    "alone_accuracy": {"label": _ALONE, "color": "0.4", "linestyle": "-.", **_THIN},
    "floor_accuracy": {"label": "one party alone", **drawing.FLOOR},
}


def _curve(
    what: str, setting: str, series: Names, title: str, x_label: str, caption: str
) -> Panel:
    """A figure: the setting on its x axis, what tells lines apart, words."""
    return Panel(
        name=f"accuracy_against_{what}",
        title=f"Labels found and {title}",
        about=(pl.col("view") != MESSAGE_ROWS) & ~WATCHED.about,
        figure=partial(_figure, setting=setting, series=series, x_label=x_label),
        caption=caption,
    )


CURVES = (
    _curve(
        "classes",
        "num_classes",
        ("batch_size",),
        "the number of classes",
        "number of classes",
        "Labels recovered against the number of classes, one line per batch size with "
        "its 95 % band, as in Figure 5 of Zou et al. 2022 (arXiv 2112.05409). Lighter "
        "lines are the published readout.",
    ),
    _curve(
        "batch_size",
        "batch_size",
        ("attack", "defense_label"),
        "the batch size",
        "batch size",
        "Labels recovered against the batch size, with 95 % bands.",
    ),
    _curve(
        "train_step",
        "train_step",
        ("attack", "defense_label"),
        "the training step",
        "training step at which the view is taken",
        "Labels recovered against the training step at which the view is taken, with "
        "95 % bands. The axis is linear up to the first step and logarithmic beyond.",
    ),
    _curve(
        "known_labels",
        "known_per_class",
        ("attack_family", "adversary_optimizer"),
        "the labels known",
        "known labels per class",
        "Labels recovered, of the samples whose labels are not known, against the "
        "labels known per class, after the last epoch of the attack. An attack that "
        "uses no trained model is the baseline.",
    ),
    _curve(
        "variant",
        "variant",
        ("attack", "adversary_optimizer"),
        "the variant",
        "",  # its values say what they are
        "Labels recovered against the variants of the experiment. The thin gray line "
        "is the main-task accuracy, as it is without an active attack.",
    ),
)
