"""What an attacker with a trained bottom model of its own and a few labels finds."""

from collections.abc import Sequence

from vfljax.reports.layout import (
    ATTACKER_COLUMNS,
    SETTING_COLUMNS,
    Column,
    Layout,
    choose_columns,
    footnotes,
    main_cell,
    percent,
    rate_cell,
    text_cell,
)
from vfljax.reports.rates import READINGS, SCORES
from vfljax.reports.statistics import TRAINED_MODEL, Summary

_NAMES = {
    "accuracy": "",
    "top5": " top-5",
    "f1": " F1",
    "fu_batch_f1": " batch F1",
}
_READINGS = dict(
    zip(
        READINGS,
        ("train{} % last", "train{} % best", "test{} % last", "test{} % best"),
        strict=True,
    )
)


def has_completion(summaries: Sequence[Summary]) -> bool:
    """Whether an attack of the run completes a trained bottom model."""
    return any(summary.view == TRAINED_MODEL for summary in summaries)


def is_all_completion(summaries: Sequence[Summary]) -> bool:
    """Whether every attack of the run does."""
    return all(summary.view == TRAINED_MODEL for summary in summaries)


def lay_out_completion(summaries: Sequence[Summary]) -> Layout:
    """One line per setting and attack, for Markdown.

    Args:
        summaries: from `summarize`; those of other views are left out.

    Returns:
        The table.
    """
    scores = [column for score in SCORES for column in _score_columns(score)]
    return _lay_out(
        summaries,
        [
            *scores,
            _ALONE,
            _CHANCE,
            _MAIN,
            *(_main_column(score) for score in ("top5", "f1")),
        ],
    )


def lay_out_short_completion(
    summaries: Sequence[Summary],
) -> list[tuple[Layout, list[str]]]:
    """A table per score, for a terminal, with the columns that it can spare.

    Args:
        summaries: from `summarize`; those of other views are left out.

    Returns:
        Each table, and headings of columns to leave out if need be, the first first.
    """
    tables = []
    for score in SCORES:
        columns = _score_columns(score)
        if not any(s.rate(f"{r}_{score}").number for s in summaries for r in READINGS):
            continue
        is_accuracy = score == "accuracy"
        main = [_ALONE, _CHANCE, _MAIN] if is_accuracy else [_main_column(score)]
        headings = [column.heading for column in columns]
        spare = [headings[3], headings[1], main[-1].heading, headings[2], "chance %"]
        tables.append((_lay_out(summaries, [*columns, *main]), spare))
    return tables


def completion_notes(summaries: Sequence[Summary]) -> list[str]:
    """What the columns mean.

    Args:
        summaries: from `summarize`; those of other views are left out.

    Returns:
        One note per idea that the rows need.
    """
    completed = _completed(summaries)
    names = {name for summary in completed for name in summary.further}
    notes = [
        (
            "last: after the last epoch of the attack, which is what an attacker has. "
            "best: at the epoch that is best on training samples by their true labels, "
            "which no attacker can choose; published figures are these."
        ),
        (
            "train: the training samples whose labels the attacker does not know. "
            "test: samples that nobody trained on."
        ),
    ]
    if any((summary.known_per_class or 1) < 1 for summary in completed):
        notes.append(
            "known per class: below 1 it is the share of the classes that have a known "
            "label at all."
        )
    if "alone_accuracy" in names:
        notes.append(
            "all labels: test accuracy of a model of the adversary's features alone "
            "that was trained with the true labels; an upper bound for test %."
        )
    if len({summary.adversary_optimizer for summary in completed}) > 1:
        notes.append(
            "optimizer: malicious is a training of its own, in which the adversary "
            "makes its bottom model learn more than its share; the main task of that "
            "line is the one of that training. all malicious: in that training "
            "every party does."
        )
    if any(name.endswith("fu_batch_f1") for name in names):
        notes.append(
            "batch F1: as in the code of Fu et al. 2022, precision and recall "
            "averaged over mini-batches; to compare with what they publish."
        )
    return notes


def _lay_out(summaries: Sequence[Summary], results: Sequence[Column]) -> Layout:
    """Settings, attack, what it knows, results."""
    columns = (
        *(column for column in SETTING_COLUMNS if column.heading != "view"),
        Column("attack", text_cell("attack"), is_number=False),
        *ATTACKER_COLUMNS,
        Column("trials", text_cell("num_trials"), is_number=True),
        Column("failed", text_cell("num_failed"), is_number=True),
        *results,
    )
    layout = choose_columns(columns, _completed(summaries), ())
    return layout._replace(
        footnotes=footnotes(cell for cells in layout.cells for cell in cells)
    )


def _completed(summaries: Sequence[Summary]) -> list[Summary]:
    return [summary for summary in summaries if summary.view == TRAINED_MODEL]


def _score_columns(score: str) -> list[Column]:
    """Train and test, each at the last and at the best epoch; the first with ±."""
    return [
        Column(
            heading.format(_NAMES[score]),
            rate_cell(f"{reading}_{score}", has_width=reading == "attack"),
            is_number=True,
            is_result=True,
        )
        for reading, heading in _READINGS.items()
    ]


def _main_column(score: str) -> Column:
    """How good the attacked model is by this score."""
    cell = rate_cell(f"main_{score}", has_width=False)
    return Column(f"main task{_NAMES[score]} %", cell, is_number=True, is_result=True)


_ALONE = Column(
    "all labels %",
    rate_cell("alone_accuracy", has_width=False),
    is_number=True,
    is_result=True,
)
_CHANCE = Column("chance %", lambda row: percent(row.chance, None, None), True, True)
_MAIN = Column("main task %", main_cell, is_number=True, is_result=True)
