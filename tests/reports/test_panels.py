"""What each panel's table says of rows made by hand."""

import pytest

from vfljax.reports.frame import summarize
from vfljax.reports.panels import PANELS
from vfljax.reports.panels.all_attacks import ALL_ATTACKS, BACKDOORS, COMPLETION_PANEL
from vfljax.reports.panels.budget import BUDGET, UPDATE_BUDGET
from vfljax.reports.panels.defenses import DEFENSES, table
from vfljax.reports.panels.who_sees import WHO_SEES


def lines(laid):
    """The lines of a table by their headings."""
    return [dict(zip(laid.headings, cells, strict=True)) for cells in laid.cells]


def fill(panel, rows):
    """The lines and notes of a panel that wants these rows."""
    part = panel.fill(summarize(rows))
    assert part
    return lines(part.table), " ".join(part.notes)


def test_panels_have_names_and_titles_of_their_own(swept_rows):
    assert len({panel.name for panel in PANELS}) == len(PANELS)
    assert len({panel.title for panel in PANELS}) == len(PANELS)
    parts = [panel.fill(summarize(swept_rows)) for panel in PANELS]
    assert all(part.panel.caption for part in parts if part and part.figure)


def test_every_panel_is_wanted_by_some_run_only(make_row):
    frame = summarize([make_row()])
    wanted = [panel.name for panel in PANELS if panel.fill(frame)]
    assert wanted == ["who_sees", "defenses", "all_attacks"]


def test_who_sees_what(swept_rows):
    (plaintext, encrypted), _ = fill(WHO_SEES, swept_rows)
    assert plaintext["the attacker sees"] == "plaintext messages"
    assert plaintext["it may know"] == "nothing"
    assert plaintext["attacks tried"] == "linear_recovery"
    assert encrypted["it may know"] == "the noise scale"
    assert encrypted["attacks tried"] == "linear_recovery, smoothing"
    assert encrypted["that is"].startswith("Messages are encrypted")


def test_defenses_beside_what_knows_them(swept_rows):
    found, notes = fill(DEFENSES, swept_rows)
    assert [line["setting"] for line in found] == ["Plaintext messages"] * 4 + [
        "Encrypted messages"
    ] * 4
    noise = found[2]
    assert noise["defense"] == "gaussian noise_std=0.1"
    assert (noise["ignores it %"], noise["knows it %"]) == ("50.0 ± 0.0", "not tried")
    assert noise["main task % (change)"] == "93.0 ± 0.0 (-2.0)"
    assert noise["knows it: by"] == "-"
    bare, *_, rounding = found[4:]
    assert (bare["ignores it %"], bare["knows it %"]) == ("95.5 ± 0.0", "96.5 ± 0.0")
    assert (bare["knows"], bare["main task % (change)"]) == ("-", "95.0 ± 0.0")
    assert (rounding["ignores it %"], rounding["knows it %"]) == (
        "83.0 ± 0.0",
        "84.0 ± 0.0",
    )
    assert (rounding["knows it: by"], rounding["knows"]) == (
        "smoothing",
        "the noise scale",
    )
    assert rounding["chance %"] == "12.5"
    assert "may always use an attack that ignores it" in notes


def test_knowing_is_never_below_ignoring(swept_rows):
    for row in swept_rows:
        if row.get("is_adaptive"):
            row["attack_accuracy"] = 0.2
    found, _ = fill(DEFENSES, swept_rows)
    for line in found[4:]:
        assert line["ignores it %"] == line["knows it %"] != "20.0 ± 0.0"


def test_the_short_table_has_at_most_seven_columns(swept_rows):
    rows = swept_rows + [row | {"batch_size": 8} for row in swept_rows]
    laid = table(summarize(rows), is_short=True)
    assert laid.headings == [
        "setting",
        "defense",
        "ignores it %",
        "knows it %",
        "chance %",
        "main task % (change)",
    ]
    assert laid.num_groups == 1
    assert laid.cells[0][0] == "Plaintext messages, batch size 64"
    assert laid.cells[1][-1] == "94.0 (-1.0)"


def test_what_is_found_up_to_names(make_row):
    hidden = {"matched_accuracy": 0.9, "matched_chance": 0.25}
    rows = [
        make_row(attack_accuracy=0.05, **hidden),
        make_row(
            attack="other",
            attack_accuracy=0.06,
            matched_accuracy=0.3,
            matched_chance=0.25,
        ),
        make_row(batch_size=8, matched_accuracy=0.3, matched_chance=0.25),
        make_row(batch_size=4),
    ]
    found, _ = fill(DEFENSES, rows)
    column = "up to names % (chance)"
    assert [line[column] for line in found] == ["90.0 (25.0) §", "≈ chance", "-"]
    assert found[0]["found %"] == "6.0 § "[:-1]
    assert "setting" in found[0]


def test_every_attack_on_messages(swept_rows, make_row):
    rows = [*swept_rows, make_row(view="message_rows"), make_row(view="trained_model")]
    found, notes = fill(ALL_ATTACKS, rows)
    assert len(found) == 12
    assert found[4]["the attacker sees"] == "encrypted messages"
    assert [line["knows"] for line in found[4:8]] == ["-", "-", "-", "the noise scale"]
    assert "found %: Labels found by the attack" in notes
    assert "AUC" not in notes
    assert not ALL_ATTACKS.fill(summarize(rows[-2:]))


def test_what_is_found_is_not_called_labels_where_it_is_something_else(make_row):
    own = make_row(goal="memberships", attack="counting")
    found, notes = fill(ALL_ATTACKS, [make_row(), own])
    assert [line["found are"] for line in found] == ["-", "memberships"]
    assert "found %: Labels found by the attack" in notes
    assert "found are: What found % is the share of" in notes
    _, notes = fill(ALL_ATTACKS, [own])
    assert "Labels" not in notes


def test_failed_trials_are_shown(make_rows):
    rows = [
        *make_rows([0.5, 0.5]),
        *make_rows([0.5, 0.5], attack="other", status=["ok", "non_finite"]),
    ]
    found, _ = fill(ALL_ATTACKS, rows)
    assert [line["failed"] for line in found] == ["0", "1"]


@pytest.fixture
def completed(make_rows):
    """A passive and an active attack on a trained model, two trials each."""
    common = {
        "view": "trained_model",
        "known_per_class": 4.0,
        "best_attack_accuracy": [0.51, 0.53],
        "test_attack_accuracy": 0.53,
        "best_test_attack_accuracy": 0.54,
    }
    malicious = {"adversary_optimizer": "malicious", "main_accuracy": 0.85}
    return [
        *make_rows([0.50, 0.52], attack="passive", main_accuracy=0.9, **common),
        *make_rows([0.70, 0.70], attack="active", **malicious, **common),
    ]


def test_completion_has_a_line_per_attack(completed):
    (passive, active), notes = fill(COMPLETION_PANEL, completed)
    # Two trials 0.02 apart: half-width 12.7062 * 0.01 = 0.127062.
    assert passive == {
        "attack": "passive",
        "optimizer": "benign",
        "train % last": "51.0 ± 12.7",
        "train % best": "52.0",
        "test % last": "53.0",
        "test % best": "54.0",
        "chance %": "12.5",
        "main task %": "90.0 ± 0.0",
    }
    assert active["main task %"] == "85.0 ± 0.0"
    assert "no attacker can choose" in notes
    assert "optimizer: How the attacker trains" in notes
    assert "batch F1" not in notes


def test_other_scores_of_a_completed_model_are_columns_where_they_are(completed):
    more = {"attack_top5": 0.8, "best_attack_top5": 0.9, "main_top5": 0.95}
    more |= {"attack_fu_batch_f1": 0.4, "alone_accuracy": 0.6}
    found, notes = fill(COMPLETION_PANEL, [row | more for row in completed])
    assert found[0]["train top-5 % last"] == "80.0 ± 0.0"
    assert found[0]["train top-5 % best"] == "90.0"
    assert found[0]["train batch F1 % last"] == "40.0 ± 0.0"
    assert found[0]["main task top-5 %"] == "95.0"
    assert found[0]["attacker alone %"] == "60.0"
    assert "test top-5 % last" not in found[0]
    assert "batch F1: as in the code of Fu et al. 2022" in notes
    assert "attacker alone %: Test accuracy" in notes


def test_backdoors_stay_apart(make_rows, make_row):
    planted = {"view": "message_rows", "chance_accuracy": 0.02, "main_accuracy": 0.9}
    rows = [
        *make_rows([0.1, 0.3], attack="weak", amplification=1.0, **planted),
        *make_rows(
            [0.8],
            attack="strong",
            published_accuracy=0.9,
            amplification=10.0,
            **planted,
        ),
        *make_rows(
            [0.5], attack="flip", inferred_accuracy=0.75, amplification=10.0, **planted
        ),
        make_row(),
    ]
    found, notes = fill(BACKDOORS, rows)
    assert [line["backdoor"] for line in found] == ["weak", "strong", "flip"]
    assert [line["amplification"] for line in found] == ["1", "10", "10"]
    assert found[0]["backdoor %"].startswith("20.0 ±")
    assert [line["own class included %"] for line in found] == ["-", "90.0", "-"]
    assert {line["without trigger %"] for line in found} == {"2.0"}
    assert [line["labels inferred %"] for line in found] == ["-", "-", "75.0"]
    assert "each backdoor has a training of its own" in notes
    assert not BACKDOORS.fill(summarize([make_row()]))


def test_budgets_beside_the_strongest_attack(make_row):
    def noised(strength, epsilon, rate=0.4, **changes):
        account = {
            "defense": "dp_gaussian",
            "strength_name": "noise_std",
            "defense_strength": strength,
            "attack_accuracy": rate,
            "label_epsilon": epsilon,
            "label_delta": 1e-5,
            "label_epsilon_training": None if epsilon is None else 1234.5678,
            "allowed_accuracy": 0.5,
            "budget": f"ε = {epsilon}.",
        }
        return make_row(**account | changes)

    rows = [
        make_row(),
        noised(0.1, 1.23456),
        noised(0.1, 1.23456, 0.45, attack="noise_aware"),
        noised(0.0, None),
        noised(0.0, None, batch_size=8),
    ]
    (first, second, _), notes = fill(BUDGET, rows)
    assert first == {
        "batch": "64",
        "defense": "dp_gaussian noise_std=0.1",
        "δ": "1e-05",
        "ε per message": "1.23",
        "ε over training": "1.23e+03",
        "allowed %": "50.0",
        "best attack %": "45.0",
        "by": "noise_aware",
        "chance %": "12.5",
    }
    assert (second["ε per message"], second["ε over training"]) == ("∞", "∞")
    assert notes.count("dp_gaussian noise_std=0.1, batch size 64: ε = 1.23456.") == 1
    assert "dp_gaussian noise_std=0, batch size 8: ε = None." in notes
    assert "a measured rate above it is no contradiction" in notes
    assert not BUDGET.fill(summarize([make_row()]))


def test_budgets_of_updates_say_whom_they_protect(make_row):
    def noised(defense, protects, epsilon):
        return make_row(
            defense=defense,
            view="update",
            protects=protects,
            epsilon=epsilon,
            delta=1e-5,
            guarantee=f"For {protects}.",
        )

    rows = [
        noised("dp", "a participant", 2.34567),
        noised("sgd", "a record", None),
        make_row(),
    ]
    found, notes = fill(UPDATE_BUDGET, rows)
    assert [(line["protected is"], line["ε"]) for line in found] == [
        ("a participant", "2.35"),
        ("a record", "∞"),
    ]
    assert "dp: For a participant." in notes
    assert "neither properties that several of them share" in notes
    assert "ε per message" not in found[0]
    assert not BUDGET.fill(summarize(rows))
    assert not UPDATE_BUDGET.fill(summarize([make_row()]))
