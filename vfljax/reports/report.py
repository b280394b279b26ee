"""The report of a run folder: page, Markdown, all numbers, figures; and its answer."""

import os
from pathlib import Path

from rich.console import Console
from rich.text import Text

from vfljax.experiments.records import Run, read_run
from vfljax.reports.columns import ENDS, RATES
from vfljax.reports.drawing import picture
from vfljax.reports.frame import Frame
from vfljax.reports.page import HOW_TITLE, HOW_TO_READ, Report, make_page, make_report
from vfljax.reports.panels.defenses import table as defense_table
from vfljax.reports.table import to_markdown, to_rich

_MOST_LINES = 40  # of the table on a terminal


def write_report(run_dir: Path) -> list[Path]:
    """Writes the report of a run into the folder `report` inside the run's folder.

    The report is `report.html` (one page that needs nothing else), `summary.md` (the
    same, with the figures by relative link), `summary.csv` (every number in full
    precision), and each figure that the run's rows can fill as `.png` and `.pdf`. It
    depends on the run's records only: writing it again gives the same bytes. Each file
    appears complete or not at all.

    Args:
        run_dir: folder with `config.json`, `environment.json` and `trials.jsonl`.

    Returns:
        The files written, `report.html` first.

    Raises:
        ValueError: if the run has no rows.
    """
    run = read_run(run_dir)
    if not run.rows:
        raise ValueError(f"run_dir {run_dir}: must have at least one finished trial")
    out_dir = run_dir / "report"
    out_dir.mkdir(exist_ok=True)
    report = make_report(run)
    written = {
        "report.html": make_page(report).encode(),
        "summary.md": markdown(report).encode(),
        "summary.csv": csv(report.frame).encode(),
    }
    for part in report.parts:
        if part.figure:
            written[f"{part.panel.name}.png"] = picture(part.figure, "png")
            written[f"{part.panel.name}.pdf"] = picture(part.figure, "pdf")
    # The texts last, so that they never link to a picture not yet there.
    for name in reversed(written):
        temporary = out_dir / f".{name}.{os.getpid()}.tmp"
        temporary.write_bytes(written[name])
        temporary.replace(out_dir / name)
    return [out_dir / name for name in written]


def print_summary(run: Run, console: Console) -> None:
    """Prints the answer in words, one table, and where the rest is.

    Raises:
        ValueError: if the run has no rows.
    """
    report = make_report(run, panels=())
    console.print(Text(report.title, style="bold"))
    console.print(Text(report.opening))
    for found in report.findings:
        console.print()
        console.print(Text(f"{found.title}. ", style="bold") + Text(found.found))
        console.print(Text(f"{found.verdict} {found.reasons}".strip()))
    table = defense_table(report.frame, is_short=True)
    console.print(to_rich(table._replace(cells=table.cells[:_MOST_LINES])))
    if len(table.cells) > _MOST_LINES:
        console.print(Text(f"and {len(table.cells) - _MOST_LINES} more lines."))
    for note in (*table.footnotes, *report.remarks):
        console.print(Text(note, style="dim"))
    console.print(Text("Everything else: report/report.html in the run folder."))


def markdown(report: Report) -> str:
    """The text of summary.md."""
    blocks = [f"# {report.title}", report.opening]
    for found in report.findings:
        text = f"**{found.title}.** {found.found} **{found.verdict}** {found.reasons}"
        blocks.append(text.strip())
    blocks += report.remarks
    for panel, figure, table, notes in report.parts:
        blocks.append(f"## {panel.title}")
        if figure:
            blocks.append(f"![{panel.title}]({panel.name}.png)")
            blocks.append(f"{panel.caption} ([PDF]({panel.name}.pdf))")
        if table:
            blocks.append(to_markdown(table))
        if notes:
            blocks.append("\n".join(f"- {note}" for note in notes))
    how = "\n".join(f"- {name}: {value}" for name, value in report.how.items())
    return "\n\n".join([*blocks, f"## {HOW_TITLE}", HOW_TO_READ, how]) + "\n"


def csv(frame: Frame) -> str:
    """Every column of the summary in full precision; no rate or goal that no row has.

    Rates are fractions, not percent; an empty field is null; booleans are `true` and
    `false`; an infinite number is `inf`. A number is read back exactly.
    """
    absent = [name for name in ("goal", *RATES) if not frame.has(name)]
    ends = [f"{name}_{end}" for name in absent for end in ENDS]
    return frame.summary.drop(absent, ends, strict=False).write_csv()
