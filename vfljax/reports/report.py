"""The report of a run folder: page, Markdown, all numbers, figures; and its answer."""

import os
from pathlib import Path

from rich.console import Console
from rich.text import Text

from vfljax.experiments.records import Run, read_run
from vfljax.reports import contents, words
from vfljax.reports.columns import ENDS, RATES
from vfljax.reports.drawing import picture
from vfljax.reports.frame import Frame, summarize
from vfljax.reports.page import make_page
from vfljax.reports.panels.defenses import table as defense_table
from vfljax.reports.table import to_markdown, to_rich

PAGE = "report/report.html"
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
    run_dir = Path(run_dir)
    run = read_run(run_dir)
    if not run.rows:
        raise ValueError(
            f"run_dir {run_dir} has no trials in trials.jsonl; allowed: a run with at "
            "least one finished trial"
        )
    out_dir = run_dir / "report"
    out_dir.mkdir(exist_ok=True)
    report = contents.make_report(run)
    written = {
        "report.html": make_page(report).encode(),
        "summary.md": markdown(report).encode(),
        "summary.csv": csv(report.frame).encode(),
    }
    for part in report.parts:
        if part.figure is not None:
            for ending in ("png", "pdf"):
                name = f"{part.panel.name}.{ending}"
                written[name] = picture(part.figure, ending)
    # The texts last, so that they never link to a picture not yet there.
    for name in reversed(written):
        _replace(out_dir / name, written[name])
    return [out_dir / name for name in written]


def print_summary(run: Run, console: Console) -> None:
    """Prints the answer in words, one table, and where the rest is.

    Args:
        run: a run as read from its folder.
        console: where to print.

    Raises:
        ValueError: if the run has no rows.
    """
    frame = summarize(run.rows)
    console.print(Text(contents.title_of(run), style="bold"))
    console.print(Text(words.opening(frame)))
    for found in words.findings(frame.summary):
        console.print()
        console.print(Text(f"{found.title}. ", style="bold") + Text(found.found))
        console.print(Text(f"{found.verdict} {found.reasons}".strip()))
    table = defense_table(frame, is_short=True)
    console.print(to_rich(table._replace(cells=table.cells[:_MOST_LINES])))
    if len(table.cells) > _MOST_LINES:
        console.print(Text(f"and {len(table.cells) - _MOST_LINES} more lines."))
    for note in (*table.footnotes, *words.remarks(frame)):
        console.print(Text(note, style="dim"))
    console.print(Text(f"Everything else: {PAGE} in the run folder."))


def markdown(report: contents.Report) -> str:
    """The text of summary.md."""
    blocks = [f"# {contents.title_of(report.run)}", words.opening(report.frame)]
    for found in words.findings(report.frame.summary):
        text = f"**{found.title}.** {found.found} **{found.verdict}** {found.reasons}"
        blocks.append(text.strip())
    blocks += words.remarks(report.frame)
    for part in report.parts:
        name, title = part.panel.name, part.panel.title
        blocks.append(f"## {title}")
        if part.figure is not None:
            blocks.append(f"![{title}]({name}.png)")
            blocks.append(f"{part.panel.caption} ([PDF]({name}.pdf))")
        if part.table is not None:
            blocks.append(to_markdown(part.table))
        if part.notes:
            blocks.append("\n".join(f"- {note}" for note in part.notes))
    blocks += [f"## {contents.HOW_TITLE}", contents.HOW_TO_READ]
    how = contents.how_computed(report.run).items()
    blocks.append("\n".join(f"- {name}: {value}" for name, value in how))
    return "\n\n".join(blocks) + "\n"


def csv(frame: Frame) -> str:
    """Every column of the summary but the rates that no row has, in full precision.

    Rates are fractions, not percent; an empty field is null; booleans are `true` and
    `false`; an infinite number is `inf`. Reading a number back gives exactly the number
    written.
    """
    absent = [name for name in RATES if not frame.has(name)]
    ends = [f"{name}_{end}" for name in absent for end in ENDS]
    return frame.summary.drop(absent, ends).write_csv()


def _replace(path: Path, content: bytes) -> None:
    """Writes a file so that it is never seen half written."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
