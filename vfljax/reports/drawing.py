"""What all figures share: look, panels, axes, legend."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D

from vfljax.reports.statistics import Summary

LOOK: dict[Any, Any] = {
    "axes.edgecolor": "0.3",
    "axes.grid": True,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "figure.dpi": 160,
    "figure.facecolor": "white",
    "figure.titlesize": 10,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "grid.color": "0.9",
    "grid.linewidth": 0.6,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "lines.markersize": 5,
    "pdf.fonttype": 42,  # text in the PDF stays text
    "savefig.dpi": 160,
    "savefig.facecolor": "white",
    "text.usetex": False,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}

# Okabe and Ito's palette, without the yellow that white paper swallows, and with brown
# and violet for black, which is for the undefended.
COLORS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#7A4A2B",
    "#6A3D9A",
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
DASHES = ("-", (0, (6, 1.5)), (0, (4, 1, 1, 1)), (0, (2, 1)), (0, (8, 1, 1, 1, 1, 1)))
ADAPTIVE_DASH = (0, (5, 2))
CHANCE_COLOR = "0.45"
CHANCE: dict[str, Any] = {"linestyle": (0, (2, 2)), "linewidth": 1, "zorder": 1.5}
HOLLOW: dict[str, Any] = {"linestyle": "none", "markerfacecolor": "white"}

# The settings, with a defense and its strength as one, in the order titles name them.
SETTINGS = (
    "dataset",
    "num_parties",
    "variant",
    "protocol",
    "view",
    "attack",
    "defense_label",
    "train_step",
    "batch_size",
    "num_classes",
    "known_per_class",
    "adversary_optimizer",
)

# What goes without saying where these are said, if it is the same wherever they are.
_TOLD_BY = {
    "variant": (
        "dataset",
        "num_parties",
        "protocol",
        "train_step",
        "batch_size",
        "num_classes",
    ),
    "attack": ("view", "known_per_class", "adversary_optimizer"),
    "attack_family": ("view", "known_per_class", "adversary_optimizer"),
}

_VIEWS = {
    "sample_gradient": "plaintext protocol (gradient per sample)",
    "batch_gradient": "encrypted protocol (gradient of the batch)",
    "trained_model": "trained bottom model, few known labels",
    "message_rows": "rows of encrypted messages manipulated",
}
_WORDS = {
    "num_parties": "{} parties",
    "train_step": "step {}",
    "batch_size": "batch size {}",
    "num_classes": "{} classes",
    "known_per_class": "{:g} known per class",
}


class Style(NamedTuple):
    """How one series looks: told apart by color, and without color."""

    color: str
    marker: str
    linestyle: Any


def style(index: int) -> Style:
    """The look of series `index`: no two of the first 360 are the same."""
    return Style(
        color=COLORS[index % len(COLORS)],
        marker=MARKERS[index % len(MARKERS)],
        linestyle=DASHES[index % len(DASHES)],
    )


def distinct(
    summaries: Sequence[Summary], names: Sequence[str]
) -> list[tuple[Any, ...]]:
    """The distinct values of these fields together, in order of first appearance."""
    return list(
        dict.fromkeys(
            tuple(getattr(summary, name) for name in names) for summary in summaries
        )
    )


def matching(
    summaries: Sequence[Summary], names: Sequence[str], key: tuple[Any, ...]
) -> list[Summary]:
    """The summaries that have these values in these fields."""
    return [
        summary
        for summary in summaries
        if tuple(getattr(summary, name) for name in names) == key
    ]


def is_told(summaries: Sequence[Summary], name: str, attack: str = "attack") -> bool:
    """Whether the variant or the attack says the value of this setting as well.

    Args:
        summaries: those drawn.
        name: a setting.
        attack: the field that tells attacks apart, "attack" or "attack_family".
    """
    return any(
        name in _TOLD_BY[teller]
        and len(distinct(summaries, (teller, name)))
        == len(distinct(summaries, (teller,)))
        for teller in ("variant", attack)
    )


def describe(summary: Summary, names: Sequence[str]) -> str:
    """The values of some settings in words, for a legend."""
    words = []
    for name in names:
        value = getattr(summary, name)
        if name == "defense_label":
            words.append("no defense" if value == "none" else str(value))
        elif name == "view":
            words.append(_VIEWS.get(value, str(value)))
        elif name == "adversary_optimizer":
            words.append(f"{value.replace('_', ' ')} optimizer")
        elif name == "known_per_class" and value is None:
            words.append("no known labels")
        else:
            words.append(_WORDS.get(name, "{}").format(value))
    return ", ".join(words)


def title_panel(axes: Axes, summary: Summary, names: Sequence[str]) -> None:
    """Titles a panel with its settings, over several lines where one is too short."""
    axes.set_title(fill(describe(summary, names), width=42))


def panels(
    num_panels: int,
    title: str | None,
    *,
    most_columns: int = 3,
    size: tuple[float, float] | None = None,
    **kwargs: Any,
) -> tuple[Figure, list]:
    """An empty figure with axes for `num_panels` panels.

    Args:
        num_panels: number of panels.
        title: the figure's title, or None.
        most_columns: panels in a row, at most.
        size: inches a panel, or None for sizes that suit curves.
        **kwargs: passed to `Figure.subplots` (`sharex`, `sharey`).

    Returns:
        The figure, and its axes row by row.
    """
    num_rows = -(-num_panels // most_columns)
    num_columns = -(-num_panels // num_rows)
    width, height = size or ({1: 5.0, 2: 3.6}.get(num_columns, 3.2), 3.0)
    figure = Figure(
        figsize=(width * num_columns, height * num_rows + 0.4), layout="constrained"
    )
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(num_rows, num_columns, squeeze=False, **kwargs).flat)
    for unused in axes[num_panels:]:
        unused.remove()
    if title:
        figure.suptitle(title)
    return figure, axes[:num_panels]


def draw_legend(figure: Figure, handles: Sequence[Any]) -> None:
    """A legend below the panels, where no data can be, and the room for it.

    A tuple of handles is one entry, under the label of its last.
    """
    labels = [
        str((handle[-1] if isinstance(handle, tuple) else handle).get_label())
        for handle in handles
    ]
    longest = max(map(len, labels))
    # 8 pt text is about 0.055 inch a letter; the handle and gaps take 0.6 inch.
    fitting = int(figure.get_figwidth() / (0.055 * longest + 0.6))
    num_columns = max(1, min(len(handles), fitting))
    num_lines = -(-len(handles) // num_columns)
    figure.set_figheight(figure.get_figheight() + 0.17 * num_lines)
    figure.legend(
        handles=handles,
        labels=labels,
        loc="outside lower center",
        ncols=num_columns,
        handler_map={tuple: HandlerTuple(ndivide=None)},
    )


def label_left(all_axes: Sequence[Axes], text: str) -> None:
    """Labels the y axes of the panels at the left edge."""
    for axes in all_axes:
        place = axes.get_subplotspec()
        if place is not None and place.is_first_col():
            axes.set_ylabel(text)


def label_bottom(all_axes: Sequence[Axes], text: str) -> None:
    """Labels the x axes of the panels that have none below them."""
    num_columns = 0
    for axes in all_axes:
        place = axes.get_subplotspec()
        num_columns = place.get_gridspec().ncols if place is not None else 1
    for axes in all_axes[-num_columns:]:
        axes.set_xlabel(text)


def percent_axis(axes: Axes, axis: str) -> None:
    """Makes one axis run from 0 to 100 %, with room for markers at the ends."""
    if axis == "x":
        axes.set_xlim(-4, 104)
        axes.set_xticks(range(0, 101, 20))
    else:
        axes.set_ylim(-4, 104)
        axes.set_yticks(range(0, 101, 20))


def tick_values(axes: Axes, values: Sequence[int | float]) -> None:
    """Puts the x ticks at the values drawn, leaving out those too close to another.

    The first and last value keep their ticks. The x scale must have been set.
    """
    values = sorted(set(values))
    places = axes.xaxis.get_transform().transform(np.asarray(values, dtype=float))
    span = places[-1] - places[0] or 1.0
    kept = [0]
    for index in range(1, len(values)):
        is_last = index == len(values) - 1
        if is_last:
            while len(kept) > 1 and places[-1] - places[kept[-1]] < 0.07 * span:
                kept.pop()
        if is_last or places[index] - places[kept[-1]] >= 0.07 * span:
            kept.append(index)
    axes.set_xticks([values[index] for index in kept])
    axes.set_xticklabels([f"{values[index]:g}" for index in kept])
    axes.minorticks_off()


def hollow_handle() -> Line2D:
    """The legend entry of markers that must not be read as protection."""
    label = "hollow: leaks in other names"
    return Line2D([], [], color="0.3", marker="o", label=label, **HOLLOW)


def chance_handle(label: str = "chance") -> Line2D:
    """The legend entry of the chance level."""
    return Line2D([], [], color=CHANCE_COLOR, label=label, **CHANCE)
