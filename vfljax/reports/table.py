"""A table before it is drawn: columns chosen, cells as text; and how it is written."""

import html
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl
from rich import box
from rich.table import Table as RichTable
from rich.text import Text

from vfljax.reports.columns import BY_NAME, view_of

NOTHING = "-"
BELOW_CHANCE = "†"
FEWER_TRIALS = "‡"
NAMES_ONLY = "§"
SAYS_NOTHING = "?"
_MARKS = {
    "below_chance": BELOW_CHANCE,
    "hides_names_only": NAMES_ONLY,
    "says_nothing": SAYS_NOTHING,
}
_FEWER = "Mean over the trials that have this number only."

Row = Mapping[str, Any]


class Field(NamedTuple):
    """One column of a table: heading, what it shows of a row, how it is aligned.

    A setting that never varies is said once, above the table; a result stays in the
    body even then, because a rate is read beside its chance level.
    """

    heading: str
    cell: Callable[[Row], str]
    is_number: bool
    is_result: bool


class Table(NamedTuple):
    """Texts to be drawn.

    Attributes:
        constants: heading and value of each setting that never varies.
        headings: of the columns.
        is_number: whether a column is aligned to the right.
        cells: one tuple of texts per line.
        footnotes: what the marks in the cells mean.
        num_groups: leading columns that a person reads once, above the lines that share
            them.
    """

    constants: list[tuple[str, str]]
    headings: list[str]
    is_number: list[bool]
    cells: list[tuple[str, ...]]
    footnotes: list[str]
    num_groups: int = 0

    @property
    def constants_line(self) -> str:
        """What holds for every line, as one line."""
        return ", ".join(f"{heading}: {value}" for heading, value in self.constants)

    def groups(self) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
        """What stands above some lines, or "", and the rest of those lines."""
        n = self.num_groups
        for group, lines in itertools.groupby(self.cells, lambda cells: cells[:n]):
            yield ", ".join(group), [cells[n:] for cells in lines]


def field(name: str, *, heading: str | None = None, with_ends: bool = True) -> Field:
    """The column of a summary by its name, as `columns.py` says it is read."""
    column = BY_NAME[name]
    is_result = column.kind not in ("setting", "derived", "first")
    return Field(
        heading or column.heading,
        lambda row: cell(row, name, with_ends=with_ends),
        column.type != pl.String,
        is_result,
    )


def lay_out(fields: Iterable[Field], rows: Sequence[Row]) -> Table:
    """Chooses the columns: constants are said once, a result that no row has nowhere.

    Args:
        fields: all that there could be.
        rows: of a summary, one per line.
    """
    constants, kept = [], []
    for each in fields:
        values = {each.cell(row) for row in rows}
        if len(values) > 1 or (each.is_result and values != {NOTHING}):
            kept.append(each)
        elif values and values != {NOTHING}:
            constants.append((each.heading, values.pop()))
    cells = [tuple(each.cell(row) for each in kept) for row in rows]
    return Table(
        constants=constants,
        headings=[each.heading for each in kept],
        is_number=[each.is_number for each in kept],
        cells=cells,
        footnotes=footnotes(text for line in cells for text in line),
    )


def footnotes(cells: Iterable[str]) -> list[str]:
    """The meaning of the marks in these cells."""
    marks = {word for text in cells for word in text.split(" ")}
    notes = [
        f"{mark} {BY_NAME[name].words}"
        for name, mark in _MARKS.items()
        if mark in marks
    ]
    return notes + [f"{FEWER_TRIALS} {_FEWER}"] * (FEWER_TRIALS in marks)


def cell(row: Row, name: str, *, with_ends: bool = True) -> str:
    """One value of a summary as text; a rate with its interval and marks."""
    column, value = BY_NAME[name], row[name]
    if value is None or value == "":
        return NOTHING
    if name == "view":
        return view_of(value).name
    if name == "knowledge":
        return knows(row)
    if name in ("adversary_optimizer", "protocol"):
        return value.replace("_", " ")
    if column.kind == "rate":
        scale, digits = (100, 1) if column.unit == "%" else (1, 2)
        text = f"{scale * value:.{digits}f}"
        low, high = row[f"{name}_low"], row[f"{name}_high"]
        if with_ends and low is not None and high is not None:
            text += f" ± {scale * max(value - low, high - value):.{digits}f}"
        if name == "attack_accuracy":
            text += "".join(f" {mark}" for of, mark in _MARKS.items() if row[of])
        if row[f"{name}_number"] < row["num_trials"]:
            text += f" {FEWER_TRIALS}"
        return text
    if isinstance(value, float):
        if value == float("inf"):
            return "∞"
        return f"{100 * value:.1f}" if column.unit == "%" else f"{value:.3g}"
    return str(value)


def with_chance(name: str, chance: str) -> Callable[[Row], str]:
    """A rate, and in brackets what blind guesses get of it."""

    def text(row: Row) -> str:
        rate, level = cell(row, name), cell(row, chance, with_ends=False)
        return rate if NOTHING in (rate, level) else f"{rate} ({level.split(' ')[0]})"

    return text


def knows(row: Row) -> str:
    """What an attack knows beyond its view; no noise scale where there is no noise."""
    words = row["knowledge"] or ("the defense" if row["is_adaptive"] else NOTHING)
    if row["defense"] != "none":
        return words
    parts = [part for part in words.split(", ") if part not in _ABOUT_DEFENSES]
    return ", ".join(parts) or NOTHING


_ABOUT_DEFENSES = (
    "the defense",
    "the noise scale",
    "the label encoder",
    "kind and strength of the defense",
    "what the defense puts in place of entries",
)


def to_markdown(table: Table) -> str:
    """Constants, body, footnotes, each its own block."""
    lines = [
        _markdown_row(table.headings),
        _markdown_row("---:" if right else "---" for right in table.is_number),
        *map(_markdown_row, table.cells),
    ]
    blocks = [table.constants_line, "\n".join(lines), *table.footnotes]
    return "\n\n".join(block for block in blocks if block)


def _markdown_row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def to_html(table: Table, caption: str) -> str:
    """The same in a box of its own, which scrolls where the page is too narrow."""
    n = table.num_groups
    classes = [' class="number"' if right else "" for right in table.is_number[n:]]

    def line(cells: Sequence[str], tag: str) -> str:
        scope = ' scope="col"' if tag == "th" else ""
        texts = (
            f"<{tag}{scope}{of}>{html.escape(text)}</{tag}>"
            for text, of in zip(cells, classes, strict=True)
        )
        return f"<tr>{''.join(texts)}</tr>"

    parts = []
    if table.constants:
        parts.append(f'<p class="constants">{html.escape(table.constants_line)}</p>')
    label = html.escape(caption, quote=True)
    parts.append(
        f'<div class="scroll" role="region" tabindex="0" aria-label="{label}">'
        f"<table><thead>{line(table.headings[n:], 'th')}</thead>"
    )
    for group, lines in table.groups():
        parts.append("<tbody>")
        if group:
            parts.append(
                f'<tr class="group"><th scope="rowgroup" colspan="{len(classes)}">'
                f"{html.escape(group)}</th></tr>"
            )
        parts += [*(line(cells, "td") for cells in lines), "</tbody>"]
    parts.append("</table></div>")
    parts += [
        f'<p class="footnote">{html.escape(note)}</p>' for note in table.footnotes
    ]
    return "\n".join(parts)


def to_rich(table: Table) -> RichTable:
    """The body for a terminal."""
    drawn = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    n = table.num_groups
    for heading, is_number in zip(table.headings[n:], table.is_number[n:], strict=True):
        # Text, because a label may hold brackets, which are markup in a plain str.
        drawn.add_column(
            Text(heading),
            justify="right" if is_number else "left",
            vertical="bottom",
            overflow="fold",
        )
    for group, lines in table.groups():
        if group:
            drawn.add_section()
            drawn.add_row(Text(group, style="bold"))
        for cells in lines:
            drawn.add_row(*map(Text, cells))
    return drawn
