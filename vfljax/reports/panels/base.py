"""A panel: one question that a report answers, by a figure, a table and notes."""

from collections.abc import Callable
from typing import NamedTuple

import polars as pl
from matplotlib.figure import Figure

from vfljax.reports.drawing import the_look
from vfljax.reports.frame import Frame
from vfljax.reports.table import Table


class Part(NamedTuple):
    """A panel filled with what a run has for it."""

    panel: "Panel"
    figure: Figure | None
    table: Table | None
    notes: list[str]


class Panel(NamedTuple):
    """A part of the report, shown where the run has a figure or a table for it.

    Its functions are given the rows that it is about, at least one of them.

    Attributes:
        name: of letters and underscores: the anchor in the page, and the name of the
            figure's files, without ending.
        title: the heading.
        about: a condition on settings: the rows it is about.
        wants: whether a run has what it shows besides rows.
        figure: draws it under a title or "", if the rows have something to draw.
        caption: how to read the figure, in whole sentences.
        table: the numbers, if it has any.
        notes: how to read them, in whole sentences.
    """

    name: str
    title: str
    about: pl.Expr = pl.lit(value=True)
    wants: Callable[[Frame], bool] = lambda frame: True
    figure: Callable[[Frame, str], Figure | None] = lambda frame, title: None
    caption: str = ""
    table: Callable[[Frame], Table | None] = lambda frame: None
    notes: Callable[[Frame], list[str]] = lambda frame: []

    def fill(self, frame: Frame, title: str = "") -> Part | None:
        """Fills the panel from all rows of a run; None if it would be empty."""
        summary, raw = frame.summary.filter(self.about), frame.raw.filter(self.about)
        frame = frame._replace(summary=summary, raw=raw)
        if summary.is_empty() or not self.wants(frame):
            return None
        with the_look():
            figure = self.figure(frame, title)
        part = Part(self, figure, self.table(frame), self.notes(frame))
        return part if part.figure or part.table else None
