import io

from rich.console import Console

from vfljax.reports.budget import budget_sentences, has_budget, lay_out_budget
from vfljax.reports.statistics import summarize
from vfljax.reports.terminal import terminal_layout


def make_row(**changes):
    return {
        "dataset": "digits",
        "view": "batch_gradient",
        "train_step": 0,
        "batch_size": 64,
        "num_classes": 10,
        "defense": "none",
        "attack": "linear_recovery",
        "trial": 0,
        "attack_accuracy": 1.0,
        "chance_accuracy": 0.125,
        "status": "ok",
    } | changes


def make_noised(strength, epsilon, **changes):
    account = {
        "defense": "dp_gaussian",
        "strength_name": "noise_std",
        "defense_strength": strength,
        "attack_accuracy": 0.4,
        "label_epsilon": epsilon,
        "label_delta": 1e-5,
        "label_epsilon_training": None if epsilon is None else 1234.5678,
        "allowed_accuracy": 0.5,
        "budget": f"ε = {epsilon}.",
    }
    return make_row(**account | changes)


def test_one_line_per_accounted_setting_with_its_strongest_attack():
    rows = [
        make_row(),
        make_noised(0.1, 1.23456),
        make_noised(0.1, 1.23456, attack="noise_aware", attack_accuracy=0.45),
        make_noised(0.0, None),
    ]
    layout = lay_out_budget(summarize(rows))
    assert layout.headings == [
        "defense",
        "ε per message",
        "ε over training",
        "allowed %",
        "best attack %",
        "by",
        "chance %",
    ]
    first, second = layout.cells
    assert first[:4] == ("dp_gaussian noise_std=0.1", "1.23", "1.23e+03", "50.0")
    assert first[4:] == ("45.0", "noise_aware", "12.5")
    assert second[:4] == ("dp_gaussian noise_std=0", "∞", "∞", "50.0")
    assert second[4:] == ("40.0", "linear_recovery", "12.5")
    assert ("δ", "1e-05") in layout.constants


def test_no_word_is_cut_in_80_columns():
    rows = [
        make_noised(0.125, 1.23456, view=view, attack="repeated_observation")
        for view in ("batch_gradient", "sample_gradient")
    ]
    printed = io.StringIO()
    console = Console(width=80, file=printed, color_system=None)
    console.print(terminal_layout(lay_out_budget(summarize(rows)), width=80))
    text = printed.getvalue()
    assert max(map(len, text.split("\n"))) <= 80
    assert text.count("noise_std=0.125") == text.count("repeated_observation") == 2
    assert text.count("chance %: 12.5") == 1
    assert text.index("view: encrypted") < text.index("view: plaintext")


def test_each_sentence_once_with_what_it_depends_on():
    rows = [
        make_noised(0.1, epsilon, batch_size=batch_size, train_step=step)
        for batch_size, epsilon in ((8, 5.0), (64, 0.6))
        for step in (0, 10)
    ]
    assert budget_sentences(summarize(rows)) == [
        "dp_gaussian noise_std=0.1, batch size 8: ε = 5.0.",
        "dp_gaussian noise_std=0.1, batch size 64: ε = 0.6.",
    ]


def test_a_run_without_accounts_has_no_budget():
    assert not has_budget(summarize([make_row()]))
    assert has_budget(summarize([make_row(), make_noised(0.1, 1.0)]))
