"""The report of a run folder: summary, data of the table, figures."""

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from rich.console import Console
from rich.text import Text

from vfljax.experiments.records import Run, read_run
from vfljax.reports import drawing
from vfljax.reports.backdoor import (
    BACKDOOR_NOTES,
    backdoors,
    inferences,
    lay_out_backdoors,
)
from vfljax.reports.budget import (
    NOTE,
    budget_sentences,
    has_budget,
    lay_out_budget,
)
from vfljax.reports.completion import (
    completion_notes,
    has_completion,
    is_all_completion,
    lay_out_completion,
)
from vfljax.reports.figures import choose_figures
from vfljax.reports.layout import markdown
from vfljax.reports.statistics import Summary, summarize
from vfljax.reports.tables import csv_table, markdown_table
from vfljax.reports.terminal import (
    terminal_completion,
    terminal_layout,
    terminal_table,
    terminal_verdict,
)
from vfljax.reports.verdict import NOTES, has_verdict, lay_out_verdict

_FEW_ATTACKS = 4  # whose columns fit on a terminal

_CAPTIONS = {
    "accuracy_against_classes": (
        "Labels recovered against the number of classes, one line per batch size."
    ),
    "accuracy_against_batch_size": "Labels recovered against the batch size.",
    "accuracy_against_train_step": (
        "Labels recovered against the training step at which the view is taken."
    ),
    "accuracy_against_known_labels": (
        "Labels recovered, of the samples whose labels are not known, against the "
        "labels known per class, after the last epoch of the attack."
    ),
    "accuracy_against_variant": (
        "Labels recovered against the variants of the experiment. The thin gray line "
        "is the main-task accuracy, as it is without an active attack."
    ),
    "trade_off": (
        "Main-task accuracy against the labels recovered by the strongest attack; "
        "numbers beside the markers are strengths. The strongest attack is chosen for "
        "each point on its own, by its mean. Where an attack that knows the defense is "
        "stronger than all that ignore it, a thin line leads to it from the strongest "
        "of those. A hollow marker is no protection: the labels leak up to names, or "
        "the attack is below chance."
    ),
    "backdoor_against_amplification": (
        "Backdoor and main-task accuracy against the amplification of the replaced "
        "messages. The light line counts samples of the target class as successes, as "
        "published."
    ),
    "backdoor_trade_off": (
        "Main-task accuracy against backdoor accuracy; numbers beside the markers are "
        "strengths. The upper left corner is where a defense should be."
    ),
    "restored_given_true": (
        "How often each class is restored as which, of the samples of that class that "
        "got an answer. One dark entry per row: the labels leak, at most under other "
        "names. Equal rows: nothing leaks."
    ),
}


def write_report(run_dir: Path) -> list[Path]:
    """Writes the report of a run into the folder `report` inside the run's folder.

    The report is `summary.md` (table, notes, figures by relative link), `summary.csv`
    (every number in full precision), and each figure that the run's rows can fill as
    `.png` and `.pdf`. It depends on the run's records only: writing it again gives the
    same bytes. Each file appears complete or not at all.

    Args:
        run_dir: folder with `config.json`, `environment.json` and `trials.jsonl`.

    Returns:
        The files written, `summary.md` first.

    Raises:
        ValueError: if the run has no rows.
    """
    run_dir = Path(run_dir)
    run = read_run(run_dir)
    if not run.rows:
        raise ValueError(
            f"run_dir {run_dir} has no trials in trials.jsonl; allowed: a run with at "
            "least one finished trial"
        )
    out_dir = run_dir / "report"
    out_dir.mkdir(exist_ok=True)
    summaries = summarize(run.rows)
    figures = choose_figures(run.rows, run.config.get("title"))
    contents = {
        "summary.md": _markdown(run, summaries, list(figures)).encode(),
        "summary.csv": csv_table(summaries).encode(),
    }
    for name, figure in figures.items():
        contents[f"{name}.png"] = _picture(figure, "png")
        contents[f"{name}.pdf"] = _picture(figure, "pdf")
    # The summary last, so that it never links to a picture not yet there.
    for name in reversed(contents):
        _replace(out_dir / name, contents[name])
    return [out_dir / name for name in contents]


def print_summary(run: Run, console: Console) -> None:
    """Prints the title, model completion, verdict, table and notes of a run.

    Where there is a verdict, the table of all attacks is only printed if it is short.
    A run of model completion alone has neither.

    Args:
        run: a run as read from its folder.
        console: where to print.

    Raises:
        ValueError: if the run has no rows.
    """
    if not run.rows:
        raise ValueError("run.rows is empty; allowed: at least one finished trial")
    summaries = summarize(run.rows)
    console.print(Text(_title(run), style="bold"))
    console.print(Text(_opening(run, summaries)))
    console.print()
    if backdoors(summaries):
        console.print(Text("Backdoors", style="bold"))
        console.print(terminal_layout(lay_out_backdoors(summaries), console.width))
        _print_notes(console, BACKDOOR_NOTES)
        console.print()
    summaries = inferences(summaries)
    if not summaries:
        return
    if has_completion(summaries):
        console.print(Text("Model completion", style="bold"))
        console.print(terminal_completion(summaries, console.width))
        _print_notes(console, completion_notes(summaries))
        console.print()
    if not is_all_completion(summaries):
        _print_attacks(summaries, console)
    if has_budget(summaries):
        console.print(Text("\nLabel privacy budget", style="bold"))
        console.print(terminal_layout(lay_out_budget(summaries), console.width))
        _print_notes(console, [*budget_sentences(summaries), NOTE])
        console.print()
    _print_notes(console, _notes(summaries))


def _print_attacks(summaries: Sequence[Summary], console: Console) -> None:
    """The verdict, and the table of all attacks if there is none or it is short."""
    num_attacks = len({summary.attack for summary in summaries})
    if has_verdict(summaries):
        console.print(Text("Verdict", style="bold"))
        console.print(terminal_verdict(summaries, console.width))
        _print_notes(console, NOTES)
        console.print()
    if has_verdict(summaries) and num_attacks > _FEW_ATTACKS:
        console.print(f"All {num_attacks} attacks are in report/summary.md.")
    else:
        console.print(terminal_table(summaries, console.width))


def _print_notes(console: Console, notes: Sequence[str]) -> None:
    """Remarks below a table."""
    for note in notes:
        console.print(Text(f"- {note}", style="dim"))


def _markdown(run: Run, summaries: Sequence[Summary], names: Sequence[str]) -> str:
    """The text of summary.md."""
    blocks = [f"# {_title(run)}", _opening(run, summaries)]
    planted, summaries = backdoors(summaries), inferences(summaries)
    if planted:
        blocks += [
            "## Backdoors",
            markdown(lay_out_backdoors(planted)).rstrip(),
            _bullets(BACKDOOR_NOTES),
        ]
    if summaries:
        blocks += _markdown_of_inferences(summaries, is_first=not planted)
    if names:
        blocks.append("## Figures")
    for name in names:
        blocks.append(f"![{name}]({name}.png)")
        blocks.append(f"{_CAPTIONS[name]} ([PDF]({name}.pdf))")
    return "\n\n".join(blocks) + "\n"


def _markdown_of_inferences(summaries: Sequence[Summary], is_first: bool) -> list[str]:
    """The blocks about inferred labels."""
    blocks: list[str] = []
    if has_completion(summaries):
        blocks += [
            "## Model completion",
            markdown(lay_out_completion(summaries)).rstrip(),
            _bullets(completion_notes(summaries)),
        ]
    if not is_all_completion(summaries):
        if has_verdict(summaries):
            blocks += [
                "## Verdict",
                markdown(lay_out_verdict(summaries)).rstrip(),
                _bullets(NOTES),
            ]
        if has_verdict(summaries) or has_completion(summaries) or not is_first:
            blocks.append("## All attacks")
        blocks.append(markdown_table(summaries).rstrip())
    if has_budget(summaries):
        blocks += [
            "## Label privacy budget",
            markdown(lay_out_budget(summaries)).rstrip(),
            _bullets([*budget_sentences(summaries), NOTE]),
        ]
    return [*blocks, "## Notes", _bullets(_notes(summaries))]


def _bullets(notes: Sequence[str]) -> str:
    """A Markdown list."""
    return "\n".join(f"- {note}" for note in notes)


def _title(run: Run) -> str:
    """The experiment's title, else its name."""
    return run.config.get("title") or run.config.get("name") or "Untitled experiment"


def _opening(run: Run, summaries: Sequence[Summary]) -> str:
    """One line about data, trials, seed and device, as far as recorded."""
    datasets = ", ".join(dict.fromkeys(summary.dataset for summary in summaries))
    settings = "1 setting" if len(summaries) == 1 else f"{len(summaries)} settings"
    trials = "1 trial" if len(run.rows) == 1 else f"{len(run.rows)} trials"
    parts = [f"data: {datasets}", f"{trials} in {settings}"]
    recorded: tuple[tuple[str, Any], ...] = (
        ("seed", run.config.get("seed")),
        ("device", run.environment.get("device") or run.environment.get("devices")),
    )
    for name, value in recorded:
        if value is not None:
            is_list = isinstance(value, list | tuple)
            text = ", ".join(map(str, value)) if is_list else str(value)
            parts.append(f"{name}: {text}")
    return "; ".join(parts) + "."


def _notes(summaries: Sequence[Summary]) -> list[str]:
    """How to read the numbers."""
    num_trials = sum(summary.num_trials for summary in summaries)
    num_failed = sum(summary.num_failed for summary in summaries)
    failures = " ".join(summary.failures for summary in summaries).split()
    rates = "train and test %" if is_all_completion(summaries) else "attack %"
    notes = [
        (
            f"{rates}: labels recovered, mean over trials ± half-width of the 95 % "
            "Student-t interval of the per-trial rates, cut off at 0 and 100. A single "
            "trial has no interval; ± 0.0 says that all trials agreed, not that the "
            "next one must."
        ),
        "chance %: always guessing the most frequent class.",
    ]
    if any(summary.rate("auc").number for summary in summaries):
        notes.append(
            "AUC: area under the ROC curve of the attack's scores, 0.5 without any "
            "knowledge, below it with the classes mistaken for each other."
        )
    if any(summary.num_published for summary in summaries):
        notes.append("published %: the same attack read out as published.")
    is_judged_by_names = any(summary.num_matched for summary in summaries)
    if is_judged_by_names and not is_all_completion(summaries):
        notes.append(
            "up to names %: labels recovered under the best one-to-one renaming of the "
            "classes; information: mutual information of inferred and true labels over "
            "the mean of their entropies, from 0 to 1. In brackets is what blind "
            "guesses get."
        )
    if any(summary.num_main for summary in summaries):
        notes.append(
            "main task %: test accuracy of the trained model, what a defense costs."
        )
    optimizers = {summary.adversary_optimizer for summary in summaries}
    if len(optimizers) > 1 and not is_all_completion(summaries):
        notes.append(
            "optimizer: the adversary's, where it is not benign or the attack is on "
            "its model. An active attack has a training of its own, and in the table "
            "of attacks its own main task %; the verdict has that of the others."
        )
    if num_failed:
        notes.append(
            f"failed trials: {num_failed} of {num_trials} (status "
            f"{', '.join(sorted(set(failures)))}). They are counted in every mean."
        )
        if "sent_unprotected" in failures:
            notes.append(
                "sent_unprotected: the defense was on and could do nothing for the "
                "batch attacked, which was sent as it was. Its rate is no rate of the "
                "defense."
            )
    else:
        notes.append(f"failed trials: none of {num_trials}.")
    return notes


def _picture(figure: Figure, file_format: str) -> bytes:
    """The figure as a file's bytes, the same every time."""
    buffer = io.BytesIO()
    metadata = {"CreationDate": None} if file_format == "pdf" else {"Software": None}
    with mpl.rc_context(drawing.LOOK):
        figure.savefig(buffer, format=file_format, metadata=metadata)
    return buffer.getvalue()


def _replace(path: Path, content: bytes) -> None:
    """Writes a file so that it is never seen half written."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
