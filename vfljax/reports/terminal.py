"""The tables for a terminal: verdict, summary with a column per attack, budget."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vfljax.reports.completion import lay_out_short_completion
from vfljax.reports.fitting import column_widths, fit, without_repeats, wrap
from vfljax.reports.layout import NOTHING, SHORT_VIEWS, Layout
from vfljax.reports.statistics import Summary
from vfljax.reports.tables import lay_out
from vfljax.reports.verdict import lay_out_short_verdict

_PER_ATTACK = (
    "view",
    "attack",
    "known per class",
    "knows",
    "failed",
    "attack %",
    "AUC",
    "published %",
    "up to names % (chance)",
    "information (chance)",
    "s/trial",
)
_WIDTH = 100  # of a terminal of unknown width


def terminal_table(summaries: Sequence[Summary], width: int = _WIDTH) -> Group:
    """The summary for a rich console: constants, table, footnotes.

    A line per setting, a column per attack; attacks that do not fit beside the others
    get a table of their own below. Rates are percent with the half-width of their 95 %
    interval; the published readout of an attack has a column of its own where it is off
    by more than 5 points, and so has its area under the curve where there is one. The
    other numbers are in the Markdown and CSV tables.
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
        if summary.rate("auc").number:
            row[f"{heading}\nAUC"] = named["AUC"]
    settings = [
        (heading, is_number)
        for heading, is_number, is_in in zip(
            layout.headings, layout.is_number, is_setting, strict=True
        )
        if is_in
    ]
    headings = list(dict.fromkeys(name for row in rows.values() for name in row))
    parts: list[RenderableType] = [
        _table_of_attacks(settings, some, rows, width)
        for some in _side_by_side(settings, headings, rows, width)
    ]
    return _group(layout, parts)


def terminal_verdict(summaries: Sequence[Summary], width: int = _WIDTH) -> Group:
    """The verdict for a rich console: a table per view, which attacks, footnotes."""
    layout, key = lay_out_short_verdict(summaries)
    whole, parts = fit(layout, width, apart=("view",))
    return _group(whole, [*_parts(parts, width), Text("\n".join(key))])


def terminal_completion(summaries: Sequence[Summary], width: int = _WIDTH) -> Group:
    """The attacks that complete a trained model: one table per score."""
    tables = []
    for number, (layout, spare) in enumerate(lay_out_short_completion(summaries)):
        if number:  # settings are said above the first
            layout = layout._replace(constants=[])
        whole, parts = fit(layout, width, spare=spare)
        tables.append(_group(whole, _parts(map(without_repeats, parts), width)))
    return Group(*tables)


def terminal_layout(layout: Layout, width: int = _WIDTH) -> Group:
    """Any other table for a rich console: one per view."""
    whole, parts = fit(layout, width, apart=("view",))
    return _group(whole, _parts(parts, width))


def _parts(parts: Iterable[Layout], width: int) -> list[RenderableType]:
    """Tables, each below what holds for it alone."""
    drawn: list[RenderableType] = []
    for part in parts:
        if part.constants:
            drawn.append(Text(part.constants_line, style="bold"))
        drawn.append(_plain_table(part, width))
    return drawn


def _group(layout: Layout, parts: list[RenderableType]) -> Group:
    """Constants above, footnotes below."""
    if layout.constants:
        parts = [Text(layout.constants_line), *parts]
    return Group(*parts, *(Text(note, style="dim") for note in layout.footnotes))


def _plain_table(layout: Layout, width: int) -> Table:
    """A table as laid out, in columns as wide as they need and the terminal allows."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    widths = column_widths(layout, width)
    for heading, is_number, column in zip(
        layout.headings, layout.is_number, widths, strict=True
    ):
        table.add_column(
            # Text, because a label may hold brackets, which are markup in a plain str.
            Text(heading if "\n" in heading else wrap(heading, column)),
            justify="right" if is_number else "left",
            no_wrap=True,
            width=column,
            vertical="bottom",
        )
    for cells in layout.cells:
        folded = map(wrap, cells, widths)
        table.add_row(*map(Text, folded))
    return table


def _table_of_attacks(
    settings: Sequence[tuple[str, bool]],
    headings: Sequence[str],
    rows: dict[tuple[str, ...], dict[str, str]],
    width: int,
) -> Table:
    """The table of some of the attacks."""
    layout = Layout(
        constants=[],
        headings=[*(heading for heading, _ in settings), *headings],
        is_number=[
            *(is_number for _, is_number in settings),
            *(True for _ in headings),
        ],
        cells=[
            (*setting, *(row.get(name, NOTHING) for name in headings))
            for setting, row in rows.items()
            if any(name in row for name in headings)
        ],
        footnotes=[],
    )
    return _plain_table(layout, width)


def _side_by_side(
    settings: Sequence[tuple[str, bool]],
    headings: Sequence[str],
    rows: dict[tuple[str, ...], dict[str, str]],
    width: int,
) -> list[list[str]]:
    """The attacks' columns in groups that fit beside the settings, at least one each.

    A setting in words may fold to the width of its longest word.
    """
    room = width
    for index, (heading, is_number) in enumerate(settings):
        words = [word for row in rows for word in row[index].split(" ")]
        texts = [row[index] for row in rows] if is_number else words
        room -= 2 + _width([*texts, *heading.split(" ")])
    groups: list[list[str]] = [[]]
    left = room
    for heading in headings:
        cells = [row[heading] for row in rows.values() if heading in row]
        needed = 2 + _width([*cells, *heading.split("\n")])
        if needed > left and groups[-1]:
            groups.append([])
            left = room
        groups[-1].append(heading)
        left -= needed
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
