"""What all tables share: columns, constants said once, footnotes, Markdown."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from vfljax.reports.statistics import BENIGN, TRAINED_MODEL, Summary

BELOW_CHANCE = "†"
FEWER_TRIALS = "‡"
NAMES_ONLY = "§"
NOTHING = "-"
SHORT_VIEWS = {
    "sample_gradient": "plaintext",
    "batch_gradient": "encrypted",
    "trained_model": "trained model",
    "message_rows": "backdoor",
}


class Column(NamedTuple):
    """One column: its heading, its cell, and whether it is a result or a setting."""

    heading: str
    cell: Callable[[Any], str]
    is_number: bool
    is_result: bool = False


class Layout(NamedTuple):
    """A table before it is drawn.

    Attributes:
        constants: heading and value of each column that never varies.
        headings: the columns of the body.
        is_number: whether a column is aligned to the right.
        cells: one tuple of texts per line.
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


def choose_columns(
    columns: Sequence[Column], records: Sequence[Any], footnotes: Sequence[str]
) -> Layout:
    """Lays out a table: what never varies is said once, outside the body.

    Results stay in the body even if they never vary, because a rate is read beside its
    chance level; a result that no record has is left out.

    Args:
        columns: all that there could be.
        records: what the cells are made from, one per line.
        footnotes: what the marks in the cells mean.

    Returns:
        The constants, the body and the footnotes of the table.
    """
    constants: list[tuple[str, str]] = []
    kept: list[Column] = []
    for column in columns:
        values = {column.cell(record) for record in records}
        if len(values) > 1 or (column.is_result and values != {NOTHING}):
            kept.append(column)
        elif values != {NOTHING}:
            constants.append((column.heading, values.pop()))
    return Layout(
        constants=constants,
        headings=[column.heading for column in kept],
        is_number=[column.is_number for column in kept],
        cells=[tuple(column.cell(record) for column in kept) for record in records],
        footnotes=list(footnotes),
    )


def markdown(layout: Layout) -> str:
    """A table as Markdown: constants, body, footnotes, each its own block."""
    lines = [_markdown_row(layout.headings)]
    lines.append(
        _markdown_row("---:" if right else "---" for right in layout.is_number)
    )
    lines += [_markdown_row(cells) for cells in layout.cells]
    blocks = [layout.constants_line, "\n".join(lines), *layout.footnotes]
    return "\n\n".join(block for block in blocks if block) + "\n"


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


def text_cell(name: str) -> Callable[[Any], str]:
    """The cell of a field shown as it is."""

    def cell(record: Any) -> str:
        value: Any = getattr(record, name)
        return NOTHING if value is None else str(value)

    return cell


def attack_cell(summary: Summary) -> str:
    """The attack's rate, marked where it must not be read as protection."""
    rate = percent(summary.attack_mean, summary.attack_low, summary.attack_high)
    if summary.below_chance:
        rate += f" {BELOW_CHANCE}"
    if summary.hides_names_only:
        rate += f" {NAMES_ONLY}"
    return rate


def main_cell(summary: Summary) -> str:
    """The main task's rate, marked where some trials do not have one."""
    rate = percent(summary.main_mean, summary.main_low, summary.main_high)
    return mark_fewer(rate, summary.num_main, summary.num_trials)


def mark_fewer(rate: str, num_with: int, num_trials: int) -> str:
    """Marks a mean over some of the trials only."""
    return f"{rate} {FEWER_TRIALS}" if 0 < num_with < num_trials else rate


def rate_cell(name: str, has_width: bool) -> Callable[[Summary], str]:
    """The cell of a further rate, with or without the half-width of its interval."""

    def cell(summary: Summary) -> str:
        rate = summary.rate(name)
        ends = (rate.low, rate.high) if has_width else (None, None)
        return mark_fewer(percent(rate.mean, *ends), rate.number, summary.num_trials)

    return cell


def footnotes(cells: Iterable[str]) -> list[str]:
    """The meaning of the marks in these cells."""
    text = " ".join(cells)
    return [note for mark, note in _FOOTNOTES.items() if mark in text]


def _markdown_row(cells: Iterable[str]) -> str:
    """One line of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


_FOOTNOTES = {
    BELOW_CHANCE: (
        f"{BELOW_CHANCE} below chance, even below blind uniform guessing (1 / "
        "classes): read it as leakage, not protection. With its whole interval, so "
        "the attacker knows more than nothing; or with its mean, where the labels are "
        "found up to names or by an attacker who knows the defense. (Only where one "
        "class is rarer than the others can a blind guess do as badly.)"
    ),
    NAMES_ONLY: (
        f"{NAMES_ONLY} the labels leak up to the names of the classes: under the best "
        "renaming they are found, clearly above chance. What is hidden is names, and "
        "one sample of known label in each class gives them back."
    ),
    FEWER_TRIALS: (f"{FEWER_TRIALS} mean over the trials that have this number only."),
}


def known_cell(summary: Summary) -> str:
    """How many labels the attacker knows per class."""
    known = summary.known_per_class
    return NOTHING if known is None else f"{known:g}"


def optimizer_cell(summary: Summary) -> str:
    """The adversary's optimizer where it matters: to its own model, or to a victim."""
    optimizer = summary.adversary_optimizer
    if summary.view != TRAINED_MODEL and optimizer == BENIGN:
        return NOTHING
    return optimizer.replace("_", " ")


SETTING_COLUMNS = (
    Column("dataset", text_cell("dataset"), is_number=False),
    Column("parties", text_cell("num_parties"), is_number=True),
    Column("variant", lambda row: row.variant or NOTHING, is_number=False),
    Column("protocol", text_cell("protocol"), is_number=False),
    Column("view", text_cell("view"), is_number=False),
    Column("step", text_cell("train_step"), is_number=True),
    Column("batch", text_cell("batch_size"), is_number=True),
    Column("classes", text_cell("num_classes"), is_number=True),
    Column("defense", text_cell("defense_label"), is_number=False),
)
ATTACKER_COLUMNS = (
    Column("known per class", known_cell, is_number=True),
    Column("optimizer", optimizer_cell, is_number=False),
)
