"""What a report says of a run, and the page that says it and needs nothing else."""

import html
import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, NamedTuple

from vfljax.experiments.records import Run
from vfljax.reports import words
from vfljax.reports.drawing import picture
from vfljax.reports.frame import Frame, summarize
from vfljax.reports.panels import PANELS
from vfljax.reports.panels.base import Panel, Part
from vfljax.reports.table import boxed, escape, to_html

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
        "command": run.command or (f"vfljax run {name}" if name else None),
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


def make_page(report: Report) -> str:
    """The whole page as HTML, without script, font or request; always the same."""
    titles = {part.panel.name: part.panel.title for part in report.parts}
    links = {**titles, "how": HOW_TITLE}.items()
    page, style = (
        files("vfljax.reports").joinpath(name).read_text("utf-8")
        for name in ("page.html", "page.css")
    )
    return page.format(
        title=escape(report.title),
        style=style,
        opening=escape(report.opening),
        cards="\n".join(map(_card, report.findings)),
        remarks="\n".join(f'<p class="rule">{escape(r)}</p>' for r in report.remarks),
        links="".join(f'<li><a href="#{at}">{escape(to)}</a></li>' for at, to in links),
        sections="\n".join(map(_section, report.parts)),
        how_title=HOW_TITLE,
        how_to_read=escape(HOW_TO_READ),
        how="".join(
            f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>"
            for name, value in report.how.items()
        ),
        config=escape(json.dumps(report.config, indent=1, ensure_ascii=False)),
    )


def _card(finding: words.Finding) -> str:
    """What leaks under one threat model, in words and as a bar; what to do about it."""
    bar = ""
    if finding.rate is not None and finding.chance is not None:
        bar = (
            '<div class="bar" aria-hidden="true">'
            f'<span class="rate" style="width:{100 * finding.rate:.1f}%"></span>'
            f'<span class="chance" style="left:{100 * finding.chance:.1f}%"></span>'
            "</div>"
        )
    return (
        f'<article class="{finding.kind}"><h2>{escape(finding.title)}</h2>{bar}'
        f"<p>{escape(finding.found)}</p>"
        f'<p class="verdict">{escape(finding.verdict)}</p>'
        f"<p>{escape(finding.reasons)}</p></article>"
    )


def _section(part: Part) -> str:
    """One panel."""
    panel = part.panel
    blocks = [f'<section id="{panel.name}"><h2>{escape(panel.title)}</h2>']
    if part.figure:
        svg = _inline(picture(part.figure, "svg").decode(), panel)
        box = boxed(f"{panel.title}, picture", svg)
        caption = f"<figcaption>{escape(panel.caption)}</figcaption>"
        blocks.append(f"<figure>{box}{caption}</figure>")
    if part.table:
        blocks.append(to_html(part.table, f"{panel.title}, table"))
    if part.notes:
        notes = "".join(f"<li>{escape(note)}</li>" for note in part.notes)
        blocks.append(f'<ul class="notes">{notes}</ul>')
    return "\n".join([*blocks, "</section>"])


def _inline(svg: str, panel: Panel) -> str:
    """A figure as an element, named and described, with ids that no other one has."""
    name = f"picture_{panel.name}"
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    start, rest = svg[svg.index("<svg") :].strip().split(">", 1)
    return (
        f'{start} role="img" aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">{html.escape(panel.title)}</title>'
        f'<desc id="{name}-desc">{html.escape(panel.caption)}</desc>{rest}'
    )
