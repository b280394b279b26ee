"""The x axis of a curve: where a value of the swept setting is drawn, scale, ticks."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes

from vfljax.reports import drawing
from vfljax.reports.statistics import Summary

_LABELS = {
    "batch_size": "batch size",
    "train_step": "training step at which the view is taken",
    "num_classes": "number of classes",
    "known_per_class": "known labels per class",
    "variant": "",  # its values say what they are
}
_LONG_NAMES = 30  # letters of all variants that fit below one panel


class XAxis(NamedTuple):
    """The setting that is swept, and where each of its values is drawn."""

    name: str
    places: dict[Any, int | float]

    def place(self, summary: Summary) -> int | float:
        """Where on the axis a setting is."""
        return self.places[getattr(summary, self.name)]

    def finish(self, axes: Axes, in_panel: Sequence[Summary]) -> None:
        """Sets scale, ticks and label."""
        xs = sorted({self.place(summary) for summary in in_panel})
        axes.set_xlabel(_LABELS[self.name])
        if self.name == "variant":
            names = list(self.places)
            is_long = sum(map(len, names)) > _LONG_NAMES
            turned: dict[str, Any] = {"rotation": 30, "ha": "right"} if is_long else {}
            axes.set_xticks(list(self.places.values()), names, **turned)
            axes.set_xlim(-0.3, len(names) - 0.7)
            return
        if self.name == "batch_size":
            axes.set_xscale("log", base=2)
        elif self.name == "train_step":
            first_step = min((step for step in xs if step > 0), default=1)
            axes.set_xscale("symlog", linthresh=first_step, linscale=0.5)
        elif self.name == "known_per_class" or (xs[0] > 0 and xs[-1] / xs[0] > 20):
            axes.set_xscale("log")
        drawing.tick_values(axes, xs)


def make_x_axis(summaries: Sequence[Summary], name: str) -> XAxis:
    """Numbers are drawn where they are, variants side by side as they come."""
    values = [value for (value,) in drawing.distinct(summaries, (name,))]
    if name == "variant":
        return XAxis(name, {value: place for place, value in enumerate(values)})
    return XAxis(name, {value: value for value in values})
