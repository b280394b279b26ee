"""What a report is written from: a run, its settings, and the panels it can fill."""

from typing import NamedTuple

from vfljax.experiments.records import Run
from vfljax.reports.frame import Frame, summarize
from vfljax.reports.panels import PANELS, Part

HOW_TITLE = "How this was computed, and how to compute it again"
HOW_TO_READ = (
    "Rates are means over trials ± half-width of the 95 % Student-t interval of the "
    "per-trial rates, cut off at 0 and 100. A single trial has no interval; ± 0.0 says "
    "that all trials agreed, not that the next one must."
)


class Report(NamedTuple):
    """A run, one row per setting of it, and the panels that it has something for."""

    run: Run
    frame: Frame
    parts: list[Part]


def make_report(run: Run) -> Report:
    """Fills the panels of a run.

    Raises:
        ValueError: if it has no rows, or `summarize` does not take them.
    """
    frame = summarize(run.rows)._replace(engines=run.engines)
    filled = (panel.fill(frame, title_of(run)) for panel in PANELS)
    return Report(run, frame, [part for part in filled if part])


def title_of(run: Run) -> str:
    """The experiment's title, else its name."""
    return run.config.get("title") or run.config.get("name") or "Untitled experiment"


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
