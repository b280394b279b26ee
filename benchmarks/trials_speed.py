"""What does one more trial cost when trials are mapped in one compiled program?

Runs real sweeps (`vfljax.experiments.run_sweep`) whose chunks hold 2, 5, 10 and 30
trials, and times each chunk's programs: gradient inversion, linear recovery and direct
training of the two parties' networks. One trial alone, compiled by itself, is the
measure: "relative" is the time per trial as a share of that. Chunks are spread over
devices, one per core, and filled up to a multiple of their number; the time per trial
counts only trials that were asked for. Compilations after the first chunk are counted:
there should be none.
"""

import collections
import dataclasses
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import timer
import tyro
from rich import box
from rich.console import Console
from rich.table import Table
from timer import Timing, compile_program, time_calls
from tqdm import tqdm

from vfljax import data, experiments
from vfljax.attacks import GradientInversion, LinearRecovery
from vfljax.experiments import trial
from vfljax.experiments.task import Task, load_arrays
from vfljax.experiments.world import Cell, Setting

_BENCHMARK = "trials_speed"
_COMPILE_EVENT = "/jax/core/compile/backend_compile_duration"


@dataclasses.dataclass(frozen=True)
class Options:
    """What to run."""

    data_dir: Path | None = None
    """Where the data set's original files are (default: $VFLJAX_DATA)."""
    dataset: str = "mnist"
    """mnist, or digits, which needs no files, to try the script."""
    batch_sizes: tuple[int, ...] = (128, 512)
    """Sizes of the attacked batches, and of the training batches."""
    num_trials: tuple[int, ...] = (2, 5, 10, 30)
    """Trials in one program, beside one alone."""
    inversion_steps: int = 500
    """Steps of gradient inversion."""
    recovery_iterations: int = 200
    """Conjugate-gradient steps of linear recovery."""
    training_steps: int = 200
    """Steps of direct training with Adam; includes one pass over the test samples."""
    repeats: int = 4
    """Chunks of each size; the first one warms up and is not counted."""
    seed: int = 0
    """Root of every trial's key."""
    out: Path | None = None
    """JSON Lines file that the rows are appended to, such as results.jsonl."""
    quick: bool = False
    """B=128, at most 5 trials and 50 steps of everything: does it run at all?"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark and returns its exit status."""
    options = tyro.cli(Options, args=arguments, description=__doc__)
    if options.quick:
        options = dataclasses.replace(
            options,
            batch_sizes=options.batch_sizes[:1],
            num_trials=tuple(n for n in options.num_trials if n <= 5),
            inversion_steps=min(options.inversion_steps, 50),
            recovery_iterations=min(options.recovery_iterations, 50),
            training_steps=min(options.training_steps, 50),
            repeats=2,
        )
    if options.repeats < 2:
        print(f"{_BENCHMARK}: repeats={options.repeats}: must be >= 2", file=sys.stderr)
        return 2
    jax.config.update("jax_num_cpu_devices", timer.num_cpu_threads())
    compilations = _count_compilations()
    try:
        dataset = data.load(options.dataset, options.data_dir)
        rows = []
        total = len(options.batch_sizes) * (1 + len(options.num_trials))
        with tqdm(total=total, unit="program size", disable=None) as bar:
            for batch_size in options.batch_sizes:
                alone = time_alone(dataset, batch_size, options)
                new_rows = list(alone.values())
                bar.update()
                for number in options.num_trials:
                    new_rows += time_mapped(
                        dataset, batch_size, number, options, alone, compilations
                    )
                    bar.update()
                if options.out is not None:
                    timer.append_rows(options.out, new_rows)
                rows += new_rows
    except ValueError as error:
        print(f"{_BENCHMARK}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    print_table(rows, Console())
    return 0


def make_experiment(
    batch_size: int, num_trials: int, chunk_size: int, options: Options
) -> experiments.Experiment:
    """Both attacks on the untrained networks of parties that then train."""
    return experiments.Experiment(
        name=_BENCHMARK,
        data=experiments.Data(dataset=options.dataset, split="rows"),
        training=experiments.Training(
            steps=options.training_steps, batch_size=batch_size
        ),
        batch_sizes=(batch_size,),
        attacks={
            "gradient_inversion": GradientInversion(steps=options.inversion_steps),
            "linear_recovery": LinearRecovery(
                solver="cg", iterations=options.recovery_iterations
            ),
        },
        num_trials=num_trials,
        seed=options.seed,
        execution=experiments.Execution(chunk_size=chunk_size),
    )


def time_alone(
    dataset: data.Dataset, batch_size: int, options: Options
) -> dict[str, dict[str, Any]]:
    """One trial's programs on one device, by themselves: a row for each method."""
    experiment = make_experiment(batch_size, 1, 1, options)
    num_classes = len(dataset.class_names)
    cell = Cell(num_classes, batch_size, "none")
    arrays = load_arrays(Task(experiment, dataset, num_classes))
    key_victim, key_attack = jax.random.split(jax.random.key(options.seed))
    repeats = {"num_repeats": options.repeats - 1, "num_warm_ups": 1}

    nothing_swept = Setting(strength=jnp.zeros(()), choice=jnp.zeros((), int))
    arguments = key_victim, (nothing_swept, {}), arrays
    make_victim = trial.make_victim(
        experiment, cell, tuple(experiment.attacks.values())
    )
    program = compile_program(make_victim, *arguments)
    timing, victim = time_calls(program.call, *arguments, **repeats)
    rows = {"training": _row(options, "training", batch_size, 1, timing, program)}
    for label, attack in experiment.attacks.items():
        arguments = key_attack, (victim.at_steps[0], (), {}), arrays
        attacked = trial.make_attack(experiment, cell, attack, is_built_on=False)
        program = compile_program(attacked, *arguments)
        timing, _ = time_calls(program.call, *arguments, **repeats)
        rows[label] = _row(options, label, batch_size, 1, timing, program)
    return rows


def time_mapped(
    dataset: data.Dataset,
    batch_size: int,
    num_trials: int,
    options: Options,
    alone: dict[str, dict[str, Any]],
    compilations: collections.Counter[str],
) -> list[dict[str, Any]]:
    """A sweep of some chunks of `num_trials` trials: a row for each method."""
    num_devices = jax.device_count()
    padded = -(-num_trials // num_devices) * num_devices
    experiment = make_experiment(batch_size, padded * options.repeats, padded, options)
    compiled = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in experiments.run_sweep(experiment, dataset, Path(folder)):
            compiled.append(compilations[_COMPILE_EVENT])
        rows_of_trials = experiments.read_run(Path(folder)).rows
    # One entry before the first chunk, then one after each.
    first, later = compiled[1] - compiled[0], compiled[-1] - compiled[1]
    chunks: dict[str, dict[int, float]] = collections.defaultdict(
        dict
    )  # the rows of a chunk share their seconds
    for row in rows_of_trials:
        number = row["trial"] // padded
        chunks[row["attack"]][number] = row["seconds"] * padded
        chunks["training"][number] = row["train_seconds"] * padded
    rows = []
    for method, base in alone.items():
        counted = [seconds for number, seconds in chunks[method].items() if number > 0]
        per_trial = Timing(tuple(counted)).divided(num_trials)
        rows.append(
            _row(options, method, batch_size, num_trials, per_trial)
            | {
                "padded_trials": padded,
                "relative_to_alone": per_trial.minimum / base["seconds_min"],
                "compilations_first_call": first,
                "compilations_later_calls": later,
            }
        )
    return rows


def print_table(rows: Sequence[dict[str, Any]], console: Console) -> None:
    """Prints the time per trial against the number of trials."""
    table = Table(
        title=f"Mapped trials on {jax.device_count()} devices: milliseconds per trial",
        box=box.SIMPLE,
    )
    for heading in (
        *("method", "B", "trials", "ms", "relative", "trials/s"),
        *("compiled", "again"),
    ):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    for row in sorted(rows, key=lambda row: (row["method"], row["batch_size"])):
        table.add_row(
            row["method"],
            str(row["batch_size"]),
            str(row["num_trials"]),
            f"{1e3 * row['seconds_min']:.2f}",
            f"{row['relative_to_alone']:.2f}",
            f"{1 / row['seconds_min']:.1f}",
            str(row.get("compilations_first_call", "")),
            str(row.get("compilations_later_calls", "")),
        )
    console.print(table)


def _row(options, method, batch_size, num_trials, per_trial, program=None):
    steps = {
        "training": options.training_steps,
        "gradient_inversion": options.inversion_steps,
        "linear_recovery": options.recovery_iterations,
    }
    return timer.make_row(
        _BENCHMARK,
        method,
        per_trial,
        program,
        unit="trial",
        dataset=options.dataset,
        batch_size=batch_size,
        num_trials=num_trials,
        steps=steps[method],
        relative_to_alone=1.0,
    )


def _count_compilations() -> collections.Counter[str]:
    """A counter that goes up whenever JAX compiles a program."""
    counter = collections.Counter()

    def listen(event, duration_secs, **details):
        del duration_secs, details
        counter[event] += 1

    jax.monitoring.register_event_duration_secs_listener(listen)
    return counter


if __name__ == "__main__":
    sys.exit(main())
