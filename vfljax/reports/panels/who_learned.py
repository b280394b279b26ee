"""Who learned what from real ciphertexts, by the log of what crossed."""

from typing import Any

import polars as pl
from matplotlib.figure import Figure

from vfljax.reports.frame import UNDEFENDED, Frame
from vfljax.reports.panels.base import Panel
from vfljax.reports.panels.messages import draw_messages
from vfljax.reports.table import Table

_UNIT = (
    *("variant", "num_classes", "batch_size", "defense", "defense_strength", "trial"),
)


def _shown(frame: Frame) -> dict[str, Any]:
    """The training that the panel is about: an honest one without a defense, if any."""
    return min(
        frame.engines,
        key=lambda engine: (not engine["is_honest"], engine["defense"] != UNDEFENDED),
    )


def _rates(frame: Frame, engine: dict[str, Any]) -> str:
    """What attacks inferred from the gradient that the adversary decrypted."""
    if not engine["is_honest"]:
        return ""
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
        is_adversary = line["role"] == engine["adversary"]
        learned = line["learned"]
        if is_adversary and line["kind"] == "decrypted_gradient":
            learned += _rates(frame, engine)
        role = line["role"].replace("_", " ") + " (the adversary)" * is_adversary
        cells.append((role, line["saw"], line["form"], learned))
    return Table(["role", "saw", "form", "learned"], [False] * 4, cells, num_groups=1)


def _figure(frame: Frame, title: str = "") -> Figure:
    """The size of each message."""
    return draw_messages(pl.DataFrame(_shown(frame)["messages"]), title)


def _notes(frame: Frame) -> list[str]:
    """Which training it is, how it was encrypted, what that promises and what not."""
    engine, number = _shown(frame), len(frame.engines)
    how = engine["description"]
    strength = engine["defense_strength"]
    setting = engine["defense"] + ("" if strength is None else f" {strength:g}")
    where = "a process of its own" if engine["processes"] else "one process with others"
    notes = [
        (
            f"This is one training of {number}: {setting}, trial {engine['trial']}, "
            f"{engine['num_iterations']} iterations, looks between steps included."
        ),
        (
            f"Mode: {how['mode']}, {how['loss']}. Layout: {how['layout']}. Scheme: "
            f"{how['backend']} ({how['library']}), preset {how['preset']}, "
            f"{how['num_coefficients']} coefficients of {how['plain_bits']} bits."
        ),
        (
            f"Security check: {how['security_check']}. Threat model: "
            f"{how['threat_model']}. Encrypted: {how['layers_encrypted']}."
        ),
        f"The active party sees {how['active_party_sees']}.",
        f"Limits: {how['limits']}.",
    ]
    differences = [each["weights_max_difference"] for each in frame.engines]
    known = [difference for difference in differences if difference is not None]
    if known:
        notes.append(
            "Largest difference of a weight from the same training without encryption, "
            f"of {len(known)} trainings: {max(known):.1e}."
        )
    seconds = engine["seconds_per_iteration"]
    if seconds is not None:
        notes.append(f"{seconds:.2g} seconds per iteration, each role in {where}.")
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
