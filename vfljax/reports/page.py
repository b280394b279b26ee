"""The report as one page that needs nothing else: no script, no font, no request."""

import html
import json
import re
from importlib.resources import files

from vfljax.reports.contents import HOW_TITLE, HOW_TO_READ, Report
from vfljax.reports.drawing import picture
from vfljax.reports.panels.base import Panel, Part
from vfljax.reports.table import boxed, escape, to_html
from vfljax.reports.words import Finding


def make_page(report: Report) -> str:
    """The whole page as HTML; the same for the same report."""
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


def _card(finding: Finding) -> str:
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
        words = f"<figcaption>{escape(panel.caption)}</figcaption>"
        blocks.append(f"<figure>{box}{words}</figure>")
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
