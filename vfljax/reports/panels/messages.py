"""How large the messages of an encrypted iteration are."""

import matplotlib as mpl
import polars as pl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vfljax.reports.drawing import LOOK, style

_HATCHES = ("", "///", "...", "xxx")


@mpl.rc_context(LOOK)
def draw_messages(messages: pl.DataFrame, title: str | None = None) -> Figure:
    """Bytes of each message of an iteration on a logarithmic axis; color: its form.

    Neither the public key, sent once, nor what the network says itself is drawn.

    Args:
        messages: a row per kind of message, with columns sender, receiver, kind, form,
            num_messages and num_bytes (of all of them together).
        title: the figure's title, or None.

    Returns:
        The figure.
    """
    messages = messages.filter(
        pl.col("kind") != "public_key", pl.col("sender") != "network"
    ).with_row_index("place")
    figure = Figure(figsize=(6.0, 1.0 + 0.3 * len(messages)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    forms = messages.partition_by("form", maintain_order=True, as_dict=True)
    for index, ((form,), rows) in enumerate(forms.items()):
        means = rows["num_bytes"] / rows["num_messages"]
        look = {
            "color": style(index)["color"],
            "hatch": _HATCHES[index % len(_HATCHES)],
        }
        axes.barh(rows["place"], means, label=form, edgecolor="white", **look)
    names = [
        f"{row['kind'].replace('_', ' ')}, {row['sender']} to {row['receiver']}"
        for row in messages.rows(named=True)
    ]
    axes.set_yticks(range(len(names)), names)
    axes.set(xscale="log", xlim=(100, None), xlabel="bytes per iteration")
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    figure.legend(loc="outside lower center", ncols=len(forms))
    axes.set_title(title or "", loc="left")
    return figure
