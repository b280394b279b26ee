"""The strongest attack on a model is the only one that a defense is judged by."""

import pytest

from vfljax.reports.frame import naive, strongest, summarize


@pytest.fixture
def attacks(make_row):
    """One trial each: names are hidden from two naive attacks, not from the others."""
    cae = {"defense": "cae", "defense_strength": 0.5, "strength_name": "entropy_weight"}
    cae |= {"matched_accuracy": 0.25, "matched_chance": 0.25}

    def attack(name, rate, **changes):
        return make_row(**cae | {"attack": name, "attack_accuracy": rate} | changes)

    knows = {"is_adaptive": True, "knowledge": "1 named sample per class"}
    return [
        attack("linear_recovery", 0.0, matched_accuracy=0.9),
        attack("gradient_inversion", 0.01, published_accuracy=0.06),
        attack("cluster_matching", 0.8, matched_accuracy=0.8, **knows),
        attack("known_encoder", 0.7, is_adaptive=True, main_accuracy=0.9),
        attack("direct_inference", 0.75, view="sample_gradient"),
    ]


def test_one_line_per_view_and_the_strongest_of_each_kind(attacks):
    summary = summarize(attacks).summary
    encrypted, plaintext = strongest(summary).to_dicts()
    assert encrypted["attack"] == "cluster_matching"
    assert encrypted["attack_accuracy"] == 0.8
    assert not encrypted["hides_names_only"]  # 0.675 beyond chance, of 0.65
    assert (encrypted["main_accuracy"], plaintext["main_accuracy"]) == (0.9, 0.9)
    assert encrypted["is_knowing_tried"] is True
    assert plaintext["is_knowing_tried"] is False
    ignoring = naive(summary).row(0, named=True)
    assert ignoring["attack"] == "gradient_inversion (published)"
    assert ignoring["attack_accuracy"] == 0.06
    assert ignoring["hides_names_only"]
    assert encrypted["matched_accuracy"] == 0.9  # by linear_recovery


def test_knowing_the_defense_is_never_worse_than_ignoring_it(attacks):
    """The strongest of all is what an attacker finds who knows the defense."""
    for row in attacks:
        if row.get("is_adaptive"):
            row["attack_accuracy"] = 0.02
    summary = summarize(attacks).summary
    best, ignoring = strongest(summary), naive(summary)
    assert best["attack_accuracy"].to_list() == [0.06, 0.75]
    assert ignoring["attack_accuracy"].to_list() == [0.06, 0.75]
    assert best["is_knowing_tried"].to_list() == [True, False]


def test_where_there_is_no_defense_there_is_none_to_know(make_row):
    assert strongest(summarize([make_row()]).summary)["is_knowing_tried"].all()


def test_a_model_without_a_naive_attack_has_no_naive_line(attacks):
    assert naive(summarize(attacks[2:4]).summary).height == 0


def test_a_published_readout_of_some_trials_only_is_no_reading(attacks):
    inversion = attacks[1] | {"trial": 1, "published_accuracy": None}
    best = naive(summarize([*attacks, inversion]).summary)
    assert best["attack"][0] == "gradient_inversion"


def test_the_published_readout_of_a_backdoor_is_no_reading(make_row):
    """It counts samples that need no trigger."""
    row = make_row(view="message_rows", attack_accuracy=0.5, published_accuracy=0.9)
    assert strongest(summarize([row]).summary)["attack_accuracy"][0] == 0.5


def test_the_naive_attack_wins_a_tie_and_then_the_first(make_row):
    rows = [
        make_row(attack="knowing", is_adaptive=True),
        make_row(attack="ignoring", is_adaptive=False),
        make_row(attack="ignoring too", is_adaptive=False),
    ]
    assert strongest(summarize(rows).summary)["attack"][0] == "ignoring"


def test_any_failed_trial_on_a_model_is_known_of_its_strongest_attack(make_row):
    rows = [make_row(), make_row(attack="weak", attack_accuracy=0.1, status="failed")]
    (best,) = strongest(summarize(rows).summary).to_dicts()
    assert (best["attack"], best["num_failed"]) == ("linear_recovery", 0)
    assert best["any_failed"]


def test_the_main_task_is_that_of_benign_training(attacks):
    active = attacks[0] | {
        "attack": "active",
        "view": "trained_model",
        "adversary_optimizer": "malicious",
        "attack_accuracy": 0.9,
        "main_accuracy": 0.5,
    }
    passive = active | {
        "attack": "passive",
        "attack_accuracy": 0.6,
        "adversary_optimizer": "benign",
        "main_accuracy": 0.8,
    }
    (best,) = strongest(summarize([active, passive]).summary).to_dicts()
    assert (best["attack"], best["main_accuracy"]) == ("active", 0.8)
    # Without a benign attack on this view: that of the same model on another one.
    best = strongest(summarize([active, *attacks]).summary).row(0, named=True)
    assert (best["view"], best["main_accuracy"]) == ("trained_model", 0.9)
    (best,) = strongest(summarize([active]).summary).to_dicts()
    assert best["main_accuracy"] == 0.5
