import io

import pytest
from rich.console import Console

from vfljax.reports.completion import (
    completion_notes,
    has_completion,
    is_all_completion,
    lay_out_completion,
    lay_out_short_completion,
)
from vfljax.reports.statistics import summarize
from vfljax.reports.terminal import terminal_completion


def make_row(attack, rate, **changes):
    return {
        "dataset": "digits",
        "protocol": "model_splitting",
        "view": "trained_model",
        "train_step": 900,
        "batch_size": 64,
        "num_classes": 10,
        "defense": "none",
        "attack": attack,
        "known_per_class": 4.0,
        "adversary_optimizer": "benign",
        "trial": 0,
        "attack_accuracy": rate,
        "best_attack_accuracy": rate + 0.01,
        "test_attack_accuracy": rate + 0.02,
        "best_test_attack_accuracy": rate + 0.03,
        "chance_accuracy": 0.125,
        "main_accuracy": 0.9,
        "status": "ok",
    } | changes


@pytest.fixture
def rows():
    malicious = {"adversary_optimizer": "malicious", "main_accuracy": 0.85}
    return [
        make_row("passive", 0.50),
        make_row("passive", 0.52, trial=1),
        make_row("active", 0.70, **malicious),
        make_row("active", 0.70, trial=1, **malicious),
    ]


def render(summaries, width):
    printed = io.StringIO()
    console = Console(width=width, file=printed, color_system=None)
    console.print(terminal_completion(summaries, width))
    return printed.getvalue()


def test_one_line_per_attack_and_constants_above(rows):
    layout = lay_out_completion(summarize(rows))
    # Two trials 0.02 apart: half-width 12.7062 * 0.01 = 0.127062.
    assert dict(zip(layout.headings, layout.cells[0], strict=True)) == {
        "attack": "passive",
        "optimizer": "benign",
        "train % last": "51.0 ± 12.7",
        "train % best": "52.0",
        "test % last": "53.0",
        "test % best": "54.0",
        "chance %": "12.5",
        "main task %": "90.0 ± 0.0",
    }
    assert layout.cells[1][-1] == "85.0 ± 0.0"
    assert ("known per class", "4") in layout.constants
    assert "variant" not in layout.constants_line


def test_other_scores_are_columns_where_they_are_and_tables_on_a_terminal(rows):
    for row in rows:
        row |= {"attack_top5": 0.8, "best_attack_top5": 0.9, "main_top5": 0.95}
    summaries = summarize(rows)
    layout = lay_out_completion(summaries)
    first = dict(zip(layout.headings, layout.cells[0], strict=True))
    assert first["train top-5 % last"] == "80.0 ± 0.0"
    assert first["train top-5 % best"] == "90.0"
    assert first["main task top-5 %"] == "95.0"
    assert "test top-5 % last" not in first
    (accuracy, _), (top5, _) = lay_out_short_completion(summaries)
    assert "train % last" in accuracy.headings
    assert top5.headings[-2:] == ["train top-5 % best", "main task top-5 %"]


def test_a_rate_that_some_trials_have_is_marked(rows):
    rows[1]["best_attack_accuracy"] = None
    layout = lay_out_completion(summarize(rows))
    assert "51.0 ‡" in layout.cells[0]
    assert layout.footnotes


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_terminal_leaves_columns_out_and_cuts_no_word(rows, width):
    rows = [
        row
        | {
            "variant": variant,
            "num_parties": int(variant[0]),
            "defense": defense,
            "strength_name": "share_kept",
            "defense_strength": 0.25,
        }
        for row in rows
        for variant in ("2 parties", "4 parties")
        for defense in ("sparsification", "gradient_compression")
    ]
    text = render(summarize(rows), width)
    assert max(map(len, text.split("\n"))) <= width
    for word in ("gradient_", "compression", "kept=0.25", "4 parties", "passive"):
        assert word in text
    assert text.count("51.0 ± 12.7") == 4
    assert ("malicious" in text) is (width == 120)  # the attack tells it
    assert ("54.0" in text) is (width > 60)  # the rates of an oracle go first


def test_repeated_settings_are_said_once_on_a_terminal(rows):
    rows += [row | {"defense": "rounding"} for row in rows]
    text = render(summarize(rows), 80)
    assert text.count("rounding") == 1


def test_notes_say_what_the_rows_need(rows):
    notes = " ".join(completion_notes(summarize(rows)))
    assert "no attacker can choose" in notes
    assert "malicious" in notes
    assert "share of the classes" not in notes
    rows[0]["known_per_class"] = 0.2
    assert "share of the classes" in " ".join(completion_notes(summarize(rows)))
    assert "malicious" not in " ".join(completion_notes(summarize(rows[:2])))


def test_attacks_on_messages_are_left_out(rows):
    other = make_row("direct_inference", 0.9, view="sample_gradient")
    summaries = summarize([*rows, other])
    assert len(lay_out_completion(summaries).cells) == 2
    assert has_completion(summaries)
    assert not is_all_completion(summaries)
    assert is_all_completion(summarize(rows))
    assert not has_completion(summarize([other]))


def test_what_all_labels_would_give_is_a_column_where_it_is(rows):
    """Two trials, .4 and .6 on the adversary's features alone: 50.0."""
    assert "all labels %" not in lay_out_completion(summarize(rows)).headings
    bounded = [row | {"alone_accuracy": 0.4 + 0.2 * row["trial"]} for row in rows]
    layout = lay_out_completion(summarize(bounded))
    place = layout.headings.index("all labels %")
    assert [cells[place] for cells in layout.cells] == ["50.0", "50.0"]
    assert any("all labels:" in note for note in completion_notes(summarize(bounded)))
