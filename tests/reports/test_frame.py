"""From trials to settings: means, intervals, judgments."""

from math import inf

import pytest

from vfljax.reports.columns import RATES, SETTINGS
from vfljax.reports.frame import summarize, varying


def one(rows):
    """The only setting of some rows."""
    (row,) = summarize(rows).summary.to_dicts()
    return row


def test_settings_in_order_of_first_appearance(make_row):
    rows = [
        make_row(attack="gradient_inversion", trial=0),
        make_row(attack="linear_recovery", trial=0),
        make_row(attack="gradient_inversion", trial=1),
        make_row(attack="linear_recovery", trial=0, train_step=200),
    ]
    found = summarize(rows).summary.select("attack", "train_step", "num_trials").rows()
    assert found == [
        ("gradient_inversion", 0, 2),
        ("linear_recovery", 0, 1),
        ("linear_recovery", 200, 1),
    ]


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_tells_rows_apart(make_row, name):
    other = 3 if summarize([make_row()]).raw.schema[name].is_numeric() else "other"
    assert summarize([make_row(), make_row(**{name: other})]).summary.height == 2


def test_a_strength_is_in_the_label(make_row):
    rows = [
        make_row(defense="dp", strength_name="noise_std", defense_strength=strength)
        for strength in (0.001, 0.1)
    ]
    labels = summarize([*rows, make_row()]).summary["defense_label"].to_list()
    assert labels == ["dp noise_std=0.001", "dp noise_std=0.1", "none"]


def test_interval_worked_by_hand(make_rows):
    # Deviations -0.2, 0, 0.2: s = sqrt(0.08 / 2) = 0.2, standard error
    # 0.2 / sqrt(3) = 0.115470, and a t table gives 4.302653 for two degrees of
    # freedom: half-width 0.496828. The upper end, 1.1968, is cut off at 1.
    row = one(make_rows([0.5, 0.7, 0.9]))
    assert row["attack_accuracy"] == pytest.approx(0.7)
    assert row["attack_accuracy_low"] == pytest.approx(0.7 - 0.496828, abs=1e-6)
    assert row["attack_accuracy_high"] == 1.0


def test_interval_of_two_trials_not_cut_off(make_rows):
    # s = 0.02 / sqrt(2), standard error 0.01, t(1) = 12.706205.
    row = one(make_rows([0.49, 0.51]))
    assert row["attack_accuracy_low"] == pytest.approx(0.5 - 0.12706205, abs=1e-7)
    assert row["attack_accuracy_high"] == pytest.approx(0.5 + 0.12706205, abs=1e-7)


def test_one_trial_has_no_interval(make_row):
    row = one([make_row(attack_accuracy=0.3)])
    assert row["attack_accuracy"] == 0.3
    assert row["attack_accuracy_low"] is row["attack_accuracy_high"] is None


def test_agreeing_trials_have_exactly_zero_width(make_rows):
    # 0.1 has no exact binary form; its rounded mean must not open the interval.
    row = one(make_rows([0.1] * 7))
    ends = ("attack_accuracy", "attack_accuracy_low", "attack_accuracy_high")
    assert [row[end] for end in ends] == [0.1, 0.1, 0.1]


@pytest.mark.parametrize("name", [name for name in RATES if name != "mean_score"])
@pytest.mark.parametrize("value", [1.2, -0.1, float("nan")])
def test_what_is_no_rate_is_refused(make_row, name, value):
    with pytest.raises(ValueError, match=rf"{name}=.*must be in \[0, 1\]"):
        summarize([make_row(), make_row(trial=1, **{name: value})])


def test_no_rows_are_refused():
    with pytest.raises(ValueError, match="rows is empty"):
        summarize([])


def test_failed_trials_stay_in_the_denominator(make_rows):
    row = one(make_rows([0.9, 0.0, 0.6], status=["ok", "non_finite", "ok"]))
    assert row["attack_accuracy"] == pytest.approx(0.5)  # not 0.75
    assert (row["num_trials"], row["num_failed"]) == (3, 1)
    assert row["failures"] == "non_finite"


def test_a_reason_of_failure_is_said_once(make_rows):
    status = ["z_failed", "a_failed", "z_failed", "ok"]
    row = one(make_rows([0.1] * 4, status=status))
    assert (row["num_failed"], row["failures"]) == (3, "a_failed z_failed")


def test_means_are_over_the_trials_that_have_a_number(make_rows):
    row = one(
        make_rows(
            [0.5] * 3,
            main_accuracy=[0.8, 0.9, None],
            published_accuracy=[0.5, 0.7, None],
            auc=[0.8, None, None],
            seconds=[1.0, 9.0, 2.0],
        )
    )
    assert row["main_accuracy"] == pytest.approx(0.85)
    assert row["published_accuracy"] == pytest.approx(0.6)
    assert row["seconds"] == 2.0
    names = ("main_accuracy", "published_accuracy", "auc", "main_f1")
    assert [row[f"{name}_number"] for name in names] == [2, 2, 1, 0]
    assert (row["auc"], row["auc_low"], row["main_f1"]) == (0.8, None, None)


def test_matched_and_information_are_means_with_their_chance_levels(make_rows):
    row = one(
        make_rows(
            [0.5, 0.5],
            matched_accuracy=[0.49, 0.51],
            matched_chance=[0.2, 0.3],
            mutual_information=[0.0, 0.4],
            mutual_information_chance=0.1,
        )
    )
    assert row["matched_accuracy"] == pytest.approx(0.5)
    assert row["matched_accuracy_low"] == pytest.approx(0.37293795)  # as above
    assert row["matched_chance"] == pytest.approx(0.25)
    assert row["mutual_information"] == pytest.approx(0.2)
    assert row["mutual_information_chance"] == pytest.approx(0.1)


def test_a_trial_twice_is_refused(make_row):
    with pytest.raises(ValueError, match="trial twice"):
        summarize([make_row(trial=3), make_row(trial=3)])


def test_a_missing_field_is_named(make_row):
    row = make_row()
    del row["attack_accuracy"]
    with pytest.raises(ValueError, match=r"rows\[1\] lacks \['attack_accuracy'\]"):
        summarize([make_row(), row])


def test_rows_without_the_later_fields_still_work(make_row):
    row = one([make_row()])
    for name in ("matched_accuracy", "knowledge", "label_epsilon", "known_per_class"):
        assert row[name] is None
    assert (row["variant"], row["adversary_optimizer"]) == ("", "benign")
    assert row["attack_family"] == "linear_recovery"
    for name in ("is_adaptive", "below_chance", "hides_names_only", "says_nothing"):
        assert row[name] is False


def test_unknown_fields_are_ignored_and_counts_kept(make_row):
    frame = summarize([make_row(of_tomorrow=[1, 2], confusion=[3, 0, 1, 2])])
    assert "of_tomorrow" not in frame.raw.columns
    assert frame.raw["confusion"].to_list() == [[3, 0, 1, 2]]


@pytest.mark.parametrize(
    ("rates", "status", "is_below"),
    [
        ([0.02, 0.03], "ok", True),  # t(1) * 0.005 = 0.064: up to 0.089 < 0.1
        ([0.00, 0.06], "ok", False),  # the interval reaches beyond 0.1
        ([0.11, 0.11], "ok", False),  # below chance 0.125, but blind guessing gets 0.1
        ([0.02, 0.03], "non_finite", False),  # a failure is no knowledge
        ([0.0], "ok", False),  # one trial is never so for certain
    ],
)
def test_below_chance_is_below_blind_guessing_for_certain(
    make_rows, rates, status, is_below
):
    assert one(make_rows(rates, status=status))["below_chance"] is is_below


def test_a_backdoor_that_fails_is_not_below_chance(make_rows):
    """It is no guess at labels: a low rate is what a defense is for."""
    row = one(make_rows([0.01, 0.01], view="message_rows", chance_accuracy=0.01))
    assert row["below_chance"] is False


@pytest.mark.parametrize(
    ("rates", "matched", "is_below"),
    [
        ([0.00, 0.06], [0.6, 0.7], True),  # whatever the intervals
        ([0.00, 0.06], [0.5, 0.6], False),
        ([0.06], [0.7], True),
        ([0.06], [0.6], False),
        ([0.11], [0.7], False),  # blind guessing gets 0.1
    ],
)
def test_the_mean_is_below_chance_where_classes_are_found(
    make_rows, rates, matched, is_below
):
    """Halfway from the matched level .2 to 1 is .6."""
    row = one(make_rows(rates, matched_accuracy=matched, matched_chance=0.2))
    assert row["below_chance"] is is_below


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
    make_row, changes, is_below
):
    defended = {"defense": "cae", "strength_name": "weight", "defense_strength": 1.0}
    knowing = {"attack": "clustered", "is_adaptive": True, "attack_accuracy": 0.6}
    rows = [make_row(**defended | {"attack_accuracy": 0.05})]
    rows.append(make_row(**defended | knowing | changes))
    ignoring, clustered = summarize(rows).summary.to_dicts()
    assert ignoring["below_chance"] is ignoring["labels_are_found"] is is_below
    assert not clustered["below_chance"]


def test_failed_trials_are_not_below_chance_whoever_finds_labels(make_row):
    failed = make_row(attack_accuracy=0.0, status="non_finite")
    adaptive = make_row(attack="clustered", is_adaptive=True, attack_accuracy=0.9)
    assert not summarize([failed, adaptive]).summary["below_chance"][0]


@pytest.mark.parametrize(
    ("attack", "matched", "finds_classes", "hides_names_only"),
    [
        ([0.0, 0.0], [0.9, 0.9], True, True),
        ([0.2, 0.2], [0.9, 0.9], True, True),  # 0.075 beyond chance, of 0.7: a tenth
        ([0.6, 0.6], [0.9, 0.9], True, False),  # 0.475 of 0.7: more than half
        ([0.0, 0.0], [0.24, 0.24], False, False),  # 0.04 above chance is no margin
        ([0.0, 0.0], [0.2, 0.9], False, False),  # the interval reaches below chance
        ([0.0], [0.61], True, True),  # one trial, more than halfway from 0.2 to 1
        ([0.0], [0.59], False, False),
        ([0.0, 0.0], [0.4, 0.9], True, True),  # on the mean; the interval is anything
    ],
)
def test_hiding_names_only(make_rows, attack, matched, finds_classes, hides_names_only):
    row = one(make_rows(attack, matched_accuracy=matched, matched_chance=0.2))
    assert row["finds_classes"] is finds_classes
    assert row["hides_names_only"] is hides_names_only


@pytest.mark.parametrize(
    ("rates", "says_nothing"),
    [
        # Of two trials the half-width is 6.353 times their difference. Chance is .125,
        # half of the room above it .4375.
        ([0.25, 0.30], True),  # .275 ± .318: from 0 to .593
        ([0.14, 0.16], False),  # .15 ± .127: narrow, so it says that little leaks
        ([0.80, 0.86], False),  # .83 ± .381: above chance, whatever its width
        ([0.125, 0.125], False),
        ([0.25], False),  # no interval at all is another matter
    ],
)
def test_an_interval_that_says_nothing(make_rows, rates, says_nothing):
    assert one(make_rows(rates))["says_nothing"] is says_nothing


def test_knowledge_may_vary_between_and_within_settings(make_row):
    rows = [
        make_row(
            train_step=step, trial=trial, is_adaptive=True, knowledge=f"{seen} messages"
        )
        for step, trial, seen in ((0, 0, 1), (8, 0, 8), (8, 1, 8), (9, 0, 2), (9, 1, 3))
    ]
    summary = summarize(rows).summary
    assert summary["is_adaptive"].all()
    assert summary["knowledge"].to_list() == [
        "1 messages",
        "8 messages",
        "2 messages or 3 messages",
    ]


def test_an_epsilon_that_json_has_no_number_for_is_infinite(make_row):
    budget = {"label_epsilon": None, "label_delta": 1e-5, "allowed_accuracy": 1.0}
    row = one([make_row(**budget, budget="Nothing is bounded.")])
    assert (row["label_epsilon"], row["label_epsilon_training"]) == (inf, inf)
    assert row["label_delta"] == 1e-5
    row = one([make_row(**budget, budget=None)])
    assert row["label_epsilon"] is row["label_delta"] is None


def test_a_variant_tells_what_changes_with_it(make_row):
    rows = [
        make_row(variant=f"{number} parties", num_parties=number, train_step=step)
        for number in (2, 4)
        for step in (0, 10)
    ]
    assert varying(summarize(rows).summary) == ("variant", "train_step")
