"""The summary as a table, one line per setting and attack: as Markdown, as CSV."""

import csv
import io
from collections.abc import Sequence

from vfljax.reports.layout import (
    NOTHING,
    SETTING_COLUMNS,
    Column,
    Layout,
    attack_cell,
    choose_columns,
    footnotes,
    main_cell,
    mark_fewer,
    markdown,
    percent,
    text_cell,
)
from vfljax.reports.statistics import Summary


def lay_out(summaries: Sequence[Summary]) -> Layout:
    """Chooses the columns of the summary: see `choose_columns`.

    Args:
        summaries: at least one, from `summarize`.

    Returns:
        The constants, the body and the footnotes of the table.

    Raises:
        ValueError: without summaries.
    """
    if not summaries:
        raise ValueError("summaries is empty; allowed: at least one summary")
    layout = choose_columns(_COLUMNS, summaries, ())
    return layout._replace(
        footnotes=footnotes(cell for cells in layout.cells for cell in cells)
    )


def markdown_table(summaries: Sequence[Summary]) -> str:
    """The same table as Markdown: constants, body, footnotes, each its own block."""
    return markdown(lay_out(summaries))


def csv_table(summaries: Sequence[Summary]) -> str:
    """Every field of every summary, in full precision.

    Rates are fractions, not percent; an empty field is None; booleans are `True` and
    `False`; an infinite number is `inf`. Reading a number back with `float` gives
    exactly the number written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Summary._fields)
    writer.writerows(summaries)
    return text.getvalue()


def knows(summary: Summary) -> str:
    """What an attack knows beyond its view, in words; `NOTHING` for a naive one."""
    return summary.knowledge or ("the defense" if summary.is_adaptive else NOTHING)


def matched_cell(summary: Summary) -> str:
    """The rate up to a renaming, and in brackets what blind guesses get of it."""
    rate = percent(summary.matched_mean, summary.matched_low, summary.matched_high)
    if summary.matched_chance is not None:
        rate += f" ({100 * summary.matched_chance:.1f})"
    return mark_fewer(rate, summary.num_matched, summary.num_trials)


def _published_cell(summary: Summary) -> str:
    """The published readout's rate, marked where some trials do not have one."""
    rate = percent(summary.published_mean, None, None)
    return mark_fewer(rate, summary.num_published, summary.num_trials)


def _information_cell(summary: Summary) -> str:
    """Normalized mutual information, and in brackets that of blind guesses."""
    if summary.information_mean is None:
        return NOTHING
    text = f"{summary.information_mean:.2f}"
    if summary.information_chance is None:
        return text
    return f"{text} ({summary.information_chance:.2f})"


def _seconds_cell(summary: Summary) -> str:
    """Median seconds with three significant digits."""
    return NOTHING if summary.seconds is None else f"{summary.seconds:.3g}"


_COLUMNS = (
    *SETTING_COLUMNS,
    Column("attack", text_cell("attack"), is_number=False),
    Column("knows", knows, is_number=False),
    Column("trials", text_cell("num_trials"), is_number=True),
    Column("failed", text_cell("num_failed"), is_number=True),
    Column("attack %", attack_cell, is_number=True, is_result=True),
    Column("published %", _published_cell, is_number=True, is_result=True),
    Column("chance %", lambda row: percent(row.chance, None, None), True, True),
    Column("up to names % (chance)", matched_cell, True, True),
    Column("information (chance)", _information_cell, True, True),
    Column("main task %", main_cell, is_number=True, is_result=True),
    Column("s/trial", _seconds_cell, is_number=True, is_result=True),
)
