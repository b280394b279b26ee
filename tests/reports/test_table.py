"""Tables: which columns, what a cell says, and how they are written."""

import io
from math import inf

import pytest
from rich.console import Console

from vfljax.reports.frame import summarize
from vfljax.reports.table import (
    Table,
    cell,
    escape,
    explain,
    lay_out,
    to_html,
    to_markdown,
    to_rich,
)

NAMES = ("dataset", "defense_label", "num_trials", "attack_accuracy", "auc")


def table_of(rows, names=NAMES):
    return lay_out(names, summarize(rows).summary.to_dicts())


def render(table, width=100):
    printed = io.StringIO()
    Console(width=width, file=printed, color_system=None).print(to_rich(table))
    return printed.getvalue()


@pytest.fixture
def two(make_rows):
    """Two defenses under one attack, three trials each."""
    noise = {"defense": "dp", "defense_strength": 0.001, "strength_name": "noise_std"}
    return [
        *make_rows([0.90, 0.91, 0.92], main_accuracy=1 / 3),
        *make_rows([0.40, 0.41, 0.42], main_accuracy=1 / 3, **noise),
    ]


def test_what_never_varies_is_said_once_and_what_no_row_has_nowhere(two):
    table = table_of(two)
    assert table.headings == ["defense", "found %"]
    assert table.constants == "data: digits, trials: 3"


def test_cells_worked_by_hand(two):
    # Rates 0.90, 0.91, 0.92: s = 0.01, half-width 4.302653 * 0.01 / sqrt(3) = 0.02484.
    assert table_of(two).cells == [
        ("none", "91.0 ± 2.5"),
        ("dp noise_std=0.001", "41.0 ± 2.5"),
    ]


def test_headings_may_be_others(two):
    rows = summarize(two).summary.to_dicts()
    table = lay_out(NAMES, rows, {"attack_accuracy": "backdoor %"})
    assert table.headings == ["defense", "backdoor %"]


@pytest.mark.parametrize(
    ("rates", "text"),
    [
        ([0.5], "50.0"),
        ([0.5, 0.5], "50.0 ± 0.0"),
        ([0.99, 0.95], "97.0 ± 25.4"),  # cut off at 100: ± is towards the other end
        ([0.05, 0.01], "3.0 ± 25.4"),
        ([0.2, 0.3], "25.0 ± 63.5 ?"),
        ([0.0, 0.0], "0.0 ± 0.0 †"),
    ],
)
def test_a_rate(make_rows, rates, text):
    rows = make_rows(rates, matched_accuracy=0.2, matched_chance=0.2)
    assert cell(summarize(rows).summary.row(0, named=True), "attack_accuracy") == text


def test_marks_are_explained(make_rows):
    below = table_of(make_rows([0.0, 0.0]))
    assert [note[0] for note in below.footnotes] == ["†"]
    assert "read it as leakage, not protection" in below.footnotes[0]
    hidden = {"matched_accuracy": 0.99, "matched_chance": 0.25}
    names = table_of(make_rows([0.13, 0.13], **hidden))
    assert names.cells == [("13.0 ± 0.0 §",)]
    assert "leak up to the names of the classes" in names.footnotes[0]
    silent = table_of(make_rows([0.2, 0.3]))
    assert silent.footnotes[0].startswith("? The 95 % interval includes chance")
    assert table_of(make_rows([0.5, 0.5])).footnotes == ()


def test_a_mean_over_fewer_trials_is_marked(make_rows):
    table = table_of(
        make_rows([0.5, 0.5], main_accuracy=[0.75, None]), ("main_accuracy",)
    )
    assert table.cells == [("75.0 ‡",)]
    assert "trials that have this number" in table.footnotes[0]


def test_a_rate_with_the_level_of_blind_guesses(make_rows):
    levels = {"matched_accuracy": 0.5, "matched_chance": 0.25}
    levels |= {"mutual_information": 0.125, "mutual_information_chance": 0.0625}
    row = summarize(make_rows([0.5, 0.5], **levels)).summary.row(0, named=True)
    assert cell(row, "matched_accuracy") == "50.0 ± 0.0 (25.0)"
    assert cell(row, "matched_accuracy", has_ends=False) == "50.0 (25.0)"
    assert cell(row, "mutual_information") == "0.12 (0.06)"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("view", "batch_gradient", "encrypted messages"),
        ("view", "sample_gradient", "plaintext messages"),
        ("protocol", "sum_of_logits", "sum of logits"),
        ("adversary_optimizer", "all_malicious", "all malicious"),
        ("variant", "", "-"),
        ("known_per_class", 4.0, "4"),
        ("known_per_class", 0.2, "0.2"),
        ("known_per_class", None, "-"),
        ("label_epsilon", inf, "∞"),
        ("label_epsilon", 0.0123456, "0.0123"),
        ("label_epsilon", 1234.5, "1.23e+03"),
        ("allowed_accuracy", 0.5, "50.0"),
        ("seconds", 0.0123456, "0.0123"),
        ("num_trials", 3, "3"),
    ],
)
def test_other_cells(make_row, name, value, text):
    row = summarize([make_row()]).summary.row(0, named=True) | {name: value}
    assert cell(row, name) == text


@pytest.mark.parametrize(
    ("defense", "knowledge", "text"),
    [
        ("dp", "the noise scale", "the noise scale"),
        ("none", "the noise scale", "-"),
        ("none", "the label encoder, the noise scale", "-"),
        ("none", "4 known labels per class", "4 known labels per class"),
        ("none", "1 known label per class, the noise scale", "1 known label per class"),
        ("dp", None, "the defense"),
        ("none", None, "-"),
    ],
)
def test_nothing_is_known_of_a_defense_that_there_is_not(
    make_row, defense, knowledge, text
):
    rows = [make_row(defense=defense, is_adaptive=True, knowledge=knowledge)]
    assert cell(summarize(rows).summary.row(0, named=True), "knowledge") == text


def test_explanations_are_of_what_there_is(make_rows):
    frame = summarize(make_rows([0.5], auc=0.5))
    (auc,) = explain(frame, ("auc", "published_accuracy"))
    assert auc.startswith("AUC: Area under the ROC curve")


TABLE = Table(
    headings=["sees", "defense", "found %"],
    is_number=[False, False, True],
    cells=[("a", "x|y", "1.0"), ("a", "<b>", "2.0"), ("c", "[/bold]", "3.0 ± 1.0")],
    constants="data: d & e",
    footnotes=("† Read on.",),
)


def test_markdown_escapes_bars():
    assert to_markdown(TABLE) == (
        "data: d & e\n\n"
        "| sees | defense | found % |\n"
        "| --- | --- | ---: |\n"
        "| a | x\\|y | 1.0 |\n"
        "| a | <b> | 2.0 |\n"
        "| c | [/bold] | 3.0 ± 1.0 |\n\n"
        "† Read on."
    )


def test_html_escapes_and_keeps_numbers_together():
    text = to_html(TABLE, 'a "caption"')
    assert "<td>&lt;b&gt;</td>" in text
    assert '<p class="constants">data: d &amp; e</p>' in text
    assert 'aria-label="a &quot;caption&quot;"' in text
    assert '<td class="number">3.0&nbsp;±&nbsp;1.0</td>' in text
    assert escape("5 % < 6 %") == "5&nbsp;% &lt; 6&nbsp;%"


def test_groups_stand_above_their_lines():
    grouped = TABLE._replace(num_groups=1)
    assert list(grouped.groups()) == [
        ("a", [("x|y", "1.0"), ("<b>", "2.0")]),
        ("c", [("[/bold]", "3.0 ± 1.0")]),
    ]
    text = to_html(grouped, "")
    assert text.count('colspan="2">a<') == text.count('colspan="2">c<') == 1
    assert "sees" not in text
    lines = [" ".join(line.split()) for line in render(grouped).split("\n")]
    assert lines.index("a") < lines.index("x|y 1.0") < lines.index("c")


def test_labels_are_not_taken_for_markup_and_no_word_is_cut():
    assert "[/bold]" in render(TABLE)
    narrow = render(TABLE._replace(cells=[("a", "gradient_compression", "1.0")]), 24)
    assert "…" not in narrow
    assert max(map(len, narrow.split("\n"))) <= 24
