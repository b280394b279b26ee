"""The summary for the terminal: a line per setting, a column per attack."""

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vfljax.reports.statistics import Summary
from vfljax.reports.tables import NOTHING, lay_out

_PER_ATTACK = ("view", "attack", "failed", "attack %", "published %", "s/trial")
_VIEWS = {"sample_gradient": "plaintext", "batch_gradient": "encrypted"}


def terminal_table(summaries: Sequence[Summary]) -> Group:
    """The summary for a rich console: constants, one table, footnotes.

    Rates are percent with the half-width of their 95 % interval; the published readout
    of an attack has a column of its own where it is off by more than 5 points. That
    and seconds are in the Markdown and CSV tables for all.
    """
    layout = lay_out(summaries)
    is_setting = [heading not in _PER_ATTACK for heading in layout.headings]
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for summary, cells in zip(summaries, layout.cells, strict=True):
        named = dict(zip(layout.headings, cells, strict=True))
        setting = tuple(
            cell for cell, is_in in zip(cells, is_setting, strict=True) if is_in
        )
        row = rows.setdefault(setting, {})
        heading = _heading(summary)
        row[heading] = named["attack %"]
        if summary.num_failed:
            row[heading] += f" ({summary.num_failed} failed)"
        if _differs(summary, summaries):
            row[f"{heading}\npublished"] = named["published %"]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for heading, is_number, is_in in zip(
        layout.headings, layout.is_number, is_setting, strict=True
    ):
        if is_in:
            _add_column(table, heading, is_number)
    attack_headings = list(dict.fromkeys(name for row in rows.values() for name in row))
    for heading in attack_headings:
        _add_column(table, heading, is_number=True)
    for setting, row in rows.items():
        cells = (*setting, *(row.get(name, NOTHING) for name in attack_headings))
        # Text, because a label may hold brackets, which are markup in a plain str.
        table.add_row(*map(Text, cells))
    parts: list[RenderableType] = [table]
    if layout.constants:
        parts.insert(0, Text(layout.constants_line))
    parts += [Text(note, style="dim") for note in layout.footnotes]
    return Group(*parts)


def _heading(summary: Summary) -> str:
    """The attack in few columns, with the view that it is for."""
    view = _VIEWS.get(summary.view, summary.view)
    words = summary.attack.replace("_", "\n")
    return f"{words}\n{view}"


def _differs(summary: Summary, summaries: Sequence[Summary]) -> bool:
    """Whether the published readout of this attack is off by 5 points anywhere."""
    return any(
        other.published_mean is not None
        and abs(other.published_mean - other.attack_mean) > 0.05
        for other in summaries
        if (other.attack, other.view) == (summary.attack, summary.view)
    )


def _add_column(table: Table, heading: str, is_number: bool) -> None:
    table.add_column(
        Text(heading.replace(" ", "\n") if is_number else heading),
        justify="right" if is_number else "left",
        no_wrap=is_number,
        overflow="ellipsis" if is_number else "fold",
        vertical="bottom",
    )
