import numpy as np
import pytest

from vfljax.reports.figures import (
    accuracy_against_batch_size,
    accuracy_against_classes,
    accuracy_against_train_step,
    choose_figures,
)


def make_rows(num_trials=2, **changes):
    """Trials of one setting; trial 1 is 0.1 above trial 0, the mean 0.05 above."""
    row = {
        "dataset": "digits",
        "view": "batch_gradient",
        "train_step": 0,
        "batch_size": 64,
        "num_classes": 10,
        "defense": "none",
        "attack": "linear_recovery",
        "attack_accuracy": 0.5,
        "chance_accuracy": 0.125,
        "status": "ok",
    } | changes
    return [
        row | {"trial": trial, "attack_accuracy": row["attack_accuracy"] + 0.1 * trial}
        for trial in range(num_trials)
    ]


def line_of(axes, label):
    (line,) = [line for line in axes.get_lines() if line.get_label() == label]
    return line


def xs_of(line):
    return np.asarray(line.get_xdata()).tolist()


def ys_of(line):
    return np.asarray(line.get_ydata()).tolist()


def legend_texts(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.fixture
def rows_over_classes():
    return [
        row
        for attack in ("gradient_inversion", "linear_recovery")
        for num_classes, rate in ((4, 0.7), (2, 0.8), (10, 0.2))
        for batch_size in (8, 64)
        for row in make_rows(
            attack=attack,
            num_classes=num_classes,
            batch_size=batch_size,
            attack_accuracy=rate if batch_size == 8 else rate - 0.1,
            published_accuracy=0.3 if attack == "linear_recovery" else None,
            chance_accuracy=1 / num_classes,
        )
    ]


def test_classes_figure_draws_the_means(rows_over_classes):
    figure = accuracy_against_classes(rows_over_classes, "A title")
    assert figure.get_suptitle() == "A title"
    first, second = figure.axes
    assert [axes.get_title() for axes in figure.axes] == [
        "gradient_inversion",
        "linear_recovery",
    ]
    line = line_of(first, "batch size 64")
    assert xs_of(line) == [2, 4, 10]
    assert ys_of(line) == pytest.approx([75.0, 65.0, 15.0])
    chance = line_of(second, "_chance")
    assert ys_of(chance) == pytest.approx([50.0, 25.0, 10.0])


def test_the_published_readout_is_drawn_where_it_exists(rows_over_classes):
    figure = accuracy_against_classes(rows_over_classes)
    label = "_published batch size 8"
    assert ys_of(line_of(figure.axes[1], label)) == pytest.approx([30.0] * 3)
    assert label not in [line.get_label() for line in figure.axes[0].get_lines()]
    assert "published readout" in legend_texts(figure)


def test_the_band_is_the_interval(rows_over_classes):
    # Two trials 0.1 apart: standard error 0.05, t(1) = 12.7062, wider than [0, 1].
    axes = accuracy_against_classes(rows_over_classes).axes[0]
    ys = np.asarray(axes.collections[0].get_paths()[0].vertices)[:, 1]
    assert (ys.min(), ys.max()) == (0.0, 100.0)


def test_chance_has_one_line_per_series_where_series_differ(rows_over_classes):
    for row in rows_over_classes:
        row["chance_accuracy"] += 0.1 if row["batch_size"] == 8 else 0.0
    figure = accuracy_against_classes(rows_over_classes)
    high = line_of(figure.axes[0], "_chance batch size 8")
    low = line_of(figure.axes[0], "_chance batch size 64")
    assert ys_of(high) == pytest.approx([60.0, 35.0, 20.0])
    assert ys_of(low) == pytest.approx([50.0, 25.0, 10.0])
    assert high.get_color() == line_of(figure.axes[0], "batch size 8").get_color()


def test_no_two_lines_look_alike_without_color(rows_over_classes):
    lines = [
        line
        for line in accuracy_against_classes(rows_over_classes).axes[0].get_lines()
        if str(line.get_label()).startswith("batch")
    ]
    assert len({str(line.get_marker()) for line in lines}) == len(lines) == 2


def test_train_step_figure():
    rows = [
        row
        for step, rate in ((2000, 0.3), (0, 0.9), (200, 0.5))
        for attack in ("a", "b")
        for row in make_rows(1, train_step=step, attack_accuracy=rate, attack=attack)
    ]
    figure = accuracy_against_train_step(rows)
    line = line_of(figure.axes[0], "a")
    assert xs_of(line) == [0, 200, 2000]
    assert ys_of(line) == pytest.approx([90.0, 50.0, 30.0])
    ticks = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    assert ticks == ["0", "200", "2000"]


def test_adaptive_attacks_dash_and_leaks_are_hollow():
    rows = [
        row
        for attack in ("naive", "adaptive")
        for step in (0, 200)
        for row in make_rows(
            attack=attack,
            train_step=step,
            is_adaptive=attack == "adaptive",
            attack_accuracy=0.0 if (attack, step) == ("naive", 200) else 0.5,
            matched_accuracy=0.9,
            matched_chance=0.2,
        )
    ]
    figure = accuracy_against_train_step(rows)
    axes = figure.axes[0]
    assert line_of(axes, "naive").get_linestyle() == "-"
    assert line_of(axes, "adaptive").get_linestyle() == "--"
    assert xs_of(line_of(axes, "_leaks nonetheless naive")) == [200]
    texts = legend_texts(figure)
    assert any(text.startswith("dashed") for text in texts)
    assert any(text.startswith("hollow") for text in texts)


def test_batch_size_figure_has_a_log_2_axis_and_a_line_per_defense():
    rows = [
        row
        for batch_size in (1, 8, 2048)
        for defense, rate in (("none", 0.8), ("rounding", 0.4))
        for row in make_rows(
            batch_size=batch_size, defense=defense, attack_accuracy=rate
        )
    ]
    axes = accuracy_against_batch_size(rows).axes[0]
    assert axes.get_xscale() == "log"
    assert axes.xaxis.get_transform().transform([8.0]) == pytest.approx([3.0])
    line = line_of(axes, "linear_recovery, rounding")
    assert ys_of(line) == pytest.approx([45.0] * 3)


def test_many_defenses_get_a_panel_each():
    rows = [
        row
        for batch_size in (1, 8)
        for strength in range(9)
        for row in make_rows(
            batch_size=batch_size,
            defense="dp",
            strength_name="noise_std",
            defense_strength=float(strength),
        )
    ]
    figure = accuracy_against_batch_size(rows)
    assert len(figure.axes) == 9
    assert figure.axes[3].get_title() == "dp noise_std=3"


def test_the_figures_follow_what_the_rows_vary(rows_over_classes):
    assert list(choose_figures(make_rows())) == []
    assert list(choose_figures(rows_over_classes)) == ["accuracy_against_classes"]
    steps = make_rows(train_step=0) + make_rows(train_step=9)
    assert list(choose_figures(steps)) == ["accuracy_against_train_step"]
    batches = make_rows(batch_size=4) + make_rows(batch_size=9)
    assert list(choose_figures(batches)) == ["accuracy_against_batch_size"]


def test_two_settings_that_differ_in_two_things_are_no_sweep():
    rows = make_rows(dataset="a", num_classes=2) + make_rows(
        dataset="b", num_classes=10
    )
    assert choose_figures(rows) == {}
    with pytest.raises(ValueError, match="num_classes"):
        accuracy_against_classes(rows)


def test_attacks_of_different_views_share_a_panel():
    rows = [
        row
        for view in ("sample_gradient", "batch_gradient")
        for step in (0, 100)
        for row in make_rows(view=view, attack=f"attack on {view}", train_step=step)
    ]
    assert len(accuracy_against_train_step(rows).axes) == 1
    # One attack on two views needs a panel for each.
    rows = [row | {"attack": "either"} for row in rows]
    assert len(accuracy_against_train_step(rows).axes) == 2
