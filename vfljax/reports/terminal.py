"""The tables for a terminal: verdict, summary with a column per attack, budget."""

from collections.abc import Sequence
from textwrap import fill

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vfljax.reports.layout import NOTHING, SHORT_VIEWS, Layout
from vfljax.reports.statistics import Summary
from vfljax.reports.tables import lay_out
from vfljax.reports.verdict import lay_out_short_verdict

_PER_ATTACK = (
    "view",
    "attack",
    "knows",
    "failed",
    "attack %",
    "published %",
    "up to names % (chance)",
    "information (chance)",
    "s/trial",
)
_WIDTH = 100  # of the terminal that tables are laid out for


def terminal_table(summaries: Sequence[Summary]) -> Group:
    """The summary for a rich console: constants, table, footnotes.

    A line per setting, a column per attack; attacks that do not fit beside the others
    get a table of their own below. Rates are percent with the half-width of their 95 %
    interval; the published readout of an attack has a column of its own where it is off
    by more than 5 points. That and the other numbers are in the Markdown and CSV
    tables for all.
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
    settings = [
        (heading, is_number)
        for heading, is_number, is_in in zip(
            layout.headings, layout.is_number, is_setting, strict=True
        )
        if is_in
    ]
    headings = list(dict.fromkeys(name for row in rows.values() for name in row))
    parts: list[RenderableType] = [
        _table_of_attacks(settings, some, rows)
        for some in _side_by_side(settings, headings, rows)
    ]
    return _group(layout, parts)


def terminal_verdict(summaries: Sequence[Summary]) -> Group:
    """The verdict for a rich console: constants, table, which attacks, footnotes."""
    layout, key = lay_out_short_verdict(summaries)
    return _group(layout, [_plain_table(layout), Text("\n".join(key))])


def terminal_layout(layout: Layout) -> Group:
    """Any other table for a rich console."""
    return _group(layout, [_plain_table(layout)])


def _group(layout: Layout, parts: list[RenderableType]) -> Group:
    """Constants above, footnotes below."""
    if layout.constants:
        parts = [Text(layout.constants_line), *parts]
    return Group(*parts, *(Text(note, style="dim") for note in layout.footnotes))


def _plain_table(layout: Layout) -> Table:
    """A table as laid out, its view in one word, a heading as wide as its numbers."""
    table = _empty_table()
    columns = zip(*layout.cells, strict=True)
    for heading, is_number, cells in zip(
        layout.headings, layout.is_number, columns, strict=True
    ):
        width = _width([*cells, *heading.split(" ")])
        _add_column(table, fill(heading, width) if is_number else heading, is_number)
    for cells in layout.cells:
        # Text, because a label may hold brackets, which are markup in a plain str.
        table.add_row(*(Text(SHORT_VIEWS.get(cell, cell)) for cell in cells))
    return table


def _table_of_attacks(
    settings: Sequence[tuple[str, bool]],
    headings: Sequence[str],
    rows: dict[tuple[str, ...], dict[str, str]],
) -> Table:
    """The table of some of the attacks."""
    table = _empty_table()
    for heading, is_number in settings:
        words = heading.replace(" ", "\n") if is_number else heading
        _add_column(table, words, is_number)
    for heading in headings:
        _add_column(table, heading, is_number=True)
    for setting, row in rows.items():
        if any(name in row for name in headings):
            cells = (*setting, *(row.get(name, NOTHING) for name in headings))
            table.add_row(*map(Text, cells))
    return table


def _side_by_side(
    settings: Sequence[tuple[str, bool]],
    headings: Sequence[str],
    rows: dict[tuple[str, ...], dict[str, str]],
) -> list[list[str]]:
    """The attacks' columns in groups that fit beside the settings, at least one each.

    A setting in words may fold to the width of its longest word.
    """
    room = _WIDTH
    for index, (heading, is_number) in enumerate(settings):
        words = [word for row in rows for word in row[index].split(" ")]
        texts = [row[index] for row in rows] if is_number else words
        room -= 1 + _width([*texts, *heading.split(" ")])
    groups: list[list[str]] = [[]]
    left = room
    for heading in headings:
        cells = [row[heading] for row in rows.values() if heading in row]
        width = 1 + _width([*cells, *heading.split("\n")])
        if width > left and groups[-1]:
            groups.append([])
            left = room
        groups[-1].append(heading)
        left -= width
    return groups


def _width(texts: Sequence[str]) -> int:
    return max(map(len, texts))


def _heading(summary: Summary) -> str:
    """The attack in few columns, with the view that it is for."""
    view = SHORT_VIEWS.get(summary.view, summary.view)
    words = summary.attack.replace("_", "\n")
    return f"{words}\n{view}\nadaptive" if summary.is_adaptive else f"{words}\n{view}"


def _differs(summary: Summary, summaries: Sequence[Summary]) -> bool:
    """Whether the published readout of this attack is off by 5 points anywhere."""
    return any(
        other.published_mean is not None
        and abs(other.published_mean - other.attack_mean) > 0.05
        for other in summaries
        if (other.attack, other.view) == (summary.attack, summary.view)
    )


def _empty_table() -> Table:
    return Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)


def _add_column(table: Table, heading: str, is_number: bool) -> None:
    table.add_column(
        Text(heading),
        justify="right" if is_number else "left",
        no_wrap=is_number,
        overflow="ellipsis" if is_number else "fold",
        vertical="bottom",
    )
