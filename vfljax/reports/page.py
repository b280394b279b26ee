"""The report as one page that needs nothing else: no script, no font, no request."""

import html
import json
import re
from collections.abc import Mapping

from vfljax.reports.contents import HOW_TO_READ, Part, Report
from vfljax.reports.table import to_html
from vfljax.reports.words import Finding

_HOW = "How this was computed, and how to compute it again"
_SMALLEST = 0.75  # of a picture's own width, before it scrolls


def make_page(report: Report, pictures: Mapping[str, str]) -> str:
    """The whole page.

    Args:
        report: what it says.
        pictures: by the name of a panel, its figure as matplotlib writes SVG.

    Returns:
        HTML; the same for the same arguments.
    """
    links = [(part.panel.name, part.panel.title) for part in report.parts]
    links.append(("how", _HOW))
    sections = [_section(part, pictures.get(part.panel.name)) for part in report.parts]
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            '<link rel="icon" href="data:,">',
            f"<title>{_text(report.title)}</title>",
            f"<style>{_STYLE}</style>\n</head>\n<body>",
            f"<header><h1>{_text(report.title)}</h1>",
            f"<p>{_text(report.opening)}</p></header>",
            f"<main>\n{_answer(report)}",
            f'<nav aria-label="Contents"><ul>{"".join(map(_link, links))}</ul></nav>',
            *sections,
            f"{_how(report)}\n</main>\n</body>\n</html>\n",
        ]
    )


def embed(svg: str, name: str, title: str, words: str) -> str:
    """A picture of matplotlib's for a page: named, described, with ids of its own.

    Args:
        svg: as matplotlib writes it.
        name: distinct among the page's pictures.
        title: what it is.
        words: what it shows.

    Returns:
        An `svg` element. It shrinks with the page down to a width at which its text is
        legible, and keeps that.
    """
    start = svg.index("<svg")
    end = svg.index(">", start)
    body = re.sub(r"<metadata>.*?</metadata>", "", svg[end + 1 :], flags=re.DOTALL)
    for pattern in (r'( id=")', r'(href="#)', r"(url\(#)"):
        body = re.sub(pattern, rf"\g<1>{name}-", body)
    width, height, box = (
        re.search(rf'{attribute}="([^"]+)"', svg[start:end])
        for attribute in ("width", "height", "viewBox")
    )
    if width is None or height is None or box is None:
        raise ValueError("svg has no width, height or viewBox; allowed: matplotlib's")
    pixels = float(width[1].removesuffix("pt")) * 4 / 3
    return (
        f'<svg viewBox="{box[1]}" role="img" '
        f'aria-labelledby="{name}-title {name}-desc" '
        'xmlns="http://www.w3.org/2000/svg" '
        'xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'style="width:{pixels:.0f}px;min-width:{_SMALLEST * pixels:.0f}px">'
        f'<title id="{name}-title">{_text(title)}</title>'
        f'<desc id="{name}-desc">{_text(words)}</desc>{body.strip()}'
    )


def _answer(report: Report) -> str:
    """What leaks under each threat model and what to do about it."""
    parts = ['<section class="answer" aria-label="The answer">']
    for finding in report.findings:
        parts.append(
            f'<article class="{finding.kind}"><h2>{_text(finding.title)}</h2>'
            f"{_bar(finding)}<p>{_text(finding.found)}</p>"
            f'<p class="verdict">{_text(finding.verdict)}</p>'
            f"<p>{_text(finding.reasons)}</p></article>"
        )
    if report.rule:
        parts.append(f'<p class="rule">{_text(report.rule)}</p>')
    parts += [f'<p class="caveat">{_text(text)}</p>' for text in report.caveats]
    return "\n".join([*parts, "</section>"])


def _bar(finding: Finding) -> str:
    """How much leaks without a defense, with a mark at chance; the words say it too."""
    if finding.rate is None or finding.chance is None:
        return ""
    return (
        '<div class="bar" aria-hidden="true">'
        f'<span class="rate" style="width:{100 * finding.rate:.1f}%"></span>'
        f'<span class="chance" style="left:{100 * finding.chance:.1f}%"></span></div>'
    )


def _section(part: Part, svg: str | None) -> str:
    """One panel."""
    panel = part.panel
    parts = [f'<section id="{panel.name}"><h2>{_text(panel.title)}</h2>']
    if svg is not None:
        picture = embed(svg, f"picture-{panel.name}", panel.title, panel.caption)
        parts.append(
            f'<figure><div class="scroll" role="region" tabindex="0" '
            f'aria-label="{_text(panel.title)}, picture">{picture}</div>'
            f"<figcaption>{_text(panel.caption)}</figcaption></figure>"
        )
    if part.table is not None:
        parts.append(to_html(part.table, f"{panel.title}, table"))
    if part.notes:
        notes = "".join(f"<li>{_text(note)}</li>" for note in part.notes)
        parts.append(f'<ul class="notes">{notes}</ul>')
    return "\n".join([*parts, "</section>"])


def _how(report: Report) -> str:
    """Everything that is needed to compute the run again."""
    lines = "".join(
        f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in report.how
    )
    config = json.dumps(report.config, indent=1, ensure_ascii=False)
    return (
        f'<section id="how"><h2>{_HOW}</h2><p>{_text(HOW_TO_READ)}</p><dl>{lines}</dl>'
        "<details><summary>The whole configuration (config.json)</summary>"
        f'<pre class="scroll" tabindex="0">{_text(config)}</pre></details></section>'
    )


def _link(link: tuple[str, str]) -> str:
    name, title = link
    return f'<li><a href="#{name}">{_text(title)}</a></li>'


def _text(words: str) -> str:
    return html.escape(words, quote=True)


_STYLE = """
:root {
  --page: #fbfaf7; --card: #ffffff; --ink: #1d2430; --soft: #5b6472;
  --line: #dcd8cf; --accent: #0b5fa5; --good: #1a7f4b; --bad: #b3452c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171c; --card: #1c2027; --ink: #e6e3dc; --soft: #a3a9b4;
    --line: #343a45; --accent: #7cb8ee; --good: #5cc48e; --bad: #ee8b70;
  }
  figure svg { filter: invert(0.9) hue-rotate(180deg); }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 70rem;
  background: var(--page); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans",
    "DejaVu Sans", sans-serif;
  overflow-wrap: break-word;
}
h1 { font-size: clamp(1.6rem, 1.2rem + 2vw, 2.3rem); line-height: 1.2; margin: 0;
  text-wrap: balance; }
h2 { font-size: 1.25rem; line-height: 1.3; margin: 0 0 0.75rem; }
header p { color: var(--soft); font-size: 1.05rem; margin: 0.75rem 0 2rem; }
p, li, figcaption { max-width: 46rem; }
main > section { margin-top: 3rem; }
.answer {
  display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr));
}
.answer > p { grid-column: 1 / -1; margin: 0; color: var(--soft); font-size: 0.9rem; }
article {
  background: var(--card); border: 1px solid var(--line); border-radius: 0.6rem;
  border-top: 4px solid var(--bad); padding: 1rem 1.2rem;
}
article.take { border-top-color: var(--good); }
article.open { border-top-color: var(--soft); }
.bar { position: relative; height: 0.6rem; border-radius: 0.3rem;
  background: var(--line); margin: 0.2rem 0 0.8rem; }
.bar .rate { position: absolute; inset: 0 auto 0 0; border-radius: 0.3rem;
  background: var(--accent); }
.bar .chance { position: absolute; inset: -0.2rem auto; width: 3px;
  margin-left: -1px; background: var(--ink); }
article p { margin: 0.5rem 0 0; }
.verdict { font-weight: 600; }
nav { margin-top: 2rem; border-block: 1px solid var(--line); }
nav ul { display: flex; flex-wrap: wrap; gap: 0.3rem 1.4rem; padding: 0.7rem 0;
  margin: 0; list-style: none; font-size: 0.95rem; }
a { color: var(--accent); }
.scroll { overflow-x: auto; max-width: 100%; }
.scroll:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
figure { margin: 0 0 1.5rem; }
figure .scroll { background: var(--card); border: 1px solid var(--line);
  border-radius: 0.6rem; padding: 0.75rem; }
figure svg { display: block; max-width: 100%; height: auto; margin: 0 auto; }
figcaption { color: var(--soft); font-size: 0.9rem; margin-top: 0.6rem; }
table { border-collapse: collapse; font-size: 0.88rem; line-height: 1.35; }
th { text-align: left; vertical-align: bottom; font-weight: 600;
  border-bottom: 2px solid var(--line); }
td { border-bottom: 1px solid var(--line); vertical-align: top; }
th, td { padding: 0.4rem 0.9rem 0.4rem 0; min-width: 3.5rem; }
td:not(.number) { max-width: 24rem; min-width: 6.5rem; }
.group th { padding-top: 1.2rem; border-bottom-width: 1px; }
.group th::first-letter { text-transform: uppercase; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
th.number { white-space: normal; }
.constants, .footnote, .notes, .caveat { color: var(--soft); font-size: 0.9rem; }
.footnote { margin: 0.5rem 0 0; }
.notes { padding-left: 1.2rem; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr);
  gap: 0.3rem 1.5rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: 0.6rem;
  padding: 1rem; font-size: 0.8rem; }
summary { cursor: pointer; }
@media (max-width: 30rem) {
  body { padding: 1.5rem 1rem 3rem; }
  dl { grid-template-columns: minmax(0, 1fr); gap: 0; }
  dd { margin-bottom: 0.6rem; }
}
@media print {
  :root { --page: #fff; --card: #fff; --ink: #000; --soft: #333; --line: #bbb;
    --accent: #000; --good: #1a7f4b; --bad: #b3452c; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav, details { display: none; }
  .scroll { overflow: visible; }
  figure svg { min-width: 0 !important; filter: none; }
  table { font-size: 7pt; }
  th, td, td:not(.number) { padding: 0.15rem 0.5rem 0.15rem 0; min-width: 0; }
  .number { white-space: normal; }
  figure, article, tr { break-inside: avoid; }
  h2 { break-after: avoid; }
}
"""
