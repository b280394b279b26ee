"""A panel: one question that a report answers, by a figure, a table and notes."""

from collections.abc import Callable
from typing import NamedTuple

from matplotlib.figure import Figure

from vfljax.reports.frame import Frame
from vfljax.reports.table import Table


def no_notes(frame: Frame) -> list[str]:
    """None, whatever the run."""
    return []


class Panel(NamedTuple):
    """A part of the report, shown where the run has what it is about.

    Every function is given a whole `Frame`: `frame.summary` has a row per setting,
    `frame.raw` one per trial.

    Attributes:
        name: short, of letters and underscores: the anchor in the page, and the name of
            the figure's files, without ending.
        title: the heading.
        wants: whether a run has what the panel shows.
        figure: draws it under a title or none; None where there is nothing to draw.
        caption: how to read the figure, in whole sentences.
        table: the numbers; None where there are none.
        notes: how to read them, in whole sentences.
    """

    name: str
    title: str
    wants: Callable[[Frame], bool]
    figure: Callable[[Frame, str | None], Figure] | None = None
    caption: str = ""
    table: Callable[[Frame], Table] | None = None
    notes: Callable[[Frame], list[str]] = no_notes
