"""The report as one page that needs nothing else: no script, no font, no request."""

import json
from importlib.resources import files

from vfljax.reports.contents import HOW_TITLE, HOW_TO_READ, Part, Report
from vfljax.reports.picture import inline_svg
from vfljax.reports.table import escape, to_html
from vfljax.reports.words import Finding


def make_page(report: Report) -> str:
    """The whole page as HTML; the same for the same report."""
    style = files("vfljax.reports").joinpath("page.css").read_text("utf-8")
    links = {part.panel.name: part.panel.title for part in report.parts}
    items = "".join(
        f'<li><a href="#{name}">{escape(title)}</a></li>'
        for name, title in {**links, "how": HOW_TITLE}.items()
    )
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            '<link rel="icon" href="data:,">',
            f"<title>{escape(report.title)}</title>",
            f"<style>\n{style}</style>\n</head>\n<body>",
            f"<header><h1>{escape(report.title)}</h1>",
            f"<p>{escape(report.opening)}</p></header>\n<main>",
            '<section aria-label="The answer"><div class="cards">',
            *map(_card, report.findings),
            "</div>",
            *(f'<p class="rule">{escape(remark)}</p>' for remark in report.remarks),
            f'</section>\n<nav aria-label="Contents"><ul>{items}</ul></nav>',
            *map(_section, report.parts),
            f"{_how(report)}\n</main>\n</body>\n</html>\n",
        ]
    )


def _card(finding: Finding) -> str:
    """What leaks under one threat model and what to do about it.

    The bar shows how much leaks, with a mark at chance; the words say it too.
    """
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
    parts = [f'<section id="{panel.name}"><h2>{escape(panel.title)}</h2>']
    if part.figure is not None:
        name = f"picture_{panel.name}"
        svg = inline_svg(part.figure, name, panel.title, panel.caption)
        parts.append(
            '<figure><div class="scroll" role="region" tabindex="0" '
            f'aria-label="{escape(panel.title)}, picture">{svg}</div>'
            f"<figcaption>{escape(panel.caption)}</figcaption></figure>"
        )
    if part.table is not None:
        parts.append(to_html(part.table, f"{panel.title}, table"))
    if part.notes:
        notes = "".join(f"<li>{escape(note)}</li>" for note in part.notes)
        parts.append(f'<ul class="notes">{notes}</ul>')
    return "\n".join([*parts, "</section>"])


def _how(report: Report) -> str:
    """Everything that is needed to compute the run again."""
    lines = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>"
        for name, value in report.how.items()
    )
    config = json.dumps(report.config, indent=1, ensure_ascii=False)
    return (
        f'<section id="how"><h2>{HOW_TITLE}</h2><p>{escape(HOW_TO_READ)}</p>'
        f"<dl>{lines}</dl>"
        "<details><summary>The whole configuration (config.json)</summary>"
        f'<pre class="scroll" tabindex="0">{escape(config)}</pre></details></section>'
    )
