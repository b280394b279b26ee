"""A table before it is drawn: columns chosen, cells as text; and how it is written."""

import html
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from textwrap import fill
from typing import Any, NamedTuple

import polars as pl
from rich import box
from rich.table import Table as RichTable
from rich.text import Text

from vfljax.reports.columns import BLIND, BY_NAME, UNDEFENDED, view_of
from vfljax.reports.frame import Frame

NOTHING = "-"
NAMES_ONLY = "§"
_MARKS = {"below_chance": "†", "hides_names_only": NAMES_ONLY, "says_nothing": "?"}
_FEWER_TRIALS = "‡"
_WITH_ENDS = ("attack_", "matched_accuracy", "auc", "main_accuracy")
_ABOUT_DEFENSES = (
    "the defense",
    "the noise scale",
    "the label encoder",
    "kind and strength of the defense",
    "what the defense puts in place of entries",
)
_IN_WORDS = {
    "num_parties": "{} parties",
    "train_step": "step {}",
    "batch_size": "batch size {}",
    "num_classes": "{} classes",
    "known_per_class": "{} known per class",
    "adversary_optimizer": "{} optimizer",
}

Row = Mapping[str, Any]
Line = tuple[str, ...]


class Table(NamedTuple):
    """Texts to be drawn, a tuple of them per line; numbers are aligned to the right.

    The constants are true of every line; footnotes say what marks in the cells mean;
    the first `num_groups` columns are read once, above the lines that share them.
    """

    headings: list[str]
    is_number: list[bool]
    cells: list[Line]
    constants: str = ""
    footnotes: tuple[str, ...] = ()
    num_groups: int = 0

    def groups(self) -> Iterator[tuple[str, list[Line]]]:
        """What stands above some lines, or "", and the rest of those lines."""
        n = self.num_groups
        for group, lines in itertools.groupby(self.cells, lambda cells: cells[:n]):
            yield ", ".join(group), [cells[n:] for cells in lines]


def lay_out(
    names: Iterable[str], rows: Sequence[Row], headings: Mapping[str, str] | None = None
) -> Table:
    """Chooses the columns: constants are said once, a result that no row has nowhere.

    A result stays in the body even if it never varies, because a rate is read beside
    its chance level. The rows are those of a summary, and may have texts of their own,
    whose headings are given by name.
    """
    constants, kept, numbers = [], {}, []
    for name in names:
        column = BY_NAME.get(name)
        heading = (headings or {}).get(name) or BY_NAME[name].heading
        texts = [cell(row, name) for row in rows]
        values = set(texts)
        is_result = not column or column.kind not in ("setting", "derived", "first")
        if len(values) > 1 or (is_result and values != {NOTHING}):
            kept[heading] = texts
            numbers.append(column.type != pl.String if column else "%" in heading)
        elif values != {NOTHING}:
            constants.append(f"{heading}: {values.pop()}")
    cells = list(zip(*kept.values(), strict=True))
    marks = {word for line in cells for text in line for word in text.split(" ")}
    words = {mark: BY_NAME[of].words for of, mark in _MARKS.items()}
    words[_FEWER_TRIALS] = "Mean over the trials that have this number."
    notes = tuple(f"{mark} {words[mark]}" for mark in words if mark in marks)
    return Table(list(kept), numbers, cells, ", ".join(constants), notes)


def table_of(
    names: Sequence[str], headings: Mapping[str, str] | None = None
) -> Callable[[Frame], Table]:
    """Lays out some columns of a whole summary, a line per row."""
    return lambda frame: lay_out(names, frame.summary.to_dicts(), headings)


def explain(frame: Frame, names: Iterable[str]) -> list[str]:
    """What some columns mean, of those that a frame has."""
    columns = [BY_NAME[name] for name in names if frame.has(name)]
    return [f"{column.heading}: {column.words}" for column in columns]


def cell(row: Row, name: str, *, has_ends: bool = True) -> str:
    """One value of a summary as text; a rate with marks, chance level, any interval."""
    column, value = BY_NAME.get(name), row.get(name)
    if name == "knowledge":
        return _knows(row)
    if value is None or value == "":
        return NOTHING
    if name == "view":
        return view_of(value).name
    if column and column.kind == "rate":
        return _rate(row, name, has_ends and name.startswith(_WITH_ENDS))
    if value == float("inf"):
        return "∞"
    if column and isinstance(value, float):
        digits = "g" if column.kind == "setting" else ".3g"
        return f"{100 * value:.1f}" if column.is_percent else f"{value:{digits}}"
    is_name = name in ("adversary_optimizer", "protocol")
    return value.replace("_", " ") if is_name else str(value)


def describe(row: Row, names: Iterable[str], width: int = 999) -> str:
    """Some settings in words, such as `batch size 16, 4 classes`, in lines so wide."""
    return fill(", ".join(filter(None, (_in_words(row, n) for n in names))), width)


def what_is_found(table: pl.DataFrame) -> str:
    """What the rates are the share of, such as `labels`."""
    return " and ".join(table["goal"].fill_null("labels").unique(maintain_order=True))


def _in_words(row: Row, name: str) -> str:
    """One value, in words that say what it is, or ""."""
    text = cell(row, name)
    if text == NOTHING:
        return "no known labels" if name == "known_per_class" else ""
    if name == "defense_label" and text == UNDEFENDED:
        return "no defense"
    return _IN_WORDS.get(name, "{}").format(text)


def _rate(row: Row, name: str, has_ends: bool) -> str:
    """A rate: `97.3 ± 0.8`. Where an end is clipped, ± is towards the other end."""
    column, value = BY_NAME[name], row[name]
    scale, digits = (100, 1) if column.is_percent else (1, 2)
    text = f"{scale * value:.{digits}f}"
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    if has_ends and low is not None:
        text += f" ± {scale * max(value - low, high - value):.{digits}f}"
    if name in BLIND and row[BLIND[name]] is not None:
        text += f" ({scale * row[BLIND[name]]:.{digits}f})"
    if name == "attack_accuracy":
        text += "".join(f" {mark}" for of, mark in _MARKS.items() if row[of])
    return text + f" {_FEWER_TRIALS}" * (row[f"{name}_number"] < row["num_trials"])


def _knows(row: Row) -> str:
    """What an attack knows beyond its view, without what there is not to be known."""
    words = row["knowledge"] or ("the defense" if row["is_adaptive"] else NOTHING)
    is_bare, silent = row["defense"] == UNDEFENDED, row["adds_noise"] is False
    unknown = _ABOUT_DEFENSES if is_bare else ("the noise scale",) if silent else ()
    parts = [part for part in words.split(", ") if part not in unknown]
    return ", ".join(parts) or NOTHING


def to_markdown(table: Table) -> str:
    """Constants, body, footnotes, each its own block."""
    rule = ["---:" if right else "---" for right in table.is_number]
    body = "\n".join(
        "| " + " | ".join(text.replace("|", "\\|") for text in line) + " |"
        for line in (table.headings, rule, *table.cells)
    )
    return "\n\n".join(filter(None, [table.constants, body, *table.footnotes]))


def escape(text: str) -> str:
    """Text for a page; a percent sign never begins a line, nor does ±."""
    return html.escape(text).replace(" %", "&nbsp;%").replace(" ± ", "&nbsp;±&nbsp;")


def boxed(label: str, content: str) -> str:
    """A box of its own for a wide part, which scrolls where the page is too narrow."""
    role = f'role="region" tabindex="0" aria-label="{escape(label)}"'
    return f'<div class="scroll" {role}>{content}</div>'


def to_html(table: Table, label: str) -> str:
    """Constants, the body in a box, footnotes."""
    n = table.num_groups
    classes = [' class="number"' if right else "" for right in table.is_number[n:]]

    def line(cells: Sequence[str], tag: str) -> str:
        pairs = zip(cells, classes, strict=True)
        texts = (f"<{tag}{of}>{escape(text)}</{tag}>" for text, of in pairs)
        return f"<tr>{''.join(texts)}</tr>"

    body = [f"<table><thead>{line(table.headings[n:], 'th')}</thead>"]
    for group, lines in table.groups():
        head = f'<th scope="rowgroup" colspan="{len(classes)}">{escape(group)}</th>'
        above = [f'<tr class="group">{head}</tr>'] if group else []
        rows = [line(cells, "td") for cells in lines]
        body += ["<tbody>", *above, *rows, "</tbody>"]
    notes = [f'<p class="footnote">{escape(note)}</p>' for note in table.footnotes]
    constants = f'<p class="constants">{escape(table.constants)}</p>'
    return "\n".join([constants, boxed(label, "\n".join([*body, "</table>"])), *notes])


def to_rich(table: Table) -> RichTable:
    """The body for a terminal."""
    drawn = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    # Text, because a label may hold brackets, which are markup in a plain str.
    for i in range(table.num_groups, len(table.headings)):
        heading = Text(table.headings[i])
        look: dict[str, Any] = {"vertical": "bottom", "overflow": "fold"}
        if table.is_number[i]:
            texts = [*heading.plain.split(" "), *(cells[i] for cells in table.cells)]
            look |= {"justify": "right", "width": max(map(len, texts))}
        drawn.add_column(heading, **look)
    for group, lines in table.groups():
        if group:
            drawn.add_section()
            drawn.add_row(Text(group, style="bold"))
        for cells in lines:
            drawn.add_row(*map(Text, cells))
    return drawn
