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
    """A part of the report, shown where the run has what it is about.

    Every function is given a `Frame` of the rows that the panel is about:
    `frame.summary` has a row per setting, `frame.raw` one per trial.

    Attributes:
        name: short, of letters and underscores: the anchor in the page, and the name of
            the figure's files, without ending.
        title: the heading.
        about: a condition on settings: the rows it is about.
        wants: whether they, of which there is at least one, have what it shows.
        figure: draws it under a title or ""; None where there is nothing to draw.
        caption: how to read the figure, in whole sentences.
        table: the numbers; None where there are none.
        notes: how to read them, in whole sentences.
    """

    name: str
    title: str
    about: pl.Expr = pl.lit(value=True)
    wants: Callable[[Frame], bool] = lambda frame: True
    figure: Callable[[Frame, str], Figure] | None = None
    caption: str = ""
    table: Callable[[Frame], Table] | None = None
    notes: Callable[[Frame], list[str]] = lambda frame: []

    def fill(self, frame: Frame, title: str = "") -> Part | None:
        """Fills the panel from a run's rows, whose title is drawn; None if unwanted."""
        frame = frame.only(self.about)
        if not (frame.summary.height and self.wants(frame)):
            return None
        with the_look():
            figure = self.figure(frame, title) if self.figure else None
        table = self.table(frame) if self.table else None
        return Part(self, figure, table, self.notes(frame))
