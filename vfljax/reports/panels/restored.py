"""Which class is restored as which: matrices of counts as heat maps."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from vfljax.reports import drawing
from vfljax.reports.columns import SETTINGS as KEYS
from vfljax.reports.frame import Frame, groups, in_titles
from vfljax.reports.panels.base import Panel
from vfljax.reports.table import describe

_MOST_PANELS = 12
_MOST_NUMBERED = 10  # classes whose cells have room for a number


def _figure(frame: Frame, title: str) -> Figure | None:
    """A panel per setting and attack: P(restored j | true i) over all trials.

    In its published readout where every trial has that. At most twelve panels: attacks
    that ignore the defense first, of those every defense, then its further settings.
    """
    counted = frame.raw.filter(pl.col("confusion").is_not_null())
    if counted.is_empty():
        return None
    every = [trials for _, trials in groups(counted, KEYS)]
    turn = pl.int_range(pl.len()).over("defense", "attack")
    settings = counted.unique(KEYS, keep="first", maintain_order=True)
    settings = settings.with_columns(turn=turn).with_row_index()
    first = settings.sort("is_adaptive", "turn", "index")["index"]
    chosen = [every[index] for index in sorted(first[:_MOST_PANELS])]
    names = ["defense_label", *in_titles(counted, ("attack", "defense_label"))]
    layout = {"most_columns": 4, "size": (2.5, 2.85) if len(chosen) > 1 else (4.2, 3.6)}
    figure = drawing.small_multiples(
        chosen, names, title, "true class", sharey=False, **layout
    )
    figure.set_layout_engine("constrained", h_pad=0.08)
    for axes, trials in zip(figure.axes, chosen, strict=True):
        is_published = trials["published_confusion"].null_count() == 0
        name = "published_confusion" if is_published else "confusion"
        axes.set_xlabel("restored class", fontsize=8)
        image = _draw(axes, _counts(trials, name))
        readout = " (published)" if is_published else ""
        setting = describe(trials.row(0, named=True), names, width=30)
        axes.set_title(f"{setting}\n{trials['attack'][0]}{readout}", fontsize=8)
    figure.colorbar(image, ax=figure.axes, label="of the true class (%)", aspect=30)
    if len(chosen) < len(every):
        left_out = f"{len(every) - len(chosen)} of {len(every)} matrices are left out"
        why = "attacks that know the defense, then further settings of each defense"
        figure.supxlabel(f"{left_out}: {why}", fontsize=7, color="0.4")
    return figure


def _counts(trials: pl.DataFrame, name: str) -> np.ndarray:
    """How often each true class (row) is restored as which, in all trials."""
    num_classes, lengths = trials["num_classes"][0], set(trials[name].list.len())
    if lengths != {num_classes**2}:
        found = " or ".join(map(str, lengths))
        raise ValueError(f"{name} has {found} counts: must be {num_classes} squared")
    counts = np.asarray(trials[name].to_list())
    return counts.sum(axis=0).reshape(num_classes, num_classes)


def _draw(axes: Axes, counts: np.ndarray) -> AxesImage:
    """One heat map, with numbers where there is room."""
    num_classes = len(counts)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.full(counts.shape, np.nan)
    np.divide(100 * counts, totals, out=shares, where=totals > 0)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    axes.grid(visible=False)
    axes.spines[:].set_visible(True)
    ticks = np.arange(0, num_classes, -(-num_classes // _MOST_NUMBERED))
    axes.set(xticks=ticks, yticks=ticks)
    axes.tick_params(length=2, labelsize=7)
    size = 8 if num_classes < 6 else 5.5
    font: drawing.Look = {"ha": "center", "va": "center", "fontsize": size}
    for (i, j), share in np.ndenumerate(shares):
        # Below 0.5 it would round to a zero in an empty cell.
        if num_classes <= _MOST_NUMBERED and share >= 0.5:
            color = "white" if share > 55 else "0.15"
            axes.text(j, i, f"{share:.0f}", color=color, **font)
    return image


RESTORED = Panel(
    name="restored_given_true",
    title="Which class is taken for which",
    figure=_figure,
    caption=(
        "How often each class is restored as which, of the samples of that class that "
        "got an answer, as in Figure 10 of Zou et al. 2022 (arXiv 2112.05409); a class "
        "never seen is blank. One dark entry per row: the labels leak, at most under "
        "other names. Equal rows: nothing leaks."
    ),
)
