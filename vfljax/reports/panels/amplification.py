"""How often a trigger leads to the adversary's class as its messages are amplified."""

import matplotlib as mpl
import polars as pl
from matplotlib.figure import Figure

from vfljax.reports import drawing
from vfljax.reports.drawing import interval, percent
from vfljax.reports.frame import MESSAGE_ROWS, Frame, varying
from vfljax.reports.panels.base import Panel
from vfljax.reports.settings import SETTINGS, describe, groups

_BACKDOOR = drawing.style(0)
_LOOKS = {
    "attack_accuracy": ("backdoor", _BACKDOOR),
    "main_accuracy": (
        "main task",
        {"color": "0.35", "marker": "d", "linestyle": (0, (4, 1))},
    ),
}


def _backdoors(frame: Frame) -> pl.DataFrame:
    return frame.summary.filter(pl.col("view") == MESSAGE_ROWS)


@mpl.rc_context(drawing.LOOK)
def _figure(frame: Frame, title: str | None = None) -> Figure:
    """One panel per defense and whatever else varies, with 95 % bands."""
    summary = _backdoors(frame)
    names = tuple(name for name in varying(summary, SETTINGS) if name != "attack")
    all_panels = groups(summary, names)
    figure, all_axes = drawing.panels(len(all_panels), title, sharey=True)
    for axes, (_, line) in zip(all_axes, all_panels, strict=True):
        line = line.sort("amplification", maintain_order=True)
        xs = line["amplification"].to_numpy()
        for name, (label, look) in _LOOKS.items():
            drawing.draw_series(axes, xs, percent(line, name), look, label)
            band = {"color": look["color"], "alpha": 0.15, "linewidth": 0}
            axes.fill_between(xs, *interval(line, name), **band)
        light = {"color": _BACKDOOR["color"], "linewidth": 0.8, "alpha": 0.6}
        ys = percent(line, "published_accuracy")
        axes.plot(xs, ys, label="own class included", **light)
        axes.set_xscale("symlog", linthresh=min(xs[xs > 0], default=1.0))
        drawing.tick_values(axes, xs.tolist())
        axes.set_xlabel(r"amplification $\gamma$")
        drawing.percent_axis(axes, "y")
        axes.set_title(describe(line, names, width=42))
    drawing.label_left(all_axes, "accuracy (%)")
    drawing.draw_legend(figure)
    return figure


AMPLIFICATION = Panel(
    name="backdoor_against_amplification",
    title="Backdoors and amplification",
    wants=lambda frame: _backdoors(frame)["amplification"].n_unique() > 1,
    figure=_figure,
    caption=(
        "Backdoor and main-task accuracy against the amplification of the replaced "
        "messages, as in Figure 6 of Zou et al. 2022 (arXiv 2112.05409), with 95 % "
        "bands. The light line counts samples of the target class as successes, as "
        "published."
    ),
)
