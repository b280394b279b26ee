"""Who learned what from real ciphertexts, by the log of what crossed."""

from typing import Any

import polars as pl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vfljax.reports.drawing import style
from vfljax.reports.frame import UNDEFENDED, Frame
from vfljax.reports.panels.base import Panel
from vfljax.reports.table import Table

_UNIT = (
    *("variant", "num_classes", "batch_size", "defense", "defense_strength", "trial"),
)
_HOW = """\
Mode: {mode}, {loss}. Layout: {layout}. Scheme: {backend} ({library}), preset \
{preset}, {num_coefficients} coefficients of {plain_bits} bits.
Security check: {security_check}. Threat model: {threat_model}. Encrypted: \
{layers_encrypted}.
The active party sees {active_party_sees}.
Limits: {limits}."""
_HATCHES = ("", "///", "...", "xxx")


def _shown(frame: Frame) -> Any:
    """The training that the panel is about: an honest one without a defense, if any."""
    return min(
        frame.engines,
        key=lambda engine: (not engine["is_honest"], engine["defense"] != UNDEFENDED),
    )


def _rates(frame: Frame, engine: Any) -> str:
    """What attacks inferred from the gradient that the adversary decrypted."""
    unit = frame.raw.filter(
        pl.col(name).eq_missing(pl.lit(engine[name])) for name in _UNIT
    )
    rates = ", ".join(
        f"{100 * row['attack_accuracy']:.1f} % ({row['attack']}, step "
        f"{row['train_step']})"
        for row in unit.filter(pl.col("view") == "batch_gradient").to_dicts()
    )
    return f"; labels inferred from it: {rates}" if rates else ""


def _table(frame: Frame) -> Table:
    """A line per role and kind of message that it got."""
    engine, cells = _shown(frame), []
    for line in engine["learned"]:
        role, learned = line["role"].replace("_", " "), line["learned"]
        if line["role"] == engine["adversary"]:
            role += " (the adversary)"
            if line["kind"] == "decrypted_gradient" and engine["is_honest"]:
                learned += _rates(frame, engine)
        cells.append((role, line["saw"], line["form"], learned))
    return Table(["role", "saw", "form", "learned"], [False] * 4, cells, num_groups=1)


def _figure(frame: Frame, title: str = "") -> Figure:
    """Bytes of each message, but for the public key and what the network says."""
    messages = pl.DataFrame(_shown(frame)["messages"]).filter(
        pl.col("kind") != "public_key", pl.col("sender") != "network"
    )
    messages = messages.with_row_index("place")
    figure = Figure(figsize=(6.0, 1.0 + 0.3 * len(messages)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    forms = messages.partition_by("form", maintain_order=True, as_dict=True)
    for index, ((form,), rows) in enumerate(forms.items()):
        look = {"color": style(index)["color"], "hatch": _HATCHES[index]}
        means = rows["num_bytes"] / rows["num_messages"]
        axes.barh(rows["place"], means, label=form, edgecolor="white", **look)
    names = [
        f"{row['kind'].replace('_', ' ')}, {row['sender']} to {row['receiver']}"
        for row in messages.to_dicts()
    ]
    axes.set_yticks(range(len(names)), names)
    axes.set(xscale="log", xlim=(100, None), xlabel="bytes per iteration")
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    figure.legend(loc="outside lower center", ncols=len(forms))
    axes.set_title(title, loc="left")
    return figure


def _notes(frame: Frame) -> list[str]:
    """Which training it is, how it was encrypted, what that promises and what not."""
    engine = _shown(frame)
    how, strength = engine["description"], engine["defense_strength"]
    setting = engine["defense"] + ("" if strength is None else f" {strength:g}")
    notes = [
        (
            f"This is one training of {len(frame.engines)}: {setting}, trial "
            f"{engine['trial']}, {engine['num_iterations']} iterations, among them "
            "those in which a view was taken and nobody took a step."
        ),
        *(sentences.format_map(how) for sentences in _HOW.splitlines()),
    ]
    differences = [each["weights_max_difference"] for each in frame.engines]
    if known := [each for each in differences if each is not None]:
        notes.append(
            "Largest difference of a weight from the same training without encryption, "
            f"of {len(known)} trainings: {max(known):.1e}."
        )
    if engine["seconds_per_iteration"] is not None:
        apart = "a process of its own" if engine["processes"] else "the same process"
        seconds = f"{engine['seconds_per_iteration']:.2g} seconds"
        notes.append(f"{seconds} per iteration, with each role in {apart}.")
    return notes


WHO_LEARNED = Panel(
    name="who_learned",
    title="Who learned what",
    wants=lambda frame: bool(frame.engines),
    figure=_figure,
    caption="Bytes of each message of an iteration; colors say who can read it.",
    table=_table,
    notes=_notes,
)
