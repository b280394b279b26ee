"""The figures of a run: recovery against what was swept, and privacy against utility.

Every function takes the rows of a run, one per trial, and returns a new
`matplotlib.figure.Figure`; nothing is kept in pyplot. Rates are drawn in percent.
"""

from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.figure import Figure

from vfljax.reports import drawing
from vfljax.reports.backdoor import (
    backdoor_against_amplification,
    backdoor_trade_off,
    can_compare_defenses,
    inferences,
    is_amplification_swept,
)
from vfljax.reports.curves import curves, is_swept
from vfljax.reports.restored import has_confusion, restored_given_true
from vfljax.reports.statistics import MESSAGE_ROWS, Row, summarize
from vfljax.reports.trade_off import can_draw_trade_off, trade_off


@mpl.rc_context(drawing.LOOK)
def accuracy_against_classes(rows: Sequence[Row], title: str | None = None) -> Figure:
    """Recovery against the number of classes, as in Figure 5 of the paper.

    One line per batch size with its 95 % band, one panel per attack (and per value of
    whatever else varies); where rows have the published readout, it is drawn lighter
    with hollow markers.

    Args:
        rows: one per trial.
        title: the figure's title, or None.

    Returns:
        The figure.

    Raises:
        ValueError: if no two settings differ in the number of classes alone.
    """
    return curves(rows, "num_classes", ("batch_size",), title, panel_names=("attack",))


@mpl.rc_context(drawing.LOOK)
def accuracy_against_train_step(
    rows: Sequence[Row], title: str | None = None
) -> Figure:
    """Recovery against the training step at which the view was taken.

    One line per attack and defense; with more than eight of these, one panel per
    defense. The x axis is linear up to the first step drawn and logarithmic beyond.

    Args:
        rows: one per trial.
        title: the figure's title, or None.

    Returns:
        The figure.

    Raises:
        ValueError: if no two settings differ in the training step alone.
    """
    return curves(rows, "train_step", ("attack", "defense_label"), title)


@mpl.rc_context(drawing.LOOK)
def accuracy_against_batch_size(
    rows: Sequence[Row], title: str | None = None
) -> Figure:
    """Recovery against the batch size, on a log-2 axis.

    One line per attack and defense; with more than eight of these, one panel per
    defense.

    Args:
        rows: one per trial.
        title: the figure's title, or None.

    Returns:
        The figure.

    Raises:
        ValueError: if no two settings differ in the batch size alone.
    """
    return curves(rows, "batch_size", ("attack", "defense_label"), title)


@mpl.rc_context(drawing.LOOK)
def accuracy_against_known_labels(
    rows: Sequence[Row], title: str | None = None
) -> Figure:
    """Recovery against the known labels per class, on a log axis.

    One line per family of attacks (and per optimizer of the adversary, where a family
    has several); one panel per defense, variant and whatever else varies. The attack
    that uses no trained model is the baseline. Attacks in views in which nothing is
    swept are left out.

    Args:
        rows: one per trial.
        title: the figure's title, or None.

    Returns:
        The figure.

    Raises:
        ValueError: if no two attacks of a family differ in the known labels alone.
    """
    known = [row for row in rows if row.get("known_per_class")]
    views = {
        view
        for view in {row["view"] for row in known}
        if is_swept(
            summarize([row for row in known if row["view"] == view]), "known_per_class"
        )
    }
    return curves(
        [row for row in known if row["view"] in views],
        "known_per_class",
        ("attack_family", "adversary_optimizer"),
        title,
    )


@mpl.rc_context(drawing.LOOK)
def accuracy_against_variant(rows: Sequence[Row], title: str | None = None) -> Figure:
    """Recovery against the variants of the experiment, in their order.

    One line per attack and, thin and gray, the main-task accuracy as it is without an
    active attack; one panel per defense and whatever else varies. Where the known
    labels are swept, one line per family of attacks, and a panel per number of them.

    Args:
        rows: one per trial.
        title: the figure's title, or None.

    Returns:
        The figure.

    Raises:
        ValueError: if no two settings differ in the variant alone.
    """
    is_known_swept = is_swept(summarize(rows), "known_per_class")
    attack = "attack_family" if is_known_swept else "attack"
    return curves(rows, "variant", (attack, "adversary_optimizer"), title)


def choose_figures(rows: Sequence[Row], title: str | None = None) -> dict[str, Figure]:
    """Draws the figures for which the rows vary in what the figure shows.

    Args:
        rows: one per trial.
        title: the title of every figure, or None.

    Returns:
        Figures by name, the name of the function that drew it. Empty if nothing varies.
    """
    planted = {}
    summaries = summarize(rows)
    if is_amplification_swept(summaries):
        planted["backdoor_against_amplification"] = backdoor_against_amplification(
            rows, title
        )
    if can_compare_defenses(summaries):
        planted["backdoor_trade_off"] = backdoor_trade_off(rows, title)
    rows = [row for row in rows if row["view"] != MESSAGE_ROWS]
    if not rows:
        return planted
    summaries = inferences(summaries)
    known = [summary for summary in summaries if summary.known_per_class]
    figures = {}
    if is_swept(summaries, "num_classes"):
        figures["accuracy_against_classes"] = accuracy_against_classes(rows, title)
    elif is_swept(summaries, "batch_size"):
        figures["accuracy_against_batch_size"] = accuracy_against_batch_size(
            rows, title
        )
    if is_swept(summaries, "train_step"):
        figures["accuracy_against_train_step"] = accuracy_against_train_step(
            rows, title
        )
    if is_swept(known, "known_per_class"):
        figures["accuracy_against_known_labels"] = accuracy_against_known_labels(
            rows, title
        )
    if is_swept(summaries, "variant"):
        figures["accuracy_against_variant"] = accuracy_against_variant(rows, title)
    if can_draw_trade_off(summaries):
        figures["trade_off"] = trade_off(rows, title)
    if has_confusion(rows):
        figures["restored_given_true"] = restored_given_true(rows, title)
    return figures | planted
