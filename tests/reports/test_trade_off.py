import numpy as np
import pytest
from matplotlib.collections import LineCollection

from vfljax.reports.columns import view_of
from vfljax.reports.drawing import HOLLOW
from vfljax.reports.frame import summarize
from vfljax.reports.panels.trade_off import TRADE_OFF

KNOWING = "gained by knowing the defense"
DEFENSE = "dp_gaussian (noise_std)"


def trade_off(rows, title=""):
    part = TRADE_OFF.fill(summarize(rows), title)
    assert part
    assert part.figure
    return part.figure


def make_row(**changes):
    return {
        "dataset": "digits",
        "view": "batch_gradient",
        "train_step": 0,
        "batch_size": 64,
        "num_classes": 10,
        "defense": "none",
        "defense_strength": None,
        "strength_name": None,
        "attack": "linear_recovery",
        "trial": 0,
        "attack_accuracy": 1.0,
        "chance_accuracy": 0.125,
        "main_accuracy": 0.95,
        "status": "ok",
    } | changes


def make_defended(strength, attack, rate, main, **changes):
    return make_row(
        defense="dp_gaussian",
        strength_name="noise_std",
        defense_strength=strength,
        attack=attack,
        attack_accuracy=rate,
        main_accuracy=main,
        **changes,
    )


@pytest.fixture
def rows():
    """One trial each; which attack is the stronger one changes with the strength."""
    return [
        make_row(),
        make_row(attack="gradient_inversion", attack_accuracy=0.9),
        make_defended(0.1, "linear_recovery", 0.2, 0.6),
        make_defended(0.1, "gradient_inversion", 0.3, 0.6),
        make_defended(0.001, "linear_recovery", 0.8, 0.9),
        make_defended(0.001, "gradient_inversion", 0.7, 0.9),
        make_defended(0.01, "linear_recovery", 0.6, 0.8),
        make_defended(0.01, "gradient_inversion", 0.5, 0.8),
    ]


def line_of(axes, label):
    (line,) = [line for line in axes.get_lines() if line.get_label() == label]
    return line


def xs_of(line):
    return np.asarray(line.get_xdata()).tolist()


def ys_of(line):
    return np.asarray(line.get_ydata()).tolist()


def test_each_point_is_the_strongest_attack_in_order_of_strength(rows):
    axes = trade_off(rows).axes[0]
    curve = line_of(axes, DEFENSE)
    assert xs_of(curve) == pytest.approx([80.0, 60.0, 30.0])
    assert ys_of(curve) == pytest.approx([90.0, 80.0, 60.0])
    star = line_of(axes, "no defense")
    assert (xs_of(star), ys_of(star)) == ([100.0], [95.0])
    assert star.get_marker() == "*"
    drawn = [line.get_label() for line in axes.get_lines()]
    assert drawn.index("no defense") > drawn.index(DEFENSE)  # the star is on top
    assert "linear_recovery, gradient_inversion" in axes.get_xlabel().replace("\n", " ")


def test_strengths_are_written_inside_the_panel_and_apart(rows):
    figure = trade_off(rows)
    (axes,) = figure.axes
    figure.draw_without_rendering()
    texts = [text for text in axes.texts if text.get_text().startswith("0.")]
    assert sorted(text.get_text() for text in texts) == ["0.001", "0.01", "0.1"]
    frame = axes.get_window_extent()
    boxes = [text.get_window_extent() for text in texts]
    for index, box in enumerate(boxes):
        assert frame.x0 <= box.x0
        assert box.x1 <= frame.x1
        assert not any(box.overlaps(other) for other in boxes[:index])


def test_first_and_last_strength_are_written_even_in_a_crowd(rows):
    crowd = [
        make_defended(strength, "linear_recovery", 0.5, 0.7)
        for strength in (1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5)
    ]
    texts = [text.get_text() for text in trade_off([rows[0], *crowd]).axes[0].texts]
    assert {"1.5", "8.5"} <= set(texts)


def test_chance_is_a_vertical_line(rows):
    assert xs_of(line_of(trade_off(rows).axes[0], "chance")) == [12.5, 12.5]


def test_one_panel_per_view(rows):
    other = [row | {"view": "sample_gradient"} for row in rows]
    assert len(trade_off(rows + other).axes) == 2


def test_the_axis_says_what_is_found(rows):
    rows += [row | {"goal": "memberships"} for row in rows]
    labels, members = trade_off(rows).axes
    assert labels.get_xlabel().startswith("labels recovered by the strongest attack")
    assert members.get_xlabel().startswith("memberships recovered by the strongest")


def test_crosses_are_the_intervals_of_both_rates():
    # Two trials 0.02 apart: half-width 12.7062 * 0.01 = 0.127062.
    rows = [make_row()] + [
        make_defended(
            0.1, "linear_recovery", 0.49 + step, 0.59 + step, trial=round(50 * step)
        )
        for step in (0.0, 0.02)
    ]
    bars = [
        segment
        for collection in trade_off(rows).axes[0].collections
        if isinstance(collection, LineCollection)
        for segment in np.asarray(collection.get_segments())
    ]
    across = [bar[:, 0] for bar in bars if bar[0, 0] != bar[1, 0]]
    upright = [bar[:, 1] for bar in bars if bar[0, 1] != bar[1, 1]]
    assert across == [pytest.approx([37.2938, 62.7062], abs=1e-4)]
    assert upright == [pytest.approx([47.2938, 72.7062], abs=1e-4)]


def test_below_chance_is_hollow(rows):
    for trial in (0, 1):
        rows.append(make_defended(1.0, "linear_recovery", 0.0, 0.9, trial=trial))
    figure = trade_off(rows)
    hollow = line_of(figure.axes[0], HOLLOW)
    assert (xs_of(hollow), hollow.get_markerfacecolor()) == ([0.0], "white")
    assert HOLLOW in [text.get_text() for text in figure.legends[0].get_texts()]


def test_the_strongest_attack_is_shown_without_a_main_accuracy_of_its_own(rows):
    rows[3]["main_accuracy"] = None  # gradient_inversion at 0.1, the stronger one
    curve = line_of(trade_off(rows).axes[0], DEFENSE)
    assert xs_of(curve)[-1] == pytest.approx(30.0)
    assert ys_of(curve)[-1] == pytest.approx(60.0)


def test_without_main_accuracy_there_is_no_trade_off(rows):
    assert TRADE_OFF.fill(summarize(rows))
    rows = [row | {"main_accuracy": None} for row in rows]
    assert not TRADE_OFF.fill(summarize(rows))


def test_one_defense_of_one_strength_is_no_trade_off(rows):
    assert not TRADE_OFF.fill(summarize(rows[:2]))


def test_knowing_the_defense_is_drawn_beside_ignoring_it(rows):
    rows.append(make_defended(0.1, "noise_aware", 0.7, 0.6, is_adaptive=True))
    rows.append(make_defended(0.01, "noise_aware", 0.4, 0.8, is_adaptive=True))
    figure = trade_off(rows)
    axes = figure.axes[0]
    assert xs_of(line_of(axes, DEFENSE)) == pytest.approx([80.0, 60.0, 70.0])
    # Only at 0.1 does the adaptive attack beat the best naive one, 0.3.
    joined = line_of(axes, KNOWING)
    assert xs_of(joined) == pytest.approx([30.0, 70.0])
    assert ys_of(joined) == pytest.approx([60.0, 60.0])
    assert joined.get_markevery() == [0]  # a marker where ignoring it leads
    assert joined.get_color() == line_of(axes, DEFENSE).get_color()
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert KNOWING in texts


def test_the_point_of_an_active_attack_has_the_main_task_of_benign_training(rows):
    rows = [row | {"view": "trained_model"} for row in rows]
    rows.append(
        make_row(
            view="trained_model",
            attack="active",
            attack_accuracy=1.0,
            adversary_optimizer="malicious",
            main_accuracy=0.5,
        )
    )
    axes = trade_off(rows[1:]).axes[0]
    star = line_of(axes, "no defense")
    assert (xs_of(star), ys_of(star)) == ([100.0], [95.0])
    assert axes.get_title() == view_of("trained_model").name


def test_leaking_up_to_names_is_hollow(rows):
    rows[2] |= {"matched_accuracy": 0.95, "matched_chance": 0.2}
    figure = trade_off(rows)
    hollow = line_of(figure.axes[0], HOLLOW)
    assert xs_of(hollow) == pytest.approx([30.0])  # the strongest attack at 0.1


def test_eight_defenses_of_four_strengths_are_drawn():
    rows = [make_row()] + [
        make_row(
            defense=f"defense_{number}",
            strength_name="noise_std",
            defense_strength=strength,
            attack_accuracy=rate,
            main_accuracy=0.9 - 0.01 * number,
        )
        for number in range(8)
        for strength, rate in ((1.0, 0.9), (2.0, 0.6), (3.0, 0.4), (4.0, 0.2))
    ]
    axes = trade_off(rows).axes[0]
    curves = [line_of(axes, f"defense_{number} (noise_std)") for number in range(8)]
    assert len({(line.get_color(), line.get_marker()) for line in curves}) == 8


def test_what_the_label_party_reaches_alone_is_a_level_line_in_sight(rows):
    figure = trade_off([row | {"floor_accuracy": 0.4} for row in rows])
    (axes,) = figure.axes
    floor = line_of(axes, "one party alone")
    assert ys_of(floor) == pytest.approx([40.0, 40.0])
    low, high = axes.get_ylim()
    assert low < 40.0 < 95.0 < high
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "one party alone" in texts
    texts = [text.get_text() for text in trade_off(rows).legends[0].get_texts()]
    assert "one party alone" not in texts


def test_legend_has_the_defenses_first_and_chance_last(rows):
    rows.append(make_defended(0.1, "noise_aware", 0.7, 0.6, is_adaptive=True))
    texts = [text.get_text() for text in trade_off(rows).legends[0].get_texts()]
    assert texts == [DEFENSE, "no defense", KNOWING, "chance"]
