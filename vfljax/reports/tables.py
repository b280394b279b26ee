"""The summary as a table, one line per setting and attack: as Markdown, as CSV."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from vfljax.reports.statistics import Summary

BELOW_CHANCE = "†"
FEWER_TRIALS = "‡"
NOTHING = "-"


class _Column(NamedTuple):
    """One column: its heading, its cell, and whether it is a result or a setting."""

    heading: str
    cell: Callable[[Summary], str]
    is_number: bool
    is_result: bool = False


class Layout(NamedTuple):
    """A table before it is drawn.

    Attributes:
        constants: heading and value of each column that never varies.
        headings: the columns of the body.
        is_number: whether a column is aligned to the right.
        cells: one tuple of texts per summary.
        footnotes: what the marks in the cells mean.
    """

    constants: list[tuple[str, str]]
    headings: list[str]
    is_number: list[bool]
    cells: list[tuple[str, ...]]
    footnotes: list[str]

    @property
    def constants_line(self) -> str:
        """What holds for every row, as one line."""
        return ", ".join(f"{heading}: {value}" for heading, value in self.constants)


def lay_out(summaries: Sequence[Summary]) -> Layout:
    """Chooses the columns: what never varies is said once, outside the body.

    Results (rates and seconds) stay in the body even if they never vary, because a rate
    is read beside its chance level; a result that no row has is left out.

    Args:
        summaries: at least one, from `summarize`.

    Returns:
        The constants, the body and the footnotes of the table.

    Raises:
        ValueError: without summaries.
    """
    if not summaries:
        raise ValueError("summaries is empty; allowed: at least one summary")
    constants: list[tuple[str, str]] = []
    columns: list[_Column] = []
    for column in _COLUMNS:
        values = {column.cell(summary) for summary in summaries}
        if len(values) > 1 or (column.is_result and values != {NOTHING}):
            columns.append(column)
        elif values != {NOTHING}:
            constants.append((column.heading, values.pop()))
    return Layout(
        constants=constants,
        headings=[column.heading for column in columns],
        is_number=[column.is_number for column in columns],
        cells=[tuple(column.cell(row) for column in columns) for row in summaries],
        footnotes=_footnotes(summaries),
    )


def markdown_table(summaries: Sequence[Summary]) -> str:
    """The same table as Markdown: constants, body, footnotes, each its own block."""
    layout = lay_out(summaries)
    lines = [_markdown_row(layout.headings)]
    lines.append(
        _markdown_row("---:" if right else "---" for right in layout.is_number)
    )
    lines += [_markdown_row(cells) for cells in layout.cells]
    blocks = [
        layout.constants_line,
        "\n".join(lines),
        *layout.footnotes,
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def csv_table(summaries: Sequence[Summary]) -> str:
    """Every field of every summary, in full precision.

    Rates are fractions, not percent; an empty field is None; booleans are `True` and
    `False`. Reading a number back with `float` gives exactly the number written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Summary._fields)
    writer.writerows(summaries)
    return text.getvalue()


def percent(mean: float | None, low: float | None, high: float | None) -> str:
    """A rate as percent with the half-width of its interval: `97.3 ± 0.8`.

    Where an end of the interval is clipped at 0 or 1, the half-width is that towards
    the other end.

    >>> percent(0.973, 0.965, 0.981)
    '97.3 ± 0.8'
    >>> percent(0.7, 0.2, 1.0)
    '70.0 ± 50.0'
    >>> percent(0.5, None, None)
    '50.0'
    """
    if mean is None:
        return NOTHING
    if low is None or high is None:
        return f"{100 * mean:.1f}"
    return f"{100 * mean:.1f} ± {100 * max(mean - low, high - mean):.1f}"


def _text(name: str) -> Callable[[Summary], str]:
    """The cell of a field shown as it is."""

    def cell(summary: Summary) -> str:
        value: Any = getattr(summary, name)
        return NOTHING if value is None else str(value)

    return cell


def _attack_cell(summary: Summary) -> str:
    """The attack's rate, marked where it is below blind guessing."""
    rate = percent(summary.attack_mean, summary.attack_low, summary.attack_high)
    return f"{rate} {BELOW_CHANCE}" if summary.below_chance else rate


def _published_cell(summary: Summary) -> str:
    """The published readout's rate, marked where some trials do not have one."""
    rate = percent(summary.published_mean, None, None)
    return _mark_fewer(rate, summary.num_published, summary.num_trials)


def _main_cell(summary: Summary) -> str:
    """The main task's rate, marked where some trials do not have one."""
    rate = percent(summary.main_mean, summary.main_low, summary.main_high)
    return _mark_fewer(rate, summary.num_main, summary.num_trials)


def _mark_fewer(rate: str, num_with: int, num_trials: int) -> str:
    """Marks a mean over some of the trials only."""
    return f"{rate} {FEWER_TRIALS}" if 0 < num_with < num_trials else rate


def _seconds_cell(summary: Summary) -> str:
    """Median seconds with three significant digits."""
    return NOTHING if summary.seconds is None else f"{summary.seconds:.3g}"


def _footnotes(summaries: Sequence[Summary]) -> list[str]:
    """The meaning of the marks in use."""
    notes = []
    if any(summary.below_chance for summary in summaries):
        notes.append(
            f"{BELOW_CHANCE} below chance, even below blind uniform guessing (1 / "
            "classes): the attacker knows more than nothing — read it as leakage, not "
            "protection. (Only where one class is rarer than the others can a blind "
            "guess do as badly.)"
        )
    if any(
        0 < count < summary.num_trials
        for summary in summaries
        for count in (summary.num_published, summary.num_main)
    ):
        notes.append(f"{FEWER_TRIALS} mean over the trials that have this number only.")
    return notes


def _markdown_row(cells: Iterable[str]) -> str:
    """One line of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


_COLUMNS = (
    _Column("dataset", _text("dataset"), is_number=False),
    _Column("parties", _text("num_parties"), is_number=True),
    _Column("protocol", _text("protocol"), is_number=False),
    _Column("view", _text("view"), is_number=False),
    _Column("step", _text("train_step"), is_number=True),
    _Column("batch", _text("batch_size"), is_number=True),
    _Column("classes", _text("num_classes"), is_number=True),
    _Column("defense", _text("defense_label"), is_number=False),
    _Column("attack", _text("attack"), is_number=False),
    _Column("trials", _text("num_trials"), is_number=True),
    _Column("failed", _text("num_failed"), is_number=True),
    _Column("attack %", _attack_cell, is_number=True, is_result=True),
    _Column("published %", _published_cell, is_number=True, is_result=True),
    _Column("chance %", lambda row: percent(row.chance, None, None), True, True),
    _Column("main task %", _main_cell, is_number=True, is_result=True),
    _Column("s/trial", _seconds_cell, is_number=True, is_result=True),
)
