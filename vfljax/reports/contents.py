"""What a report says of a run: the answer, the panels it can fill, how it was made."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from vfljax.experiments.records import Run
from vfljax.reports import words
from vfljax.reports.frame import Frame, summarize
from vfljax.reports.panels import PANELS
from vfljax.reports.panels.base import Panel, Part

HOW_TITLE = "How this was computed, and how to compute it again"
HOW_TO_READ = (
    "Rates are means over trials ± half-width of the 95 % Student-t interval of the "
    "per-trial rates, cut off at 0 and 100. A single trial has no interval; ± 0.0 says "
    "that all trials agreed, not that the next one must."
)


class Report(NamedTuple):
    """The experiment's title or name, the answer in words, and what it rests on."""

    title: str
    opening: str
    findings: Sequence[words.Finding]
    remarks: Sequence[str]
    parts: Sequence[Part]
    how: Mapping[str, str]
    config: Mapping[str, Any]
    frame: Frame


def make_report(run: Run, panels: Sequence[Panel] = PANELS) -> Report:
    """Says what a run with rows says, and fills the panels that have a part in it."""
    frame = summarize(run.rows)._replace(engines=run.engines)
    config = run.config
    title = config.get("title") or config.get("name") or "Untitled experiment"
    filled = (panel.fill(frame, title) for panel in panels)
    return Report(
        title=title,
        opening=words.opening(frame),
        findings=words.findings(frame.summary),
        remarks=words.remarks(frame),
        parts=[part for part in filled if part],
        how=_how_computed(run),
        config=config,
        frame=frame,
    )


def _how_computed(run: Run) -> dict[str, str]:
    """What was recorded of how a run was computed, as far as it was."""
    name, environment = run.config.get("name"), run.environment
    versions = {"python": environment.get("python"), **environment.get("versions", {})}
    seconds = sum(row.get("seconds") or 0.0 for row in run.rows)
    recorded = {
        "experiment": name,
        "command": f"vfljax run {name}" if name else None,
        "seed": run.config.get("seed"),
        "rows": f"{len(run.rows)}, one per trial, setting and attack",
        "time of attacks": f"{seconds:.3g} s" if seconds else None,
        "versions": ", ".join(f"{what} {v}" for what, v in versions.items() if v),
        "device": environment.get("device"),
        "number of devices": environment.get("num_devices"),
        "data": environment.get("data"),
        "commit": environment.get("commit"),
    }
    return {what: str(v) for what, v in recorded.items() if v not in (None, "")}
