"""What a label-privacy guarantee allows, beside what the attacks found."""

from collections.abc import Sequence
from math import isinf

from vfljax.reports.layout import (
    NOTHING,
    SETTING_COLUMNS,
    Column,
    Layout,
    attack_cell,
    choose_columns,
    footnotes,
    percent,
    text_cell,
)
from vfljax.reports.statistics import Summary
from vfljax.reports.strongest import judge

NOTE = (
    "ε: label differential privacy, ∞ where nothing is bounded. allowed %: the share "
    "of labels that a sample's own message can give away in expectation, if labels are "
    "uniform whatever the features are. It does not bound attacks that see several "
    "messages about a sample, or that learn from samples that look alike: a measured "
    "rate above it is no contradiction."
)


def has_budget(summaries: Sequence[Summary]) -> bool:
    """Whether a defense of the run was accounted for."""
    return any(summary.budget for summary in summaries)


def lay_out_budget(summaries: Sequence[Summary]) -> Layout:
    """One line per accounted model and view, with the strongest attack on it.

    Args:
        summaries: from `summarize`; those of defenses without an account are left out.

    Returns:
        The table.
    """
    accounted = [summary for summary in summaries if summary.budget]
    strongest = [verdict.strongest for verdict in judge(accounted)]
    layout = choose_columns(_COLUMNS, strongest, ())
    return layout._replace(
        footnotes=footnotes(cell for cells in layout.cells for cell in cells)
    )


def budget_sentences(summaries: Sequence[Summary]) -> list[str]:
    """What each setting of a defense buys, each sentence once.

    Args:
        summaries: from `summarize`.

    Returns:
        `defense strength, batch size: sentence`, in order of first appearance.
    """
    accounted = [summary for summary in summaries if summary.budget]
    varies = [
        name
        for name in ("batch_size", "num_classes")
        if len({getattr(summary, name) for summary in accounted}) > 1
    ]
    words = {"batch_size": "batch size {}", "num_classes": "{} classes"}
    sentences = []
    for summary in accounted:
        setting = [summary.defense_label]
        setting += [words[name].format(getattr(summary, name)) for name in varies]
        sentences.append(f"{', '.join(setting)}: {summary.budget}")
    return list(dict.fromkeys(sentences))


def epsilon(value: float | None) -> str:
    """Three significant digits, or ∞.

    >>> epsilon(0.012345), epsilon(1234.5), epsilon(float("inf"))
    ('0.0123', '1.23e+03', '∞')
    """
    if value is None:
        return NOTHING
    return "∞" if isinf(value) else f"{value:.3g}"


_COLUMNS = (
    *(column for column in SETTING_COLUMNS if column.heading != "defense"),
    Column("defense", text_cell("defense_label"), is_number=False, is_result=True),
    Column("δ", lambda row: epsilon(row.label_delta), is_number=True),
    Column("ε per message", lambda row: epsilon(row.label_epsilon), True, True),
    Column(
        "ε over training", lambda row: epsilon(row.label_epsilon_training), True, True
    ),
    Column(
        "allowed %", lambda row: percent(row.allowed_accuracy, None, None), True, True
    ),
    Column("best attack %", attack_cell, is_number=True, is_result=True),
    Column("by", text_cell("attack"), is_number=False, is_result=True),
    Column("chance %", lambda row: percent(row.chance, None, None), True, True),
)
