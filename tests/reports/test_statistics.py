from math import inf

import pytest

from vfljax.reports.statistics import summarize


def make_row(**changes):
    row = {
        "dataset": "digits",
        "num_parties": 2,
        "protocol": "sum_of_logits",
        "view": "batch_gradient",
        "train_step": 0,
        "batch_size": 64,
        "num_classes": 10,
        "defense": "none",
        "defense_strength": None,
        "strength_name": None,
        "attack": "linear_recovery",
        "trial": 0,
        "attack_accuracy": 0.75,
        "published_accuracy": None,
        "chance_accuracy": 0.125,
        "main_accuracy": None,
        "status": "ok",
        "seconds": 0.5,
    }
    return row | changes


def test_settings_in_order_of_first_appearance():
    rows = [
        make_row(attack="gradient_inversion", trial=0),
        make_row(attack="linear_recovery", trial=0),
        make_row(attack="gradient_inversion", trial=1),
        make_row(attack="linear_recovery", trial=0, train_step=200),
    ]
    summaries = summarize(rows)
    assert [(s.attack, s.train_step, s.num_trials) for s in summaries] == [
        ("gradient_inversion", 0, 2),
        ("linear_recovery", 0, 1),
        ("linear_recovery", 200, 1),
    ]


def test_strengths_of_a_defense_are_settings_of_their_own():
    rows = [
        make_row(defense="dp", strength_name="noise_std", defense_strength=strength)
        for strength in (0.001, 0.1)
    ]
    labels = [summary.defense_label for summary in summarize(rows)]
    assert labels == ["dp noise_std=0.001", "dp noise_std=0.1"]


def test_failed_trials_stay_in_the_denominator():
    rows = [
        make_row(trial=0, attack_accuracy=0.9),
        make_row(trial=1, attack_accuracy=0.0, status="non_finite"),
        make_row(trial=2, attack_accuracy=0.6),
    ]
    (summary,) = summarize(rows)
    assert summary.attack_mean == pytest.approx(0.5)  # not 0.75
    assert (summary.num_trials, summary.num_failed) == (3, 1)
    assert summary.failures == "non_finite"


def test_means_of_the_other_numbers():
    rows = [
        make_row(trial=0, main_accuracy=0.8, published_accuracy=0.5, seconds=1.0),
        make_row(trial=1, main_accuracy=0.9, published_accuracy=0.7, seconds=9.0),
        make_row(trial=2, main_accuracy=None, published_accuracy=None, seconds=2.0),
    ]
    (summary,) = summarize(rows)
    assert summary.main_mean == pytest.approx(0.85)
    assert summary.published_mean == pytest.approx(0.6)
    assert summary.seconds == 2.0
    assert (summary.num_main, summary.num_published, summary.num_trials) == (2, 2, 3)


@pytest.mark.parametrize(
    ("rates", "status", "is_below"),
    [
        ((0.02, 0.03), "ok", True),  # t(1) * 0.005 = 0.064: up to 0.089 < 0.1
        ((0.00, 0.06), "ok", False),  # the interval reaches beyond 0.1
        ((0.11, 0.11), "ok", False),  # below chance 0.125, but blind guessing gets 0.1
        ((0.02, 0.03), "non_finite", False),  # a failure is no knowledge
    ],
)
def test_below_chance_is_below_blind_guessing_for_certain(rates, status, is_below):
    rows = [
        make_row(trial=trial, attack_accuracy=rate, status=status)
        for trial, rate in enumerate(rates)
    ]
    assert summarize(rows)[0].below_chance is is_below


def test_one_trial_is_never_below_chance_for_certain():
    assert not summarize([make_row(attack_accuracy=0.0)])[0].below_chance


def rows_up_to_names(attack, matched):
    """A row per trial with both rates; blind guesses match .2."""
    return [
        make_row(
            trial=trial,
            attack_accuracy=rate,
            matched_accuracy=renamed,
            matched_chance=0.2,
        )
        for trial, (rate, renamed) in enumerate(zip(attack, matched, strict=True))
    ]


@pytest.mark.parametrize(
    ("rates", "matched", "is_below"),
    [
        ((0.00, 0.06), (0.6, 0.7), True),  # whatever the intervals
        ((0.00, 0.06), (0.5, 0.6), False),
        ((0.06,), (0.7,), True),
        ((0.06,), (0.6,), False),
        ((0.11,), (0.7,), False),  # blind guessing gets 0.1
    ],
)
def test_the_mean_is_below_chance_where_classes_are_found(rates, matched, is_below):
    """Halfway from the matched level .2 to 1 is .6."""
    (summary,) = summarize(rows_up_to_names(rates, matched))
    assert summary.below_chance is is_below


@pytest.mark.parametrize(
    ("changes", "is_below"),
    [
        ({}, True),  # .6 is more than halfway from .125 to 1
        ({"attack_accuracy": 0.55}, False),
        ({"is_adaptive": False}, False),  # says that this attack is a weak one
        ({"defense_strength": 0.1}, False),  # another model
        ({"view": "sample_gradient"}, False),  # another threat model
    ],
)
def test_the_mean_is_below_chance_where_who_knows_the_defense_finds_labels(
    changes, is_below
):
    defended = {"defense": "cae", "strength_name": "weight", "defense_strength": 1.0}
    adaptive = make_row(
        **defended
        | {"attack": "clustered", "is_adaptive": True, "attack_accuracy": 0.6}
        | changes
    )
    naive, clustered = summarize([make_row(**defended, attack_accuracy=0.05), adaptive])
    assert (naive.below_chance, naive.leaks_nonetheless) == (is_below, is_below)
    assert not clustered.below_chance


def test_failed_trials_are_not_below_chance_whoever_finds_labels():
    failed = make_row(attack_accuracy=0.0, status="non_finite")
    adaptive = make_row(attack="clustered", is_adaptive=True, attack_accuracy=0.9)
    assert not summarize([failed, adaptive])[0].below_chance


def test_a_trial_twice_is_refused():
    with pytest.raises(ValueError, match="trial twice"):
        summarize([make_row(trial=3), make_row(trial=3)])


def test_a_missing_field_is_named():
    row = make_row()
    del row["attack_accuracy"]
    with pytest.raises(ValueError, match=r"rows\[1\] lacks \['attack_accuracy'\]"):
        summarize([make_row(), row])


def test_rows_without_the_later_fields_still_work():
    (summary,) = summarize([make_row()])
    assert summary.matched_mean is None
    assert not summary.is_adaptive
    assert summary.knowledge is None
    assert not summary.leaks_nonetheless
    assert summary.label_epsilon is None
    assert (summary.variant, summary.known_per_class) == ("", None)
    assert summary.adversary_optimizer == "benign"
    assert summary.attack_family == "linear_recovery"
    assert summary.further == {}


def test_variants_known_labels_and_optimizers_are_settings_of_their_own():
    rows = [
        make_row(variant="25 %", known_per_class=4.0, adversary_optimizer="benign"),
        make_row(variant="50 %", known_per_class=4.0, adversary_optimizer="benign"),
        make_row(variant="50 %", known_per_class=0.2, adversary_optimizer="benign"),
        make_row(variant="50 %", known_per_class=0.2, adversary_optimizer="malicious"),
    ]
    assert len(summarize(rows)) == 4


def test_further_rates_are_means_over_the_trials_that_have_them():
    rows = [
        make_row(trial=0, best_attack_accuracy=0.5, auc=0.8),
        make_row(trial=1, best_attack_accuracy=0.7, auc=None),
    ]
    (summary,) = summarize(rows)
    best = summary.rate("best_attack_accuracy")
    assert (best.number, best.mean) == (2, pytest.approx(0.6))
    assert summary.rate("auc") == (1, 0.8, None, None)
    assert summary.rate("main_f1") == (0, None, None, None)


def test_matched_and_information_are_means_with_their_chance_levels():
    rows = [
        make_row(
            trial=trial,
            matched_accuracy=0.49 + 0.02 * trial,
            matched_chance=0.2 + 0.1 * trial,
            mutual_information=0.4 * trial,
            mutual_information_chance=0.1,
        )
        for trial in (0, 1)
    ]
    (summary,) = summarize(rows)
    # As in tests/reports/test_intervals.py: half-width 0.12706205.
    assert summary.matched_mean == pytest.approx(0.5)
    assert summary.matched_low == pytest.approx(0.37293795)
    assert summary.matched_chance == pytest.approx(0.25)
    assert summary.information_mean == pytest.approx(0.2)
    assert summary.information_chance == pytest.approx(0.1)
    assert (summary.num_matched, summary.finds_classes) == (2, True)


@pytest.mark.parametrize(
    ("attack", "matched", "finds_classes", "hides_names_only"),
    [
        ((0.0, 0.0), (0.9, 0.9), True, True),
        ((0.2, 0.2), (0.9, 0.9), True, True),  # 0.075 beyond chance, of 0.7: a tenth
        ((0.6, 0.6), (0.9, 0.9), True, False),  # 0.475 of 0.7: more than half
        ((0.0, 0.0), (0.24, 0.24), False, False),  # 0.04 above chance is no margin
        ((0.0, 0.0), (0.2, 0.9), False, False),  # the interval reaches below chance
        ((0.0,), (0.61,), True, True),  # one trial, more than halfway from 0.2 to 1
        ((0.0,), (0.59,), False, False),
        ((0.0, 0.0), (0.4, 0.9), True, True),  # on the mean; the interval is anything
    ],
)
def test_hiding_names_only(attack, matched, finds_classes, hides_names_only):
    (summary,) = summarize(rows_up_to_names(attack, matched))
    assert summary.finds_classes is finds_classes
    assert summary.hides_names_only is hides_names_only


def test_knowledge_may_vary_between_and_within_settings():
    rows = [
        make_row(
            train_step=step, trial=trial, is_adaptive=True, knowledge=f"{seen} messages"
        )
        for step, trial, seen in ((0, 0, 1), (8, 0, 8), (8, 1, 8), (9, 0, 2), (9, 1, 3))
    ]
    summaries = summarize(rows)
    assert all(summary.is_adaptive for summary in summaries)
    assert [summary.knowledge for summary in summaries] == [
        "1 messages",
        "8 messages",
        "2 messages or 3 messages",
    ]


def test_an_epsilon_that_json_has_no_number_for_is_infinite():
    budget = {"label_epsilon": None, "label_delta": 1e-5, "allowed_accuracy": 1.0}
    (summary,) = summarize([make_row(**budget, budget="Nothing is bounded.")])
    assert (summary.label_epsilon, summary.label_epsilon_training) == (inf, inf)
    assert summary.label_delta == 1e-5
    (summary,) = summarize([make_row(**budget, budget=None)])
    assert summary.label_epsilon is None
