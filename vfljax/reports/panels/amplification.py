"""How often a trigger leads to the adversary's class as its messages are amplified."""

import polars as pl
from matplotlib.figure import Figure

from vfljax.reports import drawing
from vfljax.reports.columns import MESSAGE_ROWS
from vfljax.reports.drawing import percent
from vfljax.reports.frame import Frame, groups, in_titles
from vfljax.reports.panels.base import Panel

_BACKDOOR, _BROKEN = drawing.style(0), {"linestyle": (0, (4, 1))}
_LOOKS: dict[str, drawing.Look] = {
    "attack_accuracy": {"label": "backdoor", **_BACKDOOR},
    "main_accuracy": {"label": "main task", "color": "0.35", "marker": "d", **_BROKEN},
}
_LIGHT: drawing.Look = {"color": _BACKDOOR["color"], "lw": 0.8, "alpha": 0.6}


def _figure(frame: Frame, title: str) -> Figure | None:
    """One panel per defense and whatever else varies, with 95 % bands."""
    if frame.summary["amplification"].n_unique() == 1:
        return None
    names = in_titles(frame.summary, ("attack",))
    summary = frame.summary.with_columns(pl.col("amplification").alias("x"))
    lines = [line.sort("x", maintain_order=True) for _, line in groups(summary, names)]
    figure = drawing.small_multiples(lines, names, title, "accuracy (%)")
    for axes, line in zip(figure.axes, lines, strict=True):
        for name, look in _LOOKS.items():
            drawing.draw_line(axes, line, name, look, alpha=0.15)
        ys, xs = percent(line, "published_accuracy"), line["x"].to_numpy()
        axes.plot(xs, ys, label="own class included", **_LIGHT)
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
