import numpy as np
import pytest

from vfljax.reports.frame import summarize
from vfljax.reports.panels.restored import RESTORED


def restored_given_true(rows, title=""):
    part = RESTORED.fill(summarize(rows), title)
    assert part
    assert part.figure
    return part.figure


def make_row(**changes):
    return {
        "dataset": "digits",
        "view": "batch_gradient",
        "train_step": 0,
        "batch_size": 64,
        "num_classes": 3,
        "defense": "cae",
        "strength_name": "entropy_weight",
        "defense_strength": 0.0,
        "attack": "linear_recovery",
        "trial": 0,
        "attack_accuracy": 0.0,
        "chance_accuracy": 0.4,
        "confusion": [1, 2, 1, 0, 0, 0, 6, 0, 0],
        "status": "ok",
    } | changes


def matrix_of(axes):
    return np.ma.filled(axes.images[0].get_array(), np.nan)


def test_shares_over_all_trials_worked_by_hand():
    # Class 0: counts 1 2 1 and 3 0 1, so 4 2 2 of 8. Class 1 is never seen.
    rows = [
        make_row(),
        make_row(trial=1, confusion=[3, 0, 1, 0, 0, 0, 4, 0, 0]),
    ]
    figure = restored_given_true(rows, "A title")
    axes, bar = figure.axes
    np.testing.assert_allclose(
        matrix_of(axes), [[50, 25, 25], [np.nan] * 3, [100, 0, 0]]
    )
    assert sorted(text.get_text() for text in axes.texts) == ["100", "25", "25", "50"]
    assert axes.get_title() == "cae entropy_weight=0\nlinear_recovery"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("restored class", "true class")
    assert bar.get_ylabel() == "of the true class (%)"
    assert figure.get_suptitle() == "A title"


def test_the_published_readout_is_shown_where_there_is_one():
    rows = [make_row(published_confusion=[4, 0, 0, 0, 0, 0, 0, 6, 0])]
    axes = restored_given_true(rows).axes[0]
    assert matrix_of(axes)[2].tolist() == [0, 100, 0]
    assert axes.get_title().endswith("linear_recovery (published)")


def test_views_are_told_apart_where_an_attack_has_two():
    rows = [make_row(), make_row(view="sample_gradient")]
    titles = [axes.get_title() for axes in restored_given_true(rows).axes[:2]]
    assert titles == [
        "cae entropy_weight=0,\nencrypted messages\nlinear_recovery",
        "cae entropy_weight=0,\nplaintext messages\nlinear_recovery",
    ]


def test_at_most_twelve_panels_naive_attacks_on_every_defense_first():
    rows = [
        make_row(
            defense=defense,
            defense_strength=strength,
            attack=attack,
            is_adaptive=attack == "known_encoder",
        )
        for defense in ("cae", "dp_gaussian", "discrete_sgd")
        for strength in (1.0, 2.0, 3.0, 4.0, 5.0)
        for attack in ("linear_recovery", "known_encoder")
    ]
    figure = restored_given_true(rows)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert len(titles) == 12
    assert not any("known_encoder" in title for title in titles)
    assert sum(title.startswith("discrete_sgd") for title in titles) == 4
    assert figure.get_supxlabel().startswith("18 of 30 matrices are left out")


def test_many_classes_have_no_numbers():
    rows = [make_row(num_classes=12, confusion=[1] * 144)]
    assert not restored_given_true(rows).axes[0].texts


def test_without_confusions_there_is_no_figure():
    assert RESTORED.fill(summarize([make_row()]))
    assert not RESTORED.fill(summarize([make_row(confusion=None)]))


def test_a_trial_without_counts_is_left_out():
    figure = restored_given_true([make_row(), make_row(trial=1, confusion=None)])
    assert matrix_of(figure.axes[0])[0].tolist() == [25, 50, 25]


def test_counts_of_the_wrong_length_are_refused():
    with pytest.raises(ValueError, match="confusion has 4 counts"):
        restored_given_true([make_row(confusion=[1, 2, 3, 4])])
