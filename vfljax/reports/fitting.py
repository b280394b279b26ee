"""Tables for terminals: several where one is too wide, and words never cut."""

import re
from collections.abc import Sequence

from vfljax.reports.layout import NOTHING, SHORT_VIEWS, Layout

# By which settings a table is taken apart, in this order, until its parts fit.
_APART = (
    "dataset",
    "protocol",
    "parties",
    "variant",
    "classes",
    "batch",
    "step",
)
# Said above a table, if all its lines agree.
_SAID_ABOVE = (*_APART, "view", "known per class", "optimizer", "trials", "chance %")
# A setting on the right is left out of a narrow table where one on the left tells it.
_TOLD_BY = {
    "variant": ("dataset", "protocol", "parties", "classes", "batch", "step"),
    "attack": ("view", "known per class", "optimizer"),
}
_SHORT = 12  # letters of a text that stays on one line
_EDGES = 2
_GAP = 2


def fit(
    layout: Layout, width: int, apart: Sequence[str] = (), spare: Sequence[str] = ()
) -> tuple[Layout, list[Layout]]:
    """Takes a table apart, and leaves columns out, until it fits.

    Args:
        layout: the table.
        width: columns of the terminal.
        apart: settings that get a table per value in any case.
        spare: headings of columns to leave out, the first first, where a table is too
            wide even so.

    Returns:
        The whole table, for its constants and footnotes, and its parts, each with the
        constants that are its own. A part may still be too wide.
    """
    whole = _say_above(_with_short_views(layout))
    parts = [whole._replace(constants=[])]
    for heading in apart:
        parts = [piece for part in parts for piece in _split(part, heading)]
    if _is_too_wide(parts, width, cut=" "):
        parts = [_without_told(part) for part in parts]
    for heading in _APART:
        if _is_too_wide(parts, width) and _is_worth_splitting(parts, heading):
            parts = [piece for part in parts for piece in _split(part, heading)]
    for heading in spare:
        if _is_too_wide(parts, width):
            parts = [_without(part, [heading]) for part in parts]
    return whole, parts


def column_widths(layout: Layout, width: int) -> list[int]:
    """The width of each column: all it needs, or shared fairly if there is no room.

    No column of words is narrower than its short texts and the longest word, between
    blanks or underscores, of the others; no column of numbers than its numbers.
    """
    least = _least_widths(layout)
    widths = [
        max(needed, 0 if is_number else max(map(len, cells)))
        for needed, is_number, cells in zip(
            least, layout.is_number, _columns(layout), strict=True
        )
    ]
    while _total(widths) > width and widths != least:
        spare = [now - needed for now, needed in zip(widths, least, strict=True)]
        widths[spare.index(max(spare))] -= 1
    return widths


def without_repeats(layout: Layout) -> Layout:
    """Blanks a cell of words where it and all on its left are as in the line above."""
    cells = [
        tuple(
            ""
            if number
            and not is_number
            and line[: place + 1] == layout.cells[number - 1][: place + 1]
            else line[place]
            for place, is_number in enumerate(layout.is_number)
        )
        for number, line in enumerate(layout.cells)
    ]
    return layout._replace(cells=cells)


def wrap(text: str, width: int) -> str:
    r"""Breaks lines at blanks, and at the underscores of words that are too long.

    >>> wrap("gradient_compression share_kept=0.25", 15)
    'gradient_\ncompression\nshare_kept=0.25'
    """
    lines = [""]
    for word in text.split(" "):
        pieces = [word] if len(word) <= width else _pieces(word)
        for index, piece in enumerate(pieces):
            gap = " " if index == 0 and lines[-1] else ""
            if lines[-1] and len(lines[-1] + gap + piece) > width:
                lines.append(piece)
            else:
                lines[-1] += gap + piece
    return "\n".join(lines)


def _is_too_wide(parts: Sequence[Layout], width: int, cut: str = " _") -> bool:
    return any(_total(_least_widths(part, cut)) > width for part in parts)


def _total(widths: Sequence[int]) -> int:
    return _EDGES + sum(widths) + _GAP * (len(widths) - 1)


def _least_widths(layout: Layout, cut: str = " _") -> list[int]:
    """What each column needs at least if texts may be cut at these letters."""

    def least(cell: str, is_number: bool) -> int:
        if is_number or len(cell) <= _SHORT:
            return len(cell)
        return max(map(len, _pieces(cell) if "_" in cut else cell.split(" ")))

    return [
        max(
            *(len(word) for word in re.split(r"[ \n]", heading)),
            *(least(cell, is_number) for cell in cells),
        )
        for heading, is_number, cells in zip(
            layout.headings, layout.is_number, _columns(layout), strict=True
        )
    ]


def _pieces(text: str) -> list[str]:
    """The words of a text, and the parts of words that end with an underscore."""
    return re.findall(r"[^ _]*_|[^ _]+", text)


def _columns(layout: Layout) -> list[tuple[str, ...]]:
    return list(zip(*layout.cells, strict=True))


def _with_short_views(layout: Layout) -> Layout:
    """Views in one word."""
    return layout._replace(
        constants=[
            (heading, SHORT_VIEWS.get(value, value))
            for heading, value in layout.constants
        ],
        cells=[
            tuple(SHORT_VIEWS.get(cell, cell) for cell in cells)
            for cells in layout.cells
        ],
    )


def _say_above(layout: Layout) -> Layout:
    """Moves settings and chance that never vary to the top, and drops empty columns."""
    constants = [
        (heading, cells[0])
        for heading, cells in zip(layout.headings, _columns(layout), strict=True)
        if heading in _SAID_ABOVE and len(set(cells)) == 1
    ]
    empty = [
        heading
        for heading, cells in zip(layout.headings, _columns(layout), strict=True)
        if set(cells) == {NOTHING}
    ]
    constants = [(heading, cell) for heading, cell in constants if cell != NOTHING]
    said = _without(layout, [*(heading for heading, _ in constants), *empty])
    return said._replace(constants=layout.constants + constants)


def _split(layout: Layout, heading: str) -> list[Layout]:
    """A table per value of a setting."""
    if heading not in layout.headings:
        return [layout]
    place = layout.headings.index(heading)
    values = dict.fromkeys(cells[place] for cells in layout.cells)
    return [
        _say_above(
            layout._replace(cells=[c for c in layout.cells if c[place] == value])
        )
        for value in values
    ]


def _is_worth_splitting(parts: Sequence[Layout], heading: str) -> bool:
    """Whether the parts would have more than a line each."""
    return any(
        heading in part.headings
        and len({cells[part.headings.index(heading)] for cells in part.cells})
        < len(part.cells)
        for part in parts
    )


def _without_told(layout: Layout) -> Layout:
    """Leaves out settings that another one tells."""
    columns = dict(zip(layout.headings, _columns(layout), strict=True))
    told = [
        heading
        for teller, headings in _TOLD_BY.items()
        for heading in headings
        if teller in columns
        and heading in columns
        and len(set(zip(columns[teller], columns[heading], strict=True)))
        == len(set(columns[teller]))
    ]
    return _without(layout, told)


def _without(layout: Layout, headings: Sequence[str]) -> Layout:
    """Leaves columns out."""
    kept = [heading not in headings for heading in layout.headings]

    def choose(values):
        return [value for value, is_in in zip(values, kept, strict=True) if is_in]

    return layout._replace(
        headings=choose(layout.headings),
        is_number=choose(layout.is_number),
        cells=[tuple(choose(cells)) for cells in layout.cells],
    )
