"""Labels beside data points that keep out of the way of the data and of each other."""

from collections.abc import Sequence
from itertools import product
from math import cos, hypot, inf, pi, sin
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_REACHES = (8, 12, 17, 23, 30, 38)  # from a point to its label, in typographic points
_OPTIONAL_REACH = 17
_NUM_DIRECTIONS = 16
_FONT_SIZE = 7
_LETTER_WIDTH = 4.4  # of this font size, in points
_LINE_HEIGHT = 8.0
_MARKER_RADIUS = 4.0


class Label(NamedTuple):
    """A short text that belongs to a data point.

    Attributes:
        x: the point, in data coordinates.
        y: the point, in data coordinates.
        text: the label.
        color: its color.
        is_required: drawn even where no free place is left.
    """

    x: float
    y: float
    text: str
    color: str
    is_required: bool


class _Place(NamedTuple):
    """Where a label could go: from its point, in points, and its box, in pixels."""

    cost: float
    offset: tuple[float, float]
    box: tuple[float, ...]


def place_labels(
    figure: Figure, axes: Axes, labels: Sequence[Label], keep_free: np.ndarray
) -> None:
    """Writes each label near its point, away from the points and from each other.

    Greedy: required labels first, each at the best place around its point; the others
    only where there is a free place close by. The axes' limits must be final.

    Args:
        figure: the figure with everything but the labels in place.
        axes: where to write.
        labels: what to write.
        keep_free: (n, 2) data coordinates that should stay visible.
    """
    figure.draw_without_rendering()  # settles the layout, which fixes the pixels
    scale = figure.dpi / 72
    to_pixels = axes.transData.transform
    radius = _MARKER_RADIUS
    taken = [_box(x, y, radius, radius, scale) for x, y in to_pixels(keep_free)]
    written = [tuple(text.get_window_extent().extents) for text in axes.texts]
    frame = tuple(axes.get_window_extent().extents)
    for label in sorted(labels, key=lambda label: not label.is_required):
        point = tuple(to_pixels((label.x, label.y)))
        rivals = [
            tuple(to_pixels((other.x, other.y)))
            for other in labels
            if other.color == label.color and other is not label
        ]
        best = _Place(cost=inf, offset=(0.0, 0.0), box=())
        for reach, turn in product(_REACHES, range(_NUM_DIRECTIONS)):
            if reach > _OPTIONAL_REACH and not label.is_required:
                break
            place = _place(label, point, scale, reach, turn)
            cost = place.cost + _crowding(
                place.box, point, taken, written, frame, rivals
            )
            if cost < best.cost:
                best = place._replace(cost=cost)
        if best.cost >= 1 and not label.is_required:
            continue
        written.append(best.box)
        _write(axes, label, best.offset)


def _place(
    label: Label, point: tuple[float, ...], scale: float, reach: int, turn: int
) -> _Place:
    """One place around a point; the closer, the cheaper, but never as much as 1."""
    half_width = 0.5 * (_LETTER_WIDTH * len(label.text) + 1)
    angle = 2 * pi * turn / _NUM_DIRECTIONS + pi / 2
    # On an ellipse: text is wider than high.
    offset = ((reach + half_width - 3) * cos(angle), reach * sin(angle))
    x, y = point[0] + offset[0] * scale, point[1] + offset[1] * scale
    return _Place(
        cost=reach / 100,
        offset=offset,
        box=_box(x, y, half_width, _LINE_HEIGHT / 2, scale),
    )


def _crowding(
    box: tuple[float, ...],
    point: tuple[float, ...],
    taken: Sequence[tuple[float, ...]],
    written: Sequence[tuple[float, ...]],
    frame: tuple[float, ...],
    rivals: Sequence[tuple[float, ...]],
) -> float:
    """What a place costs: data covered 1 each, text covered 4, out of the frame 20.

    And 1 for each other marker of the label's color that is nearer to the label than
    its own marker, as it would be read as that one's.
    """
    center = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    distance = hypot(center[0] - point[0], center[1] - point[1])
    is_inside = (
        frame[0] <= box[0]
        and frame[1] <= box[1]
        and box[2] <= frame[2]
        and box[3] <= frame[3]
    )
    return float(
        sum(_overlaps(box, other) for other in taken)
        + 4 * sum(_overlaps(box, other) for other in written)
        + (0 if is_inside else 20)
        + sum(hypot(center[0] - x, center[1] - y) < distance for x, y in rivals)
    )


def _write(axes: Axes, label: Label, offset: tuple[float, float]) -> None:
    """Writes a label, with a thin line to its point if that is far."""
    is_far = hypot(*offset) > 16 + 0.5 * _LETTER_WIDTH * len(label.text)
    line = {"arrowstyle": "-", "color": label.color, "lw": 0.5, "alpha": 0.6}
    axes.annotate(
        label.text,
        (label.x, label.y),
        xytext=offset,
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=_FONT_SIZE,
        color=label.color,
        arrowprops=line if is_far else None,
    )


def _box(
    x: float, y: float, half_width: float, half_height: float, scale: float
) -> tuple[float, ...]:
    """A box (x0, y0, x1, y1) in pixels around a center, its half sizes in points."""
    return (
        x - half_width * scale,
        y - half_height * scale,
        x + half_width * scale,
        y + half_height * scale,
    )


def _overlaps(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether two boxes share area."""
    return bool(
        one[0] < other[2]
        and other[0] < one[2]
        and one[1] < other[3]
        and other[1] < one[3]
    )
