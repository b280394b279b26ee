"""What all figures share: look, axes, legend, and the files they become."""

import io
from collections.abc import Sequence
from itertools import pairwise
from textwrap import fill
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox

LOOK: dict[Any, Any] = {
    "axes.edgecolor": "0.3",
    "axes.grid": True,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "figure.dpi": 160,
    "figure.facecolor": "white",  # a card of its own on a dark page
    "figure.titlesize": 10,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],  # of like width in a page
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
    "svg.fonttype": "none",  # and in the page too
    "svg.hashsalt": "vfljax",
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
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
_DASHES = ("-", (0, (6, 1.5)), (0, (4, 1, 1, 1)), (0, (2, 1)), (0, (8, 1, 1, 1, 1, 1)))
CHANCE: dict[str, Any] = {"linestyle": (0, (2, 2)), "linewidth": 1, "zorder": 1.5}
CHANCE_COLOR = "0.45"
FLOOR: dict[str, Any] = {
    "color": "#8B0000",
    "linestyle": (0, (5, 1, 1, 1)),
    "linewidth": 1,
    "zorder": 1.6,
}
HOLLOW: dict[str, Any] = {"linestyle": "none", "markerfacecolor": "white"}
LEAKS = pl.col("below_chance") | pl.col("hides_names_only")
"""Where a low rate would be misread as protection."""


class Style(NamedTuple):
    """How one series looks: told apart by color, and without color."""

    color: str
    marker: str
    linestyle: Any


def style(index: int) -> Style:
    """The look of series `index`: no two of the first 360 are the same."""
    return Style(
        color=COLORS[index % len(COLORS)],
        marker=_MARKERS[index % len(_MARKERS)],
        linestyle=_DASHES[index % len(_DASHES)],
    )


def percent(frame: pl.DataFrame, name: str) -> np.ndarray:
    """A rate of each row in percent, NaN where there is none."""
    return 100 * frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy()


def interval(frame: pl.DataFrame, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The ends of a rate's interval in percent, both its mean where there is none."""
    ends = (pl.coalesce(f"{name}_{end}", name).alias(end) for end in ("low", "high"))
    both = frame.select(*ends)
    return percent(both, "low"), percent(both, "high")


def draw_line(
    axes: Axes, frame: pl.DataFrame, x: str, y: str, band_alpha: float, **look: Any
) -> None:
    """A rate in percent along a column, with the band of its intervals."""
    axes.plot(frame[x], percent(frame, y), clip_on=False, zorder=3, **look)
    band: dict[str, Any] = {"color": look["color"], "alpha": band_alpha, "linewidth": 0}
    axes.fill_between(frame[x].to_numpy(), *interval(frame, y), **band)


def draw_hollow(
    axes: Axes, frame: pl.DataFrame, x: str, y: str, look: dict[str, Any], label: str
) -> None:
    """Makes the markers hollow that must not be read as protection.

    Args:
        axes: where the line of `frame` is.
        frame: a row per marker.
        x: a rate, or "x", which is drawn as it is.
        y: a rate.
        look: color and marker of the line.
        label: of the line.
    """
    leaking = frame.filter(LEAKS)
    if leaking.height:
        axes.plot(
            leaking["x"] if x == "x" else percent(leaking, x),
            percent(leaking, y),
            color=look["color"],
            marker=look["marker"],
            label=f"_leaks nonetheless {label}",
            clip_on=False,
            zorder=3.5,
            **HOLLOW,
        )


def panels(
    num_panels: int,
    title: str | None,
    *,
    most_columns: int = 3,
    size: tuple[float, float] | None = None,
    **kwargs: Any,
) -> tuple[Figure, list[Axes]]:
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


def title_panel(axes: Axes, text: str) -> None:
    """Titles a panel, over several lines where one is too short."""
    axes.set_title(fill(text, width=42))


def draw_legend(figure: Figure, handles: Sequence[Any]) -> None:
    """A legend below the panels, where no data can be, and the room for it.

    A tuple of handles is one entry, under the label of its last.
    """
    lasts = [each[-1] if isinstance(each, tuple) else each for each in handles]
    labels = [str(each.get_label()) for each in lasts]
    # 8 pt text is about 0.06 inch a letter; the handle and gaps take 0.6 inch.
    fitting = int(figure.get_figwidth() / (0.06 * max(map(len, labels)) + 0.6))
    num_columns = max(1, min(len(handles), fitting))
    figure.set_figheight(
        figure.get_figheight() + 0.18 * -(-len(handles) // num_columns)
    )
    figure.legend(
        handles=handles,
        labels=labels,
        loc="outside lower center",
        ncols=num_columns,
        handler_map={tuple: HandlerTuple(ndivide=None)},
    )


def entry(label: str, **look: Any) -> Line2D:
    """An entry of a legend that looks like what it stands for."""
    return Line2D([], [], label=label, **look)


def chance_entry(label: str = "chance") -> Line2D:
    """The entry of the chance level."""
    return entry(label, color=CHANCE_COLOR, **CHANCE)


def hollow_entry() -> Line2D:
    """The entry of markers that must not be read as protection."""
    return entry("hollow: leaks in other names", color="0.3", marker="o", **HOLLOW)


def label_left(all_axes: Sequence[Axes], text: str) -> None:
    """Labels the y axes of the panels at the left edge."""
    for axes in all_axes:
        place = axes.get_subplotspec()
        if place is not None and place.is_first_col():
            axes.set_ylabel(text)


def percent_axis(axes: Axes, axis: str) -> None:
    """Makes one axis run from 0 to 100 %, with room for markers at the ends."""
    axes.set(**{f"{axis}lim": (-4, 104), f"{axis}ticks": range(0, 101, 20)})


def tick_values(axes: Axes, values: Sequence[int | float]) -> None:
    """Puts the x ticks at the values drawn, leaving out those too close to another.

    The first and last value keep their ticks. The x scale must have been set.
    """
    values = sorted(set(values))
    places = axes.xaxis.get_transform().transform(np.asarray(values, dtype=float))
    gap = 0.07 * (places[-1] - places[0])
    kept = [0]
    for index in range(1, len(values)):
        while (
            index == len(values) - 1
            and kept[1:]
            and places[-1] - places[kept[-1]] < gap
        ):
            kept.pop()
        if index == len(values) - 1 or places[index] - places[kept[-1]] >= gap:
            kept.append(index)
    axes.set_xticks([values[i] for i in kept], [f"{values[i]:g}" for i in kept])
    axes.minorticks_off()


class Label(NamedTuple):
    """A short text that belongs to a point in data coordinates."""

    x: float
    y: float
    text: str
    color: str
    is_required: bool


# Places around a point for its label, in typographic points, the nearest first.
_OFFSETS = [
    (reach * x, reach * y)
    for reach in (1, 1.5, 2.2, 3)
    for x, y in ((8, 7), (-8, 7), (8, -7), (-8, -7), (0, 9), (0, -9), (12, 0), (-12, 0))
]


def write_labels(axes: Axes, labels: Sequence[Label]) -> None:
    """Writes each label at the first of some places around its point that is free.

    Required labels first, at the best place there is; the others only where one is
    free of lines, markers and other labels. The layout of the figure must be final.
    """
    frame = axes.get_window_extent()
    covered = _drawn_points(axes)
    written: list[Bbox] = []
    for label in sorted(labels, key=lambda label: not label.is_required):
        text = axes.annotate(
            label.text,
            (label.x, label.y),
            textcoords="offset points",
            xytext=(0, 0),
            ha="center",
            va="center",
            fontsize=7,
            color=label.color,
        )
        text.set_in_layout(False)
        costs = []
        for offset in _OFFSETS:
            text.xyann = offset
            box = text.get_window_extent()
            is_inside = frame.contains(*box.min) and frame.contains(*box.max)
            hidden = box.count_contains(covered) + 4 * box.count_overlaps(written)
            costs.append(hidden + (0 if is_inside else 20))
        best = int(np.argmin(costs))
        text.xyann = _OFFSETS[best]
        if costs[best] and not label.is_required:
            text.remove()
        else:
            written.append(text.get_window_extent())


def _drawn_points(axes: Axes) -> np.ndarray:
    """Pixels along all lines and crosses in data coordinates, (n, 2)."""
    paths = [
        line.get_xydata()
        for line in axes.lines
        if line.get_transform() == axes.transData
    ]
    for bars in axes.collections:
        paths += bars.get_segments() if isinstance(bars, LineCollection) else []
    steps = np.linspace(0, 1, 20)[:, None]
    dense = [path[:1] for path in paths] + [
        start + steps * (end - start) for path in paths for start, end in pairwise(path)
    ]
    return axes.transData.transform(np.concatenate([np.zeros((0, 2)), *dense]))


def picture(figure: Figure, file_format: str) -> bytes:
    """A figure as the bytes of a "png", "pdf" or "svg" file, the same every time."""
    buffer = io.BytesIO()
    unset = {"pdf": ("CreationDate",), "svg": ("Date", "Creator")}
    metadata = dict.fromkeys(unset.get(file_format, ("Software",)))
    with mpl.rc_context(LOOK):
        figure.savefig(buffer, format=file_format, metadata=metadata)
    return buffer.getvalue()
