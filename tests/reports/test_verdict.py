import io

import pytest
from rich.console import Console

from vfljax.reports.layout import markdown
from vfljax.reports.statistics import summarize
from vfljax.reports.strongest import judge
from vfljax.reports.terminal import terminal_verdict
from vfljax.reports.verdict import has_verdict, lay_out_verdict


def make_row(attack, rate, **changes):
    return {
        "dataset": "digits",
        "view": "batch_gradient",
        "train_step": 0,
        "batch_size": 64,
        "num_classes": 10,
        "defense": "cae",
        "defense_strength": 0.5,
        "strength_name": "entropy_weight",
        "attack": attack,
        "trial": 0,
        "attack_accuracy": rate,
        "chance_accuracy": 0.125,
        "matched_accuracy": 0.25,
        "matched_chance": 0.25,
        "status": "ok",
    } | changes


@pytest.fixture
def rows():
    """One trial each: names are hidden from two naive attacks, not from the others."""
    return [
        make_row("linear_recovery", 0.0, matched_accuracy=0.9),
        make_row("gradient_inversion", 0.01, published_accuracy=0.06),
        make_row(
            "cluster_matching",
            0.8,
            is_adaptive=True,
            knowledge="1 named sample per class",
            matched_accuracy=0.8,
        ),
        make_row("known_encoder", 0.7, is_adaptive=True, main_accuracy=0.9),
        make_row("direct_inference", 0.75, view="sample_gradient"),
    ]


def cells(layout, line=0):
    return dict(zip(layout.headings, layout.cells[line], strict=True))


def test_one_verdict_per_view_and_the_strongest_of_each_kind(rows):
    encrypted, plaintext = judge(summarize(rows))
    assert encrypted.naive is not None
    assert encrypted.naive.attack == "gradient_inversion (published)"
    assert encrypted.naive.attack_mean == 0.06
    assert encrypted.naive.hides_names_only
    assert encrypted.adaptive is not None
    assert encrypted.adaptive.attack == "cluster_matching"
    assert encrypted.up_to_names is not None
    assert encrypted.up_to_names.attack == "linear_recovery"
    assert encrypted.strongest is encrypted.adaptive
    assert not encrypted.hides_names_only  # 0.675 beyond chance, of 0.65
    assert encrypted.model.main_mean == 0.9
    assert plaintext.naive is not None
    assert plaintext.naive.attack_mean == 0.75
    assert plaintext.adaptive is None


def test_a_published_readout_of_some_trials_only_is_no_reading(rows):
    rows.append(make_row("gradient_inversion", 0.01, trial=1))
    naive = judge(summarize(rows))[0].naive
    assert naive is not None
    assert naive.attack == "gradient_inversion"


def test_the_naive_attack_wins_a_tie(rows):
    rows = [make_row("naive", 0.5), make_row("adaptive", 0.5, is_adaptive=True)]
    (verdict,) = judge(summarize(rows))
    assert verdict.strongest is verdict.naive


def test_the_markdown_table_names_attacks_and_knowledge(rows):
    layout = lay_out_verdict(summarize(rows))
    first = cells(layout)
    assert first["view"] == "batch_gradient"
    assert first["main task %"] == "90.0"
    assert first["naive attack %"] == "6.0 † §"
    assert first["adaptive attack %"] == "80.0"
    assert first["which knows"] == "1 named sample per class"
    assert first["up to names % (chance)"] == "90.0 (25.0)"
    assert first["chance %"] == "12.5"
    second = cells(layout, 1)
    assert second["adaptive attack %"] == second["which knows"] == "-"
    assert second["up to names % (chance)"] == "≈ chance"
    assert "| cluster_matching |" in markdown(layout)
    assert "leak up to the names" in "".join(layout.footnotes)


def test_the_terminal_table_has_one_line_per_model_and_letters_for_attacks(rows):
    printed = io.StringIO()
    console = Console(width=80, file=printed, color_system=None)
    console.print(terminal_verdict(summarize(rows), width=80))
    lines = [line.rstrip() for line in printed.getvalue().split("\n")]
    assert max(map(len, lines)) <= 80
    encrypted = lines.index("view: encrypted")
    plaintext = lines.index("view: plaintext")
    assert " ".join(lines[:encrypted]).rstrip().endswith("chance %: 12.5")
    squeezed = [squeeze(line) for line in lines]
    assert "90.0  6.0 † § a  80.0 b  90.0 (25.0)" in squeezed[encrypted:plaintext]
    assert "90.0  75.0 c  ≈ chance" in squeezed[plaintext:]
    assert "a  gradient_inversion (published)" in lines
    assert "b  cluster_matching, knows 1 named sample per class" in lines
    assert "c  direct_inference" in lines


def squeeze(line):
    """Gaps of any width as two spaces."""
    return "  ".join(part.strip() for part in line.split("  ") if part.strip())


def test_no_word_is_cut_in_80_columns(rows):
    rows = [
        row | {"defense": "gradient_compression", "train_step": step, "num_classes": n}
        for row in rows
        for step in (0, 200)
        for n in (2, 10)
    ]
    printed = io.StringIO()
    console = Console(width=80, file=printed, color_system=None)
    console.print(terminal_verdict(summarize(rows), width=80))
    text = printed.getvalue()
    assert max(map(len, text.split("\n"))) <= 80
    assert "entropy_weight=0.5" in text
    assert "…" not in text


def test_the_main_task_is_that_of_benign_training(rows):
    active = make_row(
        "active",
        0.9,
        view="trained_model",
        is_adaptive=True,
        adversary_optimizer="malicious",
        main_accuracy=0.5,
    )
    passive = active | {
        "attack": "passive",
        "attack_accuracy": 0.6,
        "adversary_optimizer": "benign",
        "main_accuracy": 0.8,
    }
    (verdict,) = judge(summarize([active, passive]))
    assert verdict.strongest.attack == "active"
    assert verdict.model.main_mean == 0.8
    # Without a benign attack on this view: that of the same model on another one.
    verdict = judge(summarize([active, *rows]))[0]
    assert (verdict.model.view, verdict.model.main_mean) == ("trained_model", 0.9)
    (verdict,) = judge(summarize([active]))
    assert verdict.model.main_mean == 0.5


def test_knowledge_that_changes_with_the_step(rows):
    rows = [
        make_row(
            "repeated",
            0.5,
            train_step=step,
            is_adaptive=True,
            knowledge=f"{step} messages",
        )
        for step in (1, 8)
    ]
    layout = lay_out_verdict(summarize(rows))
    assert [cells(layout, line)["which knows"] for line in (0, 1)] == [
        "1 messages",
        "8 messages",
    ]


def test_a_run_without_adaptive_attacks_has_no_verdict(rows):
    assert has_verdict(summarize(rows))
    assert not has_verdict(summarize(rows[:2]))
