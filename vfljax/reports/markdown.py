"""The report as Markdown."""

from vfljax.reports.contents import HOW_TO_READ, Report
from vfljax.reports.table import to_markdown


def markdown(report: Report) -> str:
    """The text of summary.md."""
    blocks = [f"# {report.title}", report.opening]
    blocks += [
        f"**{f.title}.** {f.found} **{f.verdict}** {f.reasons}".strip()
        for f in report.findings
    ]
    blocks += [text for text in (report.rule, *report.caveats) if text]
    for part in report.parts:
        name = part.panel.name
        blocks.append(f"## {part.panel.title}")
        if part.figure is not None:
            blocks.append(f"![{part.panel.title}]({name}.png)")
            blocks.append(f"{part.panel.caption} ([PDF]({name}.pdf))")
        if part.table is not None:
            blocks.append(to_markdown(part.table))
        if part.notes:
            blocks.append("\n".join(f"- {note}" for note in part.notes))
    blocks.append("## How this was computed, and how to compute it again")
    blocks.append(HOW_TO_READ)
    blocks.append("\n".join(f"- {name}: {value}" for name, value in report.how))
    return "\n\n".join(blocks) + "\n"
