import pytest

from vfljax.reports.intervals import mean_interval


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
