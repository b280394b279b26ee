"""All that a report says, before it is written as a page, as Markdown, or printed."""

from typing import Any, NamedTuple

from matplotlib.figure import Figure

from vfljax.experiments.records import Run
from vfljax.reports.frame import Frame, summarize
from vfljax.reports.panels import PANELS, Panel
from vfljax.reports.table import Table
from vfljax.reports.words import (
    RULE,
    Finding,
    caveats,
    findings,
    has_defenses,
    opening,
)

HOW_TITLE = "How this was computed, and how to compute it again"
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
    """All that a report says.

    Attributes:
        frame: what it is made from.
        title: the experiment's title, else its name.
        opening: which settings were tried.
        findings: what leaks and which defense to take, per threat model.
        remarks: the rule by which defenses were chosen, and what numbers do not say.
        parts: the panels that the run has something for; none where only words are due.
        how: name and value of what is needed to compute it again.
        config: the whole configuration, as read.
    """

    frame: Frame
    title: str
    opening: str
    findings: list[Finding]
    remarks: list[str]
    parts: list[Part]
    how: dict[str, str]
    config: dict[str, Any]


def make_report(run: Run, *, with_parts: bool = True) -> Report:
    """What there is to say of a run.

    Raises:
        ValueError: if it has no rows, or `summarize` does not take them.
    """
    frame = summarize(run.rows)
    title = run.config.get("title") or run.config.get("name") or "Untitled experiment"
    wanted = [panel for panel in PANELS if with_parts and panel.wants(frame)]
    return Report(
        frame=frame,
        title=title,
        opening=opening(frame),
        findings=findings(frame.summary),
        remarks=[RULE] * has_defenses(frame) + caveats(frame),
        parts=[_fill(panel, frame, title) for panel in wanted],
        how=how_computed(run),
        config=run.config,
    )


def how_computed(run: Run) -> dict[str, str]:
    """What was recorded of how a run was computed, as far as it was."""
    config, environment = run.config, run.environment
    name = config.get("name")
    versions = {"python": environment.get("python"), **environment.get("versions", {})}
    devices = environment.get("device") or environment.get("devices")
    if isinstance(devices, list | tuple):
        devices = ", ".join(map(str, devices))
    seconds = sum(row.get("seconds") or 0.0 for row in run.rows)
    recorded = {
        "experiment": name,
        "command": f"vfljax run {name}" if name else None,
        "seed": config.get("seed"),
        "rows": f"{len(run.rows)}, one per trial, setting and attack",
        "time of attacks": f"{seconds:.3g} s" if seconds else None,
        "versions": ", ".join(f"{what} {v}" for what, v in versions.items() if v),
        "device": devices,
        "number of devices": environment.get("num_devices"),
        "data": environment.get("data"),
        "commit": environment.get("commit"),
    }
    return {what: str(v) for what, v in recorded.items() if v not in (None, "")}


def _fill(panel: Panel, frame: Frame, title: str) -> Part:
    return Part(
        panel=panel,
        table=panel.table(frame) if panel.table else None,
        notes=panel.notes(frame),
        figure=panel.figure(frame, title) if panel.figure else None,
    )
