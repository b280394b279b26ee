"""What all figures share: look, axes, legend, and the files they become."""

import io
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import matplotlib.style
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from vfljax.reports.table import describe

Look = dict[str, Any]
"""Properties of a line, by matplotlib's names."""

_METADATA = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None},
    "svg": dict.fromkeys(("Date", "Creator", "Format", "Type")),
}

# Okabe and Ito's palette, without the yellow that white paper swallows, and with brown
# and violet for black, which is for the undefended.
COLORS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7"),
    *("#E69F00", "#56B4E9", "#7A4A2B", "#6A3D9A"),
)
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
_DASHES = ("-", (0, (6, 1.5)), (0, (4, 1, 1, 1)), (0, (2, 1)), (0, (8, 1, 1, 1, 1, 1)))
SERIES, _LABELS = 3, 4  # layers; hollow markers are between them
CHANCE: Look = {"color": "0.45", "ls": (0, (2, 2)), "lw": 1, "zorder": 1.5}
FLOOR: Look = {"color": "#8B0000", "ls": (0, (5, 1, 1, 1)), "lw": 1, "zorder": 1.6}
HOLLOW = "hollow: leaks in other names"
_HOLLOW: Look = {"linestyle": "none", "markerfacecolor": "white", "label": HOLLOW}


def the_look() -> AbstractContextManager[None]:
    """Of `figures.mplstyle`, whatever a user's own settings are."""
    return matplotlib.style.context(["default", "vfljax.reports.figures"])


def picture(figure: Figure, file_format: str) -> bytes:
    """The figure as a file, the same every time: "png", "pdf", "svg" with real text."""
    buffer = io.BytesIO()
    with the_look():
        figure.savefig(buffer, format=file_format, metadata=_METADATA[file_format])
    return buffer.getvalue()


def style(index: int) -> Look:
    """The look of series `index`, told by color or without; the first 360 differ."""
    return {
        "color": COLORS[index % len(COLORS)],
        "marker": _MARKERS[index % len(_MARKERS)],
        "linestyle": _DASHES[index % len(_DASHES)],
    }


def percent(frame: pl.DataFrame, name: str) -> np.ndarray:
    """A rate of each row in percent, NaN where there is none."""
    return 100 * frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy()


def interval(frame: pl.DataFrame, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The ends of a rate's interval in percent, both its mean where there is none."""
    low, high = (f"{name}_{end}" for end in ("low", "high"))
    ends = frame.with_columns(pl.coalesce(low, name), pl.coalesce(high, name))
    return percent(ends, low), percent(ends, high)


def draw_line(
    axes: Axes, line: pl.DataFrame, rate: str, look: Look, alpha: float = 0.0
) -> None:
    """A rate along the column `x`, with its interval as a band where alpha says so.

    Markers are hollow where a low rate of a series would be misread as protection.
    """
    xs, ys = line["x"].to_numpy(), percent(line, rate)
    axes.plot(xs, ys, clip_on=False, zorder=SERIES, **look)
    if alpha:
        band = {"color": look["color"], "alpha": alpha, "linewidth": 0}
        axes.fill_between(xs, *interval(line, rate), **band)
    leaks = (line["below_chance"] | line["hides_names_only"]).to_numpy()
    if look["marker"] in _MARKERS and leaks.any():
        hollow = look | _HOLLOW
        axes.plot(xs[leaks], ys[leaks], clip_on=False, zorder=SERIES + 0.5, **hollow)


def small_multiples(
    parts: Sequence[pl.DataFrame],
    names: Sequence[str],
    title: str,
    y_label: str,
    *,
    most_columns: int = 3,
    size: tuple[float, float] | None = None,
    sharey: bool = True,
) -> Figure:
    """A figure with empty axes per part of some rows, in their order.

    The settings that tell the parts apart are the titles of the axes; the y label is
    at the left edge; the size of the axes is in inches, by default one for curves.
    """
    num_rows = -(-len(parts) // most_columns)
    num_columns = -(-len(parts) // num_rows)
    width, height = size or ({1: 5.0, 2: 3.6}.get(num_columns, 3.2), 3.0)
    inches = (width * num_columns, height * num_rows + 0.4)
    figure = Figure(figsize=inches, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(num_rows, num_columns, squeeze=False, sharey=sharey)
    for unused in grid.flat[len(parts) :]:
        unused.remove()
    for axes, part in zip(grid.flat, parts, strict=False):
        axes.set_title(describe(part.row(0, named=True), names, width=42))
    for axes in grid[:, 0]:
        axes.set_ylabel(y_label)
    if title:
        figure.suptitle(title)
    return figure


def draw_legend(figure: Figure) -> None:
    """A legend of all lines below the panels, where no data can be, and room for it.

    Series first, then from the top layer to the lowest. Lines of one label are one
    entry, gray if they differ in color; an underscore before a label leaves it out.
    """
    lines = [line for axes in figure.axes for line in axes.get_lines()]
    lines.sort(key=lambda line: (line.get_zorder() != SERIES, -line.get_zorder()))
    entries: dict[str, Line2D] = {}
    for line in lines:
        entry = Line2D([], [])
        entry.update_from(line)
        entry.set_markevery(None)
        known = entries.setdefault(str(line.get_label()), entry)
        if known.get_color() != line.get_color():
            known.set(color="0.3", marker="o" if known.get_marker() != "None" else "")
    handles = [line for label, line in entries.items() if not label.startswith("_")]
    # 8 pt text is about 0.055 inch a letter; the handle and gaps take 0.6 inch.
    width = 0.055 * max(len(str(line.get_label())) for line in handles) + 0.6
    columns = max(1, min(len(handles), int(figure.get_figwidth() / width)))
    figure.set_figheight(figure.get_figheight() + 0.18 * -(-len(handles) // columns))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)


def percent_axis(axes: Axes, axis: str) -> None:
    """Makes one axis run from 0 to 100 %, with room for markers at the ends."""
    axes.set(**{f"{axis}lim": (-4, 104), f"{axis}ticks": range(0, 101, 20)})


def tick_values(axes: Axes, values: Sequence[int | float]) -> None:
    """Puts the x ticks at the values drawn, leaving out those too close to another.

    The first and last value keep their ticks. The x scale must have been set.
    """
    values = sorted(set(values))
    places = axes.xaxis.get_transform().transform(np.asarray(values, dtype=float))
    gap, last = 0.07 * (places[-1] - places[0]), len(values) - 1
    kept = [0]
    for i in range(1, last):
        if min(places[i] - places[kept[-1]], places[last] - places[i]) >= gap:
            kept.append(i)
    kept = sorted({*kept, last})
    axes.set_xticks([values[i] for i in kept], [f"{values[i]:g}" for i in kept])
    axes.minorticks_off()


# Places around a point for its label, in typographic points, the nearest first.
_OFFSETS = [
    (reach * x, reach * y)
    for reach in (1, 1.5, 2.2, 3)
    for x, y in ((8, 7), (-8, 7), (8, -7), (-8, -7), (0, 9), (0, -9), (12, 0), (-12, 0))
]


def write(axes: Axes, place: tuple[float, float], text: str, color: str, rank: int):
    """Adds a label to a point, for `place_labels` to find a place for it."""
    font: Look = {"fontsize": 7, "ha": "center", "va": "center", "color": color}
    annotation = axes.annotate(text, place, (0, 0), textcoords="offset points", **font)
    annotation.set(in_layout=False, zorder=_LABELS + rank)


def place_labels(axes: Axes) -> None:
    """Puts each label at the first of some places around its point that is free.

    Those of the highest rank first, at the best place there is; those of rank 0 only
    where one is free of lines, markers and other labels. The layout must be final.
    """
    frame = axes.get_window_extent()
    drawn = [line.get_path().transformed(line.get_transform()) for line in axes.lines]
    for crosses in axes.collections:
        drawn += [path.transformed(axes.transData) for path in crosses.get_paths()]
    written: list[Bbox] = []
    labels = [text for text in axes.texts if isinstance(text, Annotation)]
    for label in sorted(labels, key=lambda label: -label.get_zorder()):
        costs = []
        for offset in _OFFSETS:
            label.xyann = offset
            box = label.get_window_extent()
            is_inside = frame.contains(*box.min) and frame.contains(*box.max)
            hidden = [path.intersects_bbox(box, filled=False) for path in drawn]
            hidden += [box.count_contains(path.vertices) for path in drawn]
            overlaps = 4 * box.count_overlaps(written)
            costs.append(sum(hidden) + overlaps + (0 if is_inside else 20))
        best = int(np.argmin(costs))
        label.xyann = _OFFSETS[best]
        if costs[best] and label.get_zorder() == _LABELS:
            label.remove()
        else:
            written.append(label.get_window_extent())
