import pytest

from vfljax.reports.statistics import mean_interval, summarize


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


def test_interval_worked_by_hand():
    # Deviations -0.2, 0, 0.2: s = sqrt(0.08 / 2) = 0.2, standard error
    # 0.2 / sqrt(3) = 0.115470, and a t table gives 4.302653 for two degrees of
    # freedom: half-width 0.496828. The upper end, 1.1968, is cut off at 1.
    interval = mean_interval([0.5, 0.7, 0.9])
    assert interval.mean == pytest.approx(0.7)
    assert interval.low == pytest.approx(0.7 - 0.496828, abs=1e-6)
    assert interval.high == 1.0


def test_interval_of_two_trials_not_cut_off():
    # s = 0.02 / sqrt(2), standard error 0.01, t(1) = 12.706205.
    interval = mean_interval([0.49, 0.51])
    assert interval.low == pytest.approx(0.5 - 0.12706205, abs=1e-7)
    assert interval.high == pytest.approx(0.5 + 0.12706205, abs=1e-7)


def test_one_trial_has_no_interval():
    assert mean_interval([0.3]) == (0.3, None, None)


def test_agreeing_trials_have_exactly_zero_width():
    # 0.1 has no exact binary form; its rounded mean must not open the interval.
    assert mean_interval([0.1] * 7) == (0.1, 0.1, 0.1)


@pytest.mark.parametrize("values", [[], [0.5, 1.2], [-0.1], [float("nan")]])
def test_interval_refuses_what_is_no_rate(values):
    with pytest.raises(ValueError, match="values"):
        mean_interval(values)


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


def test_a_trial_twice_is_refused():
    with pytest.raises(ValueError, match="trial twice"):
        summarize([make_row(trial=3), make_row(trial=3)])


def test_a_missing_field_is_named():
    row = make_row()
    del row["attack_accuracy"]
    with pytest.raises(ValueError, match=r"rows\[1\] lacks \['attack_accuracy'\]"):
        summarize([make_row(), row])
