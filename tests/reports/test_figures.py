import numpy as np
import pytest

from vfljax.reports.drawing import HOLLOW, picture, style
from vfljax.reports.frame import summarize
from vfljax.reports.panels import PANELS
from vfljax.reports.panels.curves import CURVES


def choose_figures(rows):
    """Names of the figures that a run with these rows has."""
    frame = summarize(rows)
    return [
        panel.name for panel in PANELS if (part := panel.fill(frame)) and part.figure
    ]


def draw(what, rows, title=""):
    """The figure of recovery against a setting."""
    (panel,) = [each for each in CURVES if each.name == f"accuracy_against_{what}"]
    part = panel.fill(summarize(rows), title)
    assert part
    assert part.figure
    return part.figure


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


def lines_of(axes, label):
    return [line for line in axes.get_lines() if line.get_label() == label]


def line_of(axes, label):
    (line,) = lines_of(axes, label)
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
    figure = draw("classes", rows_over_classes, "A title")
    assert figure.get_suptitle() == "A title"
    first, second = figure.axes
    assert [axes.get_title() for axes in figure.axes] == [
        "gradient_inversion",
        "linear_recovery",
    ]
    line = line_of(first, "batch size 64")
    assert xs_of(line) == [2, 4, 10]
    assert ys_of(line) == pytest.approx([75.0, 65.0, 15.0])
    chance = line_of(second, "chance")
    assert ys_of(chance) == pytest.approx([50.0, 25.0, 10.0])


def test_the_published_readout_is_drawn_where_it_exists(rows_over_classes):
    figure = draw("classes", rows_over_classes)
    label = "published readout"
    drawn = lines_of(figure.axes[1], label)
    assert [ys_of(line) for line in drawn] == [pytest.approx([30.0] * 3)] * 2
    first = line_of(figure.axes[1], "batch size 8")
    assert drawn[0].get_color() == first.get_color()
    assert drawn[0].get_markerfacecolor() == "white"
    assert lines_of(figure.axes[0], label) == []
    assert legend_texts(figure).count(label) == 1


def test_the_band_is_the_interval(rows_over_classes):
    # Two trials 0.1 apart: standard error 0.05, t(1) = 12.7062, wider than [0, 1].
    axes = draw("classes", rows_over_classes).axes[0]
    ys = np.asarray(axes.collections[0].get_paths()[0].vertices)[:, 1]
    assert (ys.min(), ys.max()) == (0.0, 100.0)


def test_chance_has_one_line_per_series_where_series_differ(rows_over_classes):
    for row in rows_over_classes:
        row["chance_accuracy"] += 0.1 if row["batch_size"] == 8 else 0.0
    figure = draw("classes", rows_over_classes)
    high, low = lines_of(figure.axes[0], "chance (in the color of its line)")
    assert ys_of(high) == pytest.approx([60.0, 35.0, 20.0])
    assert ys_of(low) == pytest.approx([50.0, 25.0, 10.0])
    assert high.get_color() == line_of(figure.axes[0], "batch size 8").get_color()
    assert low.get_color() == line_of(figure.axes[0], "batch size 64").get_color()
    assert legend_texts(figure)[-1] == "chance (in the color of its line)"


def test_no_two_lines_look_alike_without_color(rows_over_classes):
    lines = [
        line
        for line in draw("classes", rows_over_classes).axes[0].get_lines()
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
    figure = draw("train_step", rows)
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
    figure = draw("train_step", rows)
    axes = figure.axes[0]
    assert line_of(axes, "naive").get_linestyle() == "-"
    assert line_of(axes, "adaptive").get_linestyle() == "--"
    hollow = line_of(axes, HOLLOW)
    assert (xs_of(hollow), hollow.get_markerfacecolor()) == ([200], "white")
    assert hollow.get_color() == line_of(axes, "naive").get_color()
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
    axes = draw("batch_size", rows).axes[0]
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
    figure = draw("batch_size", rows)
    assert len(figure.axes) == 9
    assert figure.axes[3].get_title() == "dp noise_std=3"


def test_the_figures_follow_what_the_rows_vary(rows_over_classes):
    assert choose_figures(make_rows()) == []
    assert choose_figures(rows_over_classes) == ["accuracy_against_classes"]
    steps = make_rows(train_step=0) + make_rows(train_step=9)
    assert choose_figures(steps) == ["accuracy_against_train_step"]
    batches = make_rows(batch_size=4) + make_rows(batch_size=9)
    assert choose_figures(batches) == ["accuracy_against_batch_size"]


def test_two_settings_that_differ_in_two_things_are_no_sweep():
    rows = make_rows(dataset="a", num_classes=2) + make_rows(
        dataset="b", num_classes=10
    )
    assert choose_figures(rows) == []


def test_attacks_of_different_views_share_a_panel():
    rows = [
        row
        for view in ("sample_gradient", "batch_gradient")
        for step in (0, 100)
        for row in make_rows(view=view, attack=f"attack on {view}", train_step=step)
    ]
    assert len(draw("train_step", rows).axes) == 1
    # One attack on two views needs a panel for each.
    rows = [row | {"attack": "either"} for row in rows]
    assert len(draw("train_step", rows).axes) == 2


def make_completion_rows(known=(10.0, 1.0, 0.2), **changes):
    """Three families; the active one has a training of its own."""
    return [
        row
        for family, rate, optimizer in (
            ("passive", 0.5, "benign"),
            ("active", 0.6, "malicious"),
            ("direct", 0.3, "benign"),
        )
        for number in known
        for row in make_rows(
            view="trained_model",
            attack=f"{family}_{number:g}",
            attack_family=family,
            known_per_class=number,
            adversary_optimizer=optimizer,
            attack_accuracy=rate + 0.01 * number,
            main_accuracy=0.7 if family == "active" else 0.8,
            **changes,
        )
    ]


def test_known_labels_figure_has_a_line_per_family_on_a_log_axis():
    rows = make_completion_rows() + make_rows(view="sample_gradient")
    figure = draw("known_labels", rows)
    (axes,) = figure.axes
    line = line_of(axes, "passive")
    assert xs_of(line) == [0.2, 1, 10]
    assert ys_of(line) == pytest.approx([55.2, 56, 65])
    assert axes.get_xscale() == "log"
    ticks = [tick.get_text() for tick in axes.get_xticklabels()]
    assert ticks == ["0.2", "1", "10"]
    assert legend_texts(figure) == [
        "passive",
        "active",
        "direct, the baseline",
        "chance",
    ]
    assert choose_figures(rows) == ["accuracy_against_known_labels"]


def test_known_labels_figure_has_a_panel_per_defense_and_a_line_per_optimizer():
    rows = make_completion_rows()
    for row in make_completion_rows():
        rows.append(row | {"adversary_optimizer": "all_malicious"})
    rows += [row | {"defense": "rounding"} for row in rows]
    figure = draw("known_labels", rows)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["no defense", "rounding"]
    assert len(legend_texts(figure)) == 6 + 1
    assert "passive, all malicious optimizer" in legend_texts(figure)


def test_one_number_of_known_labels_is_no_sweep():
    rows = make_completion_rows(known=(4.0,))
    assert choose_figures(rows) == []


def test_variant_figure_keeps_their_order_and_has_the_main_task():
    rows = [
        row
        for number in (8, 2, 4)
        for row in make_completion_rows(
            known=(4.0,), variant=f"{number} parties", num_parties=number
        )
    ]
    assert choose_figures(rows) == ["accuracy_against_variant"]
    figure = draw("variant", rows)
    (axes,) = figure.axes  # the variant says the number of parties
    ticks = [tick.get_text() for tick in axes.get_xticklabels()]
    assert ticks == ["8 parties", "2 parties", "4 parties"]
    assert ys_of(line_of(axes, "passive_4")) == pytest.approx([59.0] * 3)
    assert ys_of(line_of(axes, "main-task accuracy")) == pytest.approx([80.0] * 3)
    assert xs_of(line_of(axes, "chance")) == [0, 1, 2]
    assert legend_texts(figure)[-2:] == ["main-task accuracy", "chance"]


def test_variant_figure_has_a_panel_per_number_of_known_labels():
    rows = [
        row
        for variant in ("25 %", "50 %")
        for row in make_completion_rows(variant=variant, known=(1.0, 4.0))
    ]
    figure = draw("variant", rows)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["1 known per class", "4 known per class"]
    assert ys_of(line_of(figure.axes[1], "active")) == pytest.approx([69.0] * 2)


def test_without_variants_there_is_no_such_figure():
    assert choose_figures(make_completion_rows()) == ["accuracy_against_known_labels"]


def test_what_a_party_reaches_alone_is_a_line_beside_the_variants():
    rows = [
        row
        for variant, alone in (("25 %", 0.3), ("50 %", 0.4))
        for row in make_completion_rows(
            known=(4.0,), variant=variant, alone_accuracy=alone, floor_accuracy=0.6
        )
    ]
    figure = draw("variant", rows)
    (axes,) = figure.axes
    alone = line_of(axes, "attacker alone, all labels (test)")
    assert ys_of(alone) == pytest.approx([30.0, 40.0])
    assert ys_of(line_of(axes, "one party alone")) == pytest.approx([60.0] * 2)
    assert legend_texts(figure)[-3:] == [
        "attacker alone, all labels (test)",
        "one party alone",
        "chance",
    ]


def test_legend_has_each_label_once_and_gray_where_colors_differ(rows_over_classes):
    figure = draw("classes", rows_over_classes)
    texts = legend_texts(figure)
    assert texts == ["batch size 8", "batch size 64", "published readout", "chance"]
    handles = dict(zip(texts, figure.legends[0].get_lines(), strict=True))
    assert handles["published readout"].get_color() == "0.3"
    assert handles["batch size 64"].get_color() == style(1)["color"]


@pytest.mark.parametrize("file_format", ["png", "pdf", "svg"])
def test_pictures_have_the_same_bytes_every_time(rows_over_classes, file_format):
    first, second = (
        picture(draw("classes", rows_over_classes, "A title"), file_format)
        for _ in range(2)
    )
    assert first == second
    assert len(first) > 1000


def test_svg_has_real_text(rows_over_classes):
    svg = picture(draw("classes", rows_over_classes), "svg").decode()
    assert ">linear_recovery</text>" in svg
    assert ">published readout</text>" in svg
