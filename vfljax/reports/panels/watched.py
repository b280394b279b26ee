"""What watching a training tells: AUC of a property, precision of membership."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vfljax.goals import MEMBERSHIP, PROPERTY
from vfljax.reports import drawing
from vfljax.reports.columns import UNDEFENDED
from vfljax.reports.drawing import Look, percent
from vfljax.reports.frame import Frame, groups
from vfljax.reports.panels.base import Panel

_SWEPT = ("batch_size", "variant", "defense_label", "attack")
_LONG_NAMES = 40  # letters of all places that fit below one panel
_THIN: Look = {"linewidth": 1, "zorder": 1.7}
_RATES = {
    PROPERTY.words: ("auc", "AUC of the property (%)"),
    MEMBERSHIP.words: ("precision", "precision of memberships (%)"),
}
_MEAN = "mean_score", "mean score of all rounds (%)"
_BESIDE: dict[str, Look] = {
    "chance_precision": {"label": "all called members", **drawing.CHANCE},
    "main_auc": {"label": "main-task AUC", "color": "0.6", **_THIN},
    "recall": {"label": "recall", "color": "0.3", "linestyle": ":", **_THIN},
}


def _figure(frame: Frame, title: str) -> Figure | None:
    """Axes per goal: what varies first along x, a line per value of what else does."""
    summary = frame.summary
    varied = [name for name in _SWEPT if summary[name].n_unique() > 1]
    goals = [part for _, part in groups(summary, ["goal"])]
    goals = [part for part in goals if part[_rate_of(part)[0]].count()]
    if not varied or not goals:
        return None
    setting, others = varied[0], varied[1:]
    places = summary[setting].unique(maintain_order=True).to_list()
    figure = drawing.small_multiples(goals, (), title, "", sharey=False)
    for axes, part in zip(figure.axes, goals, strict=True):
        rate, label = _rate_of(part)
        _draw(axes, part, rate, setting, places, others)
        axes.set_ylabel(label)
        drawing.percent_axis(axes, "y")
        _name_places(axes, setting, places)
    drawing.draw_legend(figure)
    return figure


def _rate_of(part: pl.DataFrame) -> tuple[str, str]:
    """What is drawn of a goal, and its words; where all rounds are alike the mean."""
    name, label = _RATES[part["goal"][0]]
    return (name, label) if name != "auc" or part["auc"].count() else _MEAN


def _draw(axes: Axes, part: pl.DataFrame, rate: str, setting, places, others) -> None:
    """The lines of one goal, chance, and the main task where it is the same for all."""
    x = [float(places.index(value)) for value in part[setting]]
    part = part.with_columns(x=pl.Series(x, dtype=pl.Float64))
    for index, (key, line) in enumerate(groups(part, others)):
        named = [
            "no defense" if value == UNDEFENDED and name == "defense_label" else value
            for name, value in zip(others, key, strict=True)
        ]
        label = ", ".join(map(str, named)) or part["attack"][0]
        label = label if setting != "attack" else "attack"
        look = {"label": label, **drawing.style(index)}
        drawing.draw_line(axes, line, rate, look, alpha=0.15)
    if rate == "auc":
        axes.axhline(50, label="chance", **drawing.CHANCE)
    first = part.unique("x", keep="first", maintain_order=True).sort("x")
    for name, look in _BESIDE.items():
        is_of_goal = name == "main_auc" or rate == "precision"
        if is_of_goal and first[name].count():
            axes.plot(first["x"], percent(first, name), **look)


def _name_places(axes: Axes, setting: str, places) -> None:
    """Names of the places along x."""
    names = [f"{place:,}" if isinstance(place, int) else str(place) for place in places]
    is_long = sum(map(len, names)) > _LONG_NAMES
    turned: Look = {"rotation": 30, "ha": "right"} if is_long else {}
    axes.set_xticks(np.arange(len(names)), names, **turned)
    axes.set_xlim(-0.3, len(names) - 0.7)
    axes.set_xlabel("batch size" if setting == "batch_size" else "")


WATCHED = Panel(
    name="watched_trainings",
    title="What watching the training tells",
    about=pl.col("goal").is_in(list(_RATES)).fill_null(value=False),
    figure=_figure,
    caption=(
        "How well rounds with the property are told from others (AUC; where all rounds "
        "of a training are alike, their mean score), and how many of the records that "
        "are called members are (precision), with 95 % bands, as "
        "Melis et al. 2019 (arXiv 1805.04049) show them; the thin gray line is the AUC "
        "of the main task."
    ),
)
