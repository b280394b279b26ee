"""How often a trigger leads to the adversary's class as its messages are amplified."""

import polars as pl
from matplotlib.figure import Figure

from vfljax.reports import drawing
from vfljax.reports.drawing import percent
from vfljax.reports.frame import MESSAGE_ROWS, Frame, groups, varying
from vfljax.reports.panels.base import Panel
from vfljax.reports.settings import SETTINGS

_BACKDOOR = drawing.style(0)
_LOOKS: dict[str, tuple[str, drawing.Look]] = {
    "attack_accuracy": ("backdoor", _BACKDOOR),
    "main_accuracy": ("main task", {"color": "0.35", "marker": "d", "ls": (0, (4, 1))}),
}


def _figure(frame: Frame, title: str) -> Figure | None:
    """One panel per defense and whatever else varies, with 95 % bands."""
    if frame.summary["amplification"].n_unique() == 1:
        return None
    names = [name for name in varying(frame.summary, SETTINGS) if name != "attack"]
    lines = [line for _, line in groups(frame.summary, names)]
    figure, all_axes = drawing.small_multiples(lines, names, title, "accuracy (%)")
    for axes, line in zip(all_axes, lines, strict=True):
        line = line.sort("amplification", maintain_order=True)
        xs = line["amplification"].to_numpy()
        for name, (label, look) in _LOOKS.items():
            drawing.draw_line(axes, line, xs, name, look, label, alpha=0.15)
        light: drawing.Look = {"color": _BACKDOOR["color"], "lw": 0.8, "alpha": 0.6}
        ys = percent(line, "published_accuracy")
        axes.plot(xs, ys, label="own class included", **light)
        axes.set_xscale("symlog", linthresh=min(xs[xs > 0], default=1.0))
        drawing.tick_values(axes, xs.tolist())
        drawing.percent_axis(axes, "y")
        axes.set_xlabel(r"amplification $\gamma$")
    drawing.draw_legend(figure)
    return figure


AMPLIFICATION = Panel(
    name="backdoor_against_amplification",
    title="Backdoors and amplification",
    about=pl.col("view") == MESSAGE_ROWS,
    figure=_figure,
    caption=(
        "Backdoor and main-task accuracy against the amplification of the replaced "
        "messages, as in Figure 6 of Zou et al. 2022 (arXiv 2112.05409), with 95 % "
        "bands. The light line counts samples of the target class as successes, as "
        "published."
    ),
)
