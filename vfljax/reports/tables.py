"""The summary as a table, one line per setting and attack: as Markdown, as CSV."""

import csv
import io
from collections.abc import Sequence

from vfljax.reports.layout import (
    ATTACKER_COLUMNS,
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
from vfljax.reports.rates import FURTHER, Rate
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
    exactly the number written. Each further rate that some attack has is four columns,
    such as `auc_number`, `auc_mean`, `auc_low` and `auc_high`.
    """
    names = [name for name in Summary._fields if name != "further"]
    further = [name for name in FURTHER if any(s.rate(name).number for s in summaries)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [*names, *(f"{name}_{end}" for name in further for end in Rate._fields)]
    )
    for summary in summaries:
        fields = [getattr(summary, name) for name in names]
        writer.writerow([*fields, *(v for name in further for v in summary.rate(name))])
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


def _auc_cell(summary: Summary) -> str:
    """The area under the curve, with the half-width of its interval."""
    auc = summary.rate("auc")
    if auc.mean is None:
        return NOTHING
    text = f"{auc.mean:.2f}"
    if auc.low is not None and auc.high is not None:
        text += f" ± {max(auc.mean - auc.low, auc.high - auc.mean):.2f}"
    return mark_fewer(text, auc.number, summary.num_trials)


def _seconds_cell(summary: Summary) -> str:
    """Median seconds with three significant digits."""
    return NOTHING if summary.seconds is None else f"{summary.seconds:.3g}"


_COLUMNS = (
    *SETTING_COLUMNS,
    Column("attack", text_cell("attack"), is_number=False),
    *ATTACKER_COLUMNS,
    Column("knows", knows, is_number=False),
    Column("trials", text_cell("num_trials"), is_number=True),
    Column("failed", text_cell("num_failed"), is_number=True),
    Column("attack %", attack_cell, is_number=True, is_result=True),
    Column("AUC", _auc_cell, is_number=True, is_result=True),
    Column("published %", _published_cell, is_number=True, is_result=True),
    Column("chance %", lambda row: percent(row.chance, None, None), True, True),
    Column("up to names % (chance)", matched_cell, True, True),
    Column("information (chance)", _information_cell, True, True),
    Column("main task %", main_cell, is_number=True, is_result=True),
    Column("s/trial", _seconds_cell, is_number=True, is_result=True),
)
