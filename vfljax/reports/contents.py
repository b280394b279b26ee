"""All that a report says, before it is written as a page, as Markdown, or printed."""

from typing import Any, NamedTuple

from matplotlib.figure import Figure

from vfljax.experiments.records import Run
from vfljax.reports.frame import Frame
from vfljax.reports.panels import PANELS, Panel
from vfljax.reports.reproduce import how_computed
from vfljax.reports.table import Table
from vfljax.reports.words import RULE, Finding, caveats, findings, has_defenses, opening

HOW_TO_READ = (
    "Rates are means over trials ± half-width of the 95 % Student-t interval of the "
    "per-trial rates, cut off at 0 and 100. A single trial has no interval; ± 0.0 says "
    "that all trials agreed, not that the next one must."
)


class Part(NamedTuple):
    """A panel filled with what a run has for it."""

    panel: Panel
    table: Table | None
    notes: list[str]
    figure: Figure | None


class Report(NamedTuple):
    """All that a report says, before it is written as a page, as Markdown, or printed.

    Attributes:
        title: the experiment's title, else its name.
        opening: which settings were tried.
        findings: what leaks and which defense to take, per threat model.
        rule: by which defenses were chosen, or "" where none was tried.
        caveats: what the numbers do not say.
        parts: the panels that the run has something for.
        how: name and value of what is needed to compute it again.
        config: the whole configuration, as read.
    """

    title: str
    opening: str
    findings: list[Finding]
    rule: str
    caveats: list[str]
    parts: list[Part]
    how: list[tuple[str, str]]
    config: dict[str, Any]


def make_report(run: Run, frame: Frame) -> Report:
    """What there is to say of a run."""
    title = title_of(run)
    return Report(
        title=title,
        opening=opening(frame),
        findings=findings(frame.summary),
        rule=RULE if has_defenses(frame) else "",
        caveats=caveats(frame),
        parts=[_fill(panel, frame, title) for panel in PANELS if panel.wants(frame)],
        how=how_computed(run),
        config=run.config,
    )


def title_of(run: Run) -> str:
    """The experiment's title, else its name."""
    return run.config.get("title") or run.config.get("name") or "Untitled experiment"


def _fill(panel: Panel, frame: Frame, title: str) -> Part:
    return Part(
        panel=panel,
        table=panel.table(frame) if panel.table else None,
        notes=panel.notes(frame),
        figure=panel.figure(frame, title) if panel.figure else None,
    )
