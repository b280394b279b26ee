import csv
import io

import pytest
from rich.console import Console

from vfljax.reports.layout import percent
from vfljax.reports.statistics import Summary, summarize
from vfljax.reports.tables import csv_table, lay_out, markdown_table
from vfljax.reports.terminal import terminal_table


def make_rows(**changes):
    """Two defenses under one attack, three trials each."""
    return [
        {
            "dataset": "digits",
            "num_parties": 2,
            "protocol": "sum_of_logits",
            "view": "batch_gradient",
            "train_step": 0,
            "batch_size": 64,
            "num_classes": 10,
            "defense": defense,
            "defense_strength": strength,
            "strength_name": strength and "noise_std",
            "attack": "linear_recovery",
            "trial": trial,
            "attack_accuracy": rate + 0.01 * trial,
            "chance_accuracy": 0.125,
            "main_accuracy": 1 / 3,
            "status": "ok",
            "seconds": 0.5,
        }
        | changes
        for defense, strength, rate in (
            ("none", None, 0.9),
            ("dp_gaussian", 0.001, 0.4),
        )
        for trial in range(3)
    ]


def render(summaries, width=100):
    printed = io.StringIO()
    console = Console(width=width, file=printed, color_system=None)
    console.print(terminal_table(summaries))
    return printed.getvalue()


def test_what_never_varies_is_said_once_above():
    layout = lay_out(summarize(make_rows()))
    assert layout.headings == [
        "defense",
        "attack %",
        "chance %",
        "main task %",
        "s/trial",
    ]
    assert "dataset: digits" in layout.constants_line
    assert "trials: 3" in layout.constants_line
    assert "published" not in layout.constants_line  # no row has one


def test_cells_worked_by_hand():
    # Rates 0.90, 0.91, 0.92: s = 0.01, half-width 4.302653 * 0.01 / sqrt(3) = 0.02484.
    layout = lay_out(summarize(make_rows()))
    assert layout.cells[0] == ("none", "91.0 ± 2.5", "12.5", "33.3 ± 0.0", "0.5")
    assert layout.cells[1][0] == "dp_gaussian noise_std=0.001"


def test_markdown_shape():
    blocks = markdown_table(summarize(make_rows())).rstrip("\n").split("\n\n")
    assert blocks[0].startswith("dataset: digits, ")
    lines = blocks[1].split("\n")
    assert len(lines) == 2 + 2
    assert {line.count("|") for line in lines} == {6}
    assert lines[1] == "| --- | ---: | ---: | ---: | ---: |"


def test_a_bar_in_a_label_does_not_open_a_column():
    rows = make_rows()
    rows[0] |= {"attack": "a|b"}
    line = markdown_table(summarize(rows)).split("\n")[4]
    assert r"a\|b" in line


def test_csv_gives_back_every_number():
    summaries = summarize(make_rows())
    rows = list(csv.DictReader(io.StringIO(csv_table(summaries))))
    names = [name for name in Summary._fields if name != "further"]
    assert list(rows[0]) == names
    for row, summary in zip(rows, summaries, strict=True):
        for name in names:
            value = getattr(summary, name)
            if value is None:
                assert row[name] == ""
            elif isinstance(value, float):
                assert float(row[name]) == value
            else:
                assert row[name] == str(value)


def test_further_rates_are_columns_of_the_csv_where_an_attack_has_them():
    rows = make_rows()
    rows[0]["auc"] = 0.25
    first, second = csv.DictReader(io.StringIO(csv_table(summarize(rows))))
    assert list(first)[-4:] == ["auc_number", "auc_mean", "auc_low", "auc_high"]
    assert [first[f"auc_{end}"] for end in ("number", "mean", "low")] == [
        "1",
        "0.25",
        "",
    ]
    assert (second["auc_number"], second["auc_mean"]) == ("0", "")


def test_an_area_under_the_curve_is_a_column_where_an_attack_has_one():
    rows = make_rows()
    for trial, row in enumerate(rows[:3]):
        row["auc"] = 0.70 + 0.01 * trial  # half-width 0.02484, as above
    summaries = summarize(rows)
    layout = lay_out(summaries)
    column = layout.headings.index("AUC")
    assert [cells[column] for cells in layout.cells] == ["0.71 ± 0.02", "-"]
    assert "AUC" not in lay_out(summarize(make_rows())).headings
    assert render(summaries).count("0.71 ± 0.02") == 1


def test_variant_known_labels_and_optimizer_are_columns_where_they_vary():
    rows = [
        *make_rows(variant="25 %"),
        *make_rows(
            variant="50 %",
            view="trained_model",
            attack="active_4",
            known_per_class=4.0,
            adversary_optimizer="malicious",
        ),
    ]
    layout = lay_out(summarize(rows))
    cells = dict(zip(layout.headings, layout.cells[2], strict=True))
    assert (cells["variant"], cells["known per class"]) == ("50 %", "4")
    assert cells["optimizer"] == "malicious"
    cells = dict(zip(layout.headings, layout.cells[0], strict=True))
    assert (cells["known per class"], cells["optimizer"]) == ("-", "-")


def test_the_terminal_table_has_a_column_per_attack_in_100_columns():
    rows = [
        row
        for view, attack in (
            ("sample_gradient", "direct_inference"),
            ("batch_gradient", "linear_recovery"),
            ("batch_gradient", "gradient_inversion"),
        )
        for row in make_rows(view=view, attack=attack)
    ]
    for row in rows:
        if row["attack"] == "direct_inference":
            row["published_accuracy"] = 0.25
        if row["attack"] == "gradient_inversion":
            row["published_accuracy"] = row["attack_accuracy"]
    rows[-1]["status"] = "non_finite"
    text = render(summarize(rows))
    assert max(map(len, text.split("\n"))) <= 100
    (undefended,) = (line for line in text.split("\n") if line.startswith(" none"))
    assert undefended.count("91.0 ± 2.5") == 3
    assert undefended.count("25.0") == 1
    assert undefended.split()[:2] == ["none", "12.5"]
    assert text.count("published") == 1
    assert text.count("plaintext") == 2
    assert text.count("(1 failed)") == 1
    assert text.count("noise_std=0.001") == 1


def test_labels_are_not_taken_for_markup():
    rows = make_rows()
    rows[0] |= {"attack": "solve[/bold]"}
    assert "solve[/bold]" in render(summarize(rows))


def test_below_chance_is_marked_and_explained():
    rows = make_rows()
    for row in rows[:3]:
        row["attack_accuracy"] = 0.0
    summaries = summarize(rows)
    assert lay_out(summaries).cells[0][1] == "0.0 ± 0.0 †"
    for text in (render(summaries, width=300), markdown_table(summaries)):
        assert "read it as leakage, not protection" in text
    assert not lay_out(summarize(make_rows())).footnotes


def test_leaking_up_to_names_is_marked_and_explained():
    rows = [
        row | {"matched_accuracy": 0.99, "matched_chance": 0.25} for row in make_rows()
    ]
    for row in rows[:3]:
        row["attack_accuracy"] = 0.13
    summaries = summarize(rows)
    layout = lay_out(summaries)
    column = layout.headings.index("up to names % (chance)")
    assert layout.cells[0][1] == "13.0 ± 0.0 §"
    assert layout.cells[0][column] == "99.0 ± 0.0 (25.0)"
    for text in (render(summaries, width=300), markdown_table(summaries)):
        assert "the labels leak up to the names of the classes" in text


def test_many_attacks_get_several_tables_in_100_columns():
    rows = [row for index in range(8) for row in make_rows(attack=f"attack_{index}")]
    for row in rows:
        row["is_adaptive"] = row["attack"] == "attack_7"
    text = render(summarize(rows))
    assert max(map(len, text.split("\n"))) <= 100
    assert text.count("91.0 ± 2.5") == 8
    assert text.count("adaptive") == 1
    assert "…" not in text


def test_a_mean_over_fewer_trials_is_marked():
    rows = make_rows()
    rows[0]["main_accuracy"] = None
    layout = lay_out(summarize(rows))
    assert layout.cells[0][3] == "33.3 ± 0.0 ‡"
    assert layout.cells[1][3] == "33.3 ± 0.0"


def test_failed_trials_are_shown():
    rows = make_rows()
    rows[4]["status"] = "non_finite"
    layout = lay_out(summarize(rows))
    column = layout.headings.index("failed")
    assert [cells[column] for cells in layout.cells] == ["0", "1"]


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        ((0.973, 0.965, 0.981), "97.3 ± 0.8"),
        ((0.99, 0.95, 1.0), "99.0 ± 4.0"),
        ((0.01, 0.0, 0.05), "1.0 ± 4.0"),
        ((0.5, None, None), "50.0"),
        ((None, None, None), "-"),
    ],
)
def test_percent(rate, text):
    assert percent(*rate) == text


def test_no_summaries_are_refused():
    with pytest.raises(ValueError, match="summaries is empty"):
        markdown_table([])
