"""How often a trigger leads to the adversary's class as its messages are amplified."""

from typing import Any

import matplotlib as mpl
import polars as pl
from matplotlib.figure import Figure

from vfljax.reports import drawing
from vfljax.reports.frame import Frame, varying
from vfljax.reports.panels.base import Panel
from vfljax.reports.settings import SETTINGS, describe, groups

_PLANTED = drawing.style(0)._asdict()
_MAIN: dict[str, Any] = {"color": "0.35", "marker": "d", "linestyle": (0, (4, 1))}
_PUBLISHED: dict[str, Any] = {
    "color": _PLANTED["color"],
    "linewidth": 0.8,
    "alpha": 0.6,
}


def _backdoors(frame: Frame) -> pl.DataFrame:
    return frame.summary.filter(pl.col("view") == "message_rows")


@mpl.rc_context(drawing.LOOK)
def figure(frame: Frame, title: str | None = None) -> Figure:
    """Backdoor and main-task accuracy against γ, as in Figure 6 of Zou et al. 2022.

    https://arxiv.org/abs/2112.05409. One panel per defense and whatever else varies,
    with 95 % bands; the thin line is the backdoor rate with samples of the target class
    included, as published.

    Args:
        frame: with backdoors of several amplifications.
        title: the figure's title, or None.

    Returns:
        The figure.
    """
    summary = _backdoors(frame)
    names = tuple(name for name in varying(summary, SETTINGS) if name != "attack")
    all_panels = groups(summary, names)
    figure, all_axes = drawing.panels(len(all_panels), title, sharey=True)
    for axes, (_, line) in zip(all_axes, all_panels, strict=True):
        line = line.sort("amplification", maintain_order=True)
        gammas = line["amplification"]
        for name, look in (("attack_accuracy", _PLANTED), ("main_accuracy", _MAIN)):
            drawing.draw_line(axes, line, "amplification", name, 0.15, **look)
        axes.plot(gammas, drawing.percent(line, "published_accuracy"), **_PUBLISHED)
        positive = [gamma for gamma in gammas if gamma > 0]
        axes.set_xscale("symlog", linthresh=min(positive, default=1.0))
        drawing.tick_values(axes, gammas.to_list())
        axes.set_xlabel("amplification γ")
        drawing.percent_axis(axes, "y")
        drawing.title_panel(axes, describe(line, names))
    drawing.label_left(all_axes, "accuracy (%)")
    looks = {"backdoor": _PLANTED, "own class included": _PUBLISHED, "main task": _MAIN}
    entries = [drawing.entry(label, **look) for label, look in looks.items()]
    drawing.draw_legend(figure, entries)
    return figure


AMPLIFICATION = Panel(
    name="backdoor_against_amplification",
    title="Backdoors and amplification",
    wants=lambda frame: _backdoors(frame)["amplification"].n_unique() > 1,
    figure=figure,
    caption=(
        "Backdoor and main-task accuracy against the amplification of the replaced "
        "messages. The light line counts samples of the target class as successes, as "
        "published."
    ),
)
