"""The report of a run folder: page, Markdown, all numbers, figures; and its answer."""

import io
import os
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from rich.console import Console
from rich.text import Text

from vfljax.experiments.records import Run, read_run
from vfljax.reports import drawing
from vfljax.reports.columns import ENDS, RATES
from vfljax.reports.contents import make_report, title_of
from vfljax.reports.frame import Frame, summarize
from vfljax.reports.markdown import markdown
from vfljax.reports.page import make_page
from vfljax.reports.panels.defenses import table as defense_table
from vfljax.reports.table import to_rich
from vfljax.reports.words import RULE, caveats, findings, has_defenses, opening

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
    frame = summarize(run.rows)
    report = make_report(run, frame)
    pictures, contents = {}, {}
    for part in report.parts:
        if part.figure is not None:
            name = part.panel.name
            contents[f"{name}.png"] = _drawn(part.figure, "png")
            contents[f"{name}.pdf"] = _drawn(part.figure, "pdf")
            pictures[name] = _drawn(part.figure, "svg").decode()
    # The texts last, so that they never link to a picture not yet there.
    contents |= {
        "summary.csv": csv(frame).encode(),
        "summary.md": markdown(report).encode(),
        "report.html": make_page(report, pictures).encode(),
    }
    for name, content in contents.items():
        _replace(out_dir / name, content)
    return [out_dir / name for name in reversed(contents)]


def print_summary(run: Run, console: Console) -> None:
    """Prints the answer in words, one table, and where the rest is.

    Args:
        run: a run as read from its folder.
        console: where to print.

    Raises:
        ValueError: if the run has no rows.
    """
    frame = summarize(run.rows)
    console.print(Text(title_of(run), style="bold"))
    console.print(Text(opening(frame)))
    for finding in findings(frame.summary):
        console.print()
        console.print(Text(f"{finding.title}. ", style="bold") + Text(finding.found))
        console.print(Text(f"{finding.verdict} {finding.reasons}".strip()))
    if has_defenses(frame):
        console.print(Text(f"\n{RULE}", style="dim"))
    table = defense_table(frame, is_short=True)
    num_left_out = len(table.cells) - _MOST_LINES
    console.print(to_rich(table._replace(cells=table.cells[:_MOST_LINES])))
    if num_left_out > 0:
        console.print(Text(f"and {num_left_out} more lines."))
    for note in (*table.footnotes, *caveats(frame)):
        console.print(Text(note, style="dim"))
    console.print(Text(f"Everything else: {PAGE} in the run folder."))


def csv(frame: Frame) -> str:
    """Every column of the summary that some row has, in full precision.

    Rates are fractions, not percent; an empty field is null; booleans are `true` and
    `false`; an infinite number is `inf`. Reading a number back gives exactly the number
    written.
    """
    absent = [name for name in RATES if not frame.has(name)]
    left_out = [f"{name}{end}" for name in absent for end in ("", *_ends())]
    return frame.summary.drop(left_out).write_csv()


def _ends() -> Sequence[str]:
    return [f"_{end}" for end in ENDS]


def _drawn(figure: Figure, file_format: str) -> bytes:
    """The figure as a file's bytes, the same every time."""
    buffer = io.BytesIO()
    metadata = {
        "pdf": {"CreationDate": None},
        "png": {"Software": None},
        "svg": dict.fromkeys(("Date", "Creator", "Format", "Type")),
    }[file_format]
    look = drawing.LOOK | {"svg.fonttype": "none", "svg.hashsalt": "vfljax"}
    with mpl.rc_context(look):
        figure.savefig(buffer, format=file_format, metadata=metadata)
    return buffer.getvalue()


def _replace(path: Path, content: bytes) -> None:
    """Writes a file so that it is never seen half written."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
