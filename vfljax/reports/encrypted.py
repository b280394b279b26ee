"""The summary of an encrypted run: who learned what, attacks, costs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vfljax.reports.drawing import COLORS, LOOK
from vfljax.reports.layout import NOTHING

_NOTE = (
    "encrypted %: labels inferred from what the passive party decrypted; simulated %: "
    "by the same attack from the plain training's gradient; same %: samples for which "
    "both give the same label; chance %: always naming the most frequent class. "
    "Samples that the adversary left out of its gradient don't count."
)


def write_encrypted_figure(run_dir: Path, result: Mapping[str, Any]) -> list[Path]:
    """Draws the bytes of each message into the folder `report` of the run's folder.

    Args:
        run_dir: The run's folder.
        result: The content of its `encrypted.json`.

    Returns:
        The files written, PNG and PDF.
    """
    (run_dir / "report").mkdir(exist_ok=True)
    paths = [run_dir / "report" / f"messages.{kind}" for kind in ("png", "pdf")]
    with mpl.rc_context(LOOK):
        figure = draw_messages(result)
        for path in paths:
            is_pdf = path.suffix == ".pdf"
            figure.savefig(
                path, metadata={"CreationDate": None} if is_pdf else {"Software": None}
            )
    return paths


def draw_messages(result: Mapping[str, Any]) -> Figure:
    """Bytes of each message of an iteration on a logarithmic axis; color: its form."""
    rows = _iteration_messages(result)
    forms = list(dict.fromkeys(row["form"] for row in rows))
    figure = Figure(figsize=(6.0, 1.0 + 0.3 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    names = [f"{_kind(row)}, {row['sender']} to {row['receiver']}" for row in rows]
    for place, form in enumerate(forms):
        of_form = [number for number, row in enumerate(rows) if row["form"] == form]
        sizes = [rows[number]["num_bytes"] for number in of_form]
        counts = [rows[number]["num_messages"] for number in of_form]
        means = [size / count for size, count in zip(sizes, counts, strict=True)]
        axes.barh(of_form, means, color=COLORS[place], label=form)
    axes.set(xscale="log", xlim=(100, None), xlabel="bytes per iteration")
    axes.set_yticks(range(len(rows)), names)
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    figure.legend(loc="outside lower center", ncols=len(forms))
    axes.set_title(result["title"] or result["name"], loc="left")
    return figure


def print_encrypted(result: Mapping[str, Any], console: Console) -> None:
    """Prints who learned what, the attacks' rates, and what the run cost.

    Args:
        result: The content of `encrypted.json`.
        console: Where to print.
    """
    console.print(Text(result["title"] or result["name"], style="bold"))
    console.print(Text(opening(result)))
    console.print(Text("\nWho learned what", style="bold"))
    _print_table(console, ("role", "saw", "form", "learned"), _known(result), 0)
    if result["attacks"]:
        console.print(Text("\nAttacks", style="bold"))
        headings = ("attack", "iteration", "encrypted %", "simulated %", "same %")
        _print_table(console, (*headings, "chance %"), attack_cells(result), 5)
        console.print(Text(f"- {_NOTE}", style="dim"))
    console.print(Text("\nMessages of an iteration", style="bold"))
    headings = ("from", "to", "what", "form", "ciphertexts", "bytes")
    _print_table(console, headings, _cost_cells(result), 2)
    for sentence in sentences(result):
        console.print(Text(f"- {sentence}"))


def opening(result: Mapping[str, Any]) -> str:
    """One line about mode, layout, scheme and threat model."""
    about = result["description"]
    return (
        f"{result['iterations']} iterations, B={result['batch_size']}; mode "
        f"{about['mode']}, layout {about['layout']}; {about['library']}, "
        f"N={about['num_coefficients']}, security check: {about['security_check']}; "
        f"encrypted: {about['layers_encrypted']}; threat model: "
        f"{about['threat_model']}."
    )


def sentences(result: Mapping[str, Any]) -> list[str]:
    """What is left to say: weights, time, limits."""
    difference, about = result["weights_max_difference"], result["description"]
    seconds = [each for each in result["wall_seconds"] if each is not None]
    texts = [
        "weights: at most "
        f"{difference:.1e} from those of the plain training on the same batches."
        if difference is not None
        else f"weights: not compared, the plain training has another loss than "
        f"{about['loss']}."
    ]
    main, backdoor = result["main_accuracy"], result["backdoor_accuracy"]
    texts.append(f"main task: {_percent(main)} % of test samples.")
    if backdoor is not None:
        texts.append(
            f"backdoor: {_percent(backdoor)} % of marked test samples are taken for "
            f"the target class, {_percent(result['unmarked_accuracy'])} % of unmarked "
            "ones; label inference finds the swapped rows' labels."
        )
    if seconds:
        processes = "each role in a process" if result["processes"] else "one process"
        texts.append(
            f"time: {sum(seconds) / len(seconds):.2f} s per iteration ({processes}); "
            f"{result['cpu_seconds']:.1f} CPU seconds in all, start included."
        )
    texts.append(f"the active party sees {about['active_party_sees']}.")
    texts.append(f"limits: {about['limits']}.")
    return texts


def attack_cells(result: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The attacks' table, a line per attack and iteration."""
    rates = ("encrypted_accuracy", "simulated_accuracy", "same_labels")
    return [
        (
            row["attack"],
            str(row["iteration"]),
            *(_percent(row[name]) for name in (*rates, "chance_accuracy")),
        )
        for row in result["attacks"]
    ]


def _known(result):
    """The table without repeating a role's name."""
    before, cells = None, []
    for row in result["who_learned_what"]:
        role = "" if row["role"] == before else row["role"]
        cells.append((role, row["saw"], row["form"], row["learned"]))
        before = row["role"]
    return cells


def _cost_cells(result):
    return [
        (
            row["sender"],
            row["receiver"],
            _kind(row),
            row["form"],
            str(round(row["num_ciphertexts"] / row["num_messages"])),
            f"{round(row['num_bytes'] / row['num_messages']):,}",
        )
        for row in _iteration_messages(result)
    ]


def _iteration_messages(result):
    """Between roles: neither the key nor what the network says itself."""
    return [
        row
        for row in result["messages"]
        if row["kind"] != "public_key" and row["sender"] != "network"
    ]


def _kind(row):
    return row["kind"].replace("_", " ")


def _print_table(
    console: Console,
    headings: Sequence[str],
    cells: Sequence[tuple[str, ...]],
    num_numbers: int,
) -> None:
    """A table whose last columns are numbers."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    first = len(headings) - num_numbers
    for place, heading in enumerate(headings):
        justify = "right" if place >= first else "left"
        table.add_column(heading, justify=justify, overflow="fold")
    for row in cells:
        table.add_row(*row)
    console.print(table)


def _percent(rate):
    return NOTHING if rate is None else f"{100 * rate:.1f}"
