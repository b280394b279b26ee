import pytest

from vfljax.reports.fitting import column_widths, fit, without_repeats, wrap
from vfljax.reports.layout import Layout


@pytest.fixture
def layout():
    """Parties go with the variant; needs 2 + (7 + 9 + 5 + 4 + 8) + 8 = 43 columns."""
    return Layout(
        constants=[("dataset", "digits")],
        headings=["parties", "variant", "step", "rate", "chance %"],
        is_number=[True, False, True, True, True],
        cells=[
            ("2", "2 parties", "12345", "10.0", "5.0"),
            ("2", "2 parties", "0", "20.0", "5.0"),
            ("4", "4 parties", "12345", "30.0", "5.0"),
            ("4", "4 parties", "0", "40.0", "5.0"),
        ],
        footnotes=[],
    )


def test_a_table_that_fits_stays_whole_with_its_constant_chance_above(layout):
    whole, (part,) = fit(layout, width=43)
    assert whole.constants == [("dataset", "digits"), ("chance %", "5.0")]
    assert part.headings == ["parties", "variant", "step", "rate"]
    assert part.constants == []


def test_what_the_variant_tells_is_left_out_first(layout):
    # 2 + (7 + 9 + 5 + 4) + 6 = 33, without the parties 24.
    _, (part,) = fit(layout, width=32)
    assert part.headings == ["variant", "step", "rate"]
    assert part.cells[3] == ("4 parties", "0", "40.0")


def test_then_the_table_is_taken_apart(layout):
    _, parts = fit(layout, width=20)
    assert [part.constants for part in parts] == [
        [("variant", "2 parties")],
        [("variant", "4 parties")],
    ]
    assert parts[1].cells == [("12345", "30.0"), ("0", "40.0")]


def test_then_columns_are_spared_in_order(layout):
    _, parts = fit(layout, width=8, spare=["no such column", "step", "rate"])
    assert [part.headings for part in parts] == [["rate"], ["rate"]]


def test_wanted_parts_have_what_is_theirs_above(layout):
    cells = [
        (*line[:4], chance) for line, chance in zip(layout.cells, "1122", strict=True)
    ]
    _, parts = fit(layout._replace(cells=cells), width=99, apart=["variant"])
    assert parts[1].constants == [
        ("parties", "4"),
        ("variant", "4 parties"),
        ("chance %", "2"),
    ]


def test_a_column_without_results_is_left_out_of_its_part(layout):
    cells = [(*line[:3], "-", line[4]) for line in layout.cells[:2]] + layout.cells[2:]
    _, parts = fit(layout._replace(cells=cells), width=99, apart=["variant"])
    assert [part.headings for part in parts] == [["step"], ["step", "rate"]]


def test_widths_shrink_to_words_and_not_below(layout):
    words = layout._replace(
        headings=["defense", "rate"],
        is_number=[False, True],
        cells=[("gradient_compression share_kept=0.25", "10.0 ± 0.5")],
    )
    assert column_widths(words, 80) == [36, 10]
    assert column_widths(words, 34) == [20, 10]  # 2 + 20 + 2 + 10
    assert column_widths(words, 10) == [11, 10]  # "compression", "kept=0.25"


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (36, ["gradient_compression share_kept=0.25"]),
        (20, ["gradient_compression", "share_kept=0.25"]),
        (11, ["gradient_", "compression", "share_", "kept=0.25"]),
    ],
)
def test_lines_break_at_blanks_before_underscores(width, lines):
    assert wrap("gradient_compression share_kept=0.25", width).split("\n") == lines


def test_words_as_in_the_line_above_are_blanked(layout):
    layout = layout._replace(
        headings=["variant", "defense", "rate"],
        is_number=[False, False, True],
        cells=[("a", "x", "1"), ("a", "x", "1"), ("b", "x", "1"), ("b", "y", "1")],
    )
    assert without_repeats(layout).cells == [
        ("a", "x", "1"),
        ("", "", "1"),
        ("b", "x", "1"),
        ("", "y", "1"),
    ]
