"""How much faster are the attacks on a batch gradient than the published loop?

Attacks the same views in three ways, taking turns in time, on the processor's cores:

  torch loop          gradient inversion as published, in PyTorch (torch_inversion.py)
  gradient inversion  the same method, same initial guess, in vfljax: time per step
  linear recovery     vfljax's own attack: the fewest iterations that find at least as
                      many labels as the torch loop did in all its steps, and how much
                      sooner they are done

A view is what the top half of MNIST sees of one batch: untrained 392-32-10 networks,
samples drawn with replacement. Prints two tables and appends JSON Lines to --out.
`python benchmarks/inversion_speed.py --quick` takes under two minutes but reaches
no accuracy worth the name; leave --quick out for the claim itself.
"""

import dataclasses
import functools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import timer
import tyro
from inversion_tables import print_tables
from rich.console import Console
from timer import Program, Timing, compile_program, time_calls
from tqdm import tqdm

from vfljax import attacks, data, models, protocol
from vfljax.protocol import BatchGradientView

_BENCHMARK = "inversion_speed"
_WARM_UP_STEPS = 30  # of the torch loop


@dataclasses.dataclass(frozen=True)
class Options:
    """What to compare."""

    data_dir: Path | None = None
    """Where the data set's original files are (default: $VFLJAX_DATA)."""
    dataset: str = "mnist"
    """mnist, or digits, which needs no files, to try the script."""
    batch_sizes: tuple[int, ...] = (128, 512, 2048)
    """Sizes of the attacked batches."""
    num_views: int = 3
    """Views per batch size, each with its own networks, batch and initial guess."""
    torch_steps: int = 10_000
    """Steps of the torch loop on every view; published: 10,000."""
    inversion_steps: int = 10_000
    """Steps of vfljax's gradient inversion in one compiled program."""
    recovery_iterations: tuple[int, ...] = (10, 20, 30, 50, 100, 150, 200, 400, 1000)
    """Numbers of conjugate-gradient steps to try, increasing."""
    rounds: int = 3
    """Turns per view: a share of the torch loop, then each vfljax program."""
    torch_threads: int = 0
    """Threads of the torch loop; 0 for one or all cores, whichever is faster."""
    seed: int = 0
    """Of networks, batches and guesses."""
    out: Path | None = None
    """JSON Lines file that the rows are appended to, such as results.jsonl."""
    quick: bool = False
    """One view, at most 200 steps each and two rounds: does it run at all?"""


class Target(NamedTuple):
    """A view, what its labels were, and the guess that both inversions start from."""

    view: BatchGradientView
    truth: np.ndarray
    key: jax.Array


class Programs(NamedTuple):
    """vfljax's compiled attacks; recoveries by number of iterations."""

    inversion: Program
    recoveries: dict[int, Program]


class Turns(NamedTuple):
    """All ways on one view: timings per step or call, accuracies at the end.

    Attributes:
        torch_step: Seconds per step of the torch loop, one repeat per round.
        inversion_step: The same for vfljax.
        recoveries: Seconds per call, by number of iterations.
        accuracies: Share of labels found, by name of the readout.
        recovered: The same for linear recovery, by number of iterations.
    """

    torch_step: Timing
    inversion_step: Timing
    recoveries: dict[int, Timing]
    accuracies: dict[str, float]
    recovered: dict[int, float]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark and returns its exit status."""
    options = tyro.cli(Options, args=arguments, description=__doc__)
    if options.quick:
        options = dataclasses.replace(
            options,
            num_views=1,
            torch_steps=min(options.torch_steps, 200),
            inversion_steps=min(options.inversion_steps, 200),
            rounds=2,
        )
    try:
        import torch_inversion as reference  # only here: torch is optional
    except ImportError:
        return _fail("torch is not installed; pip install 'vfljax[bench]' brings it")
    if jax.default_backend() != "cpu":
        return _fail("the torch loop runs on the processor: set JAX_PLATFORMS=cpu")
    try:
        _check(options)
        halves, labels = _load(options)
    except ValueError as error:
        return _fail(str(error))
    rows = []
    for batch_size in options.batch_sizes:
        targets = [
            make_target(
                jax.random.key(options.seed + number), halves, labels, batch_size
            )
            for number in range(options.num_views)
        ]
        new_rows = compare(reference, targets, options)
        if options.out is not None:
            timer.append_rows(options.out, new_rows)
        rows += new_rows
    print_tables(rows, Console())
    return 0


def make_target(
    key: jax.Array,
    parts: Sequence[np.ndarray],
    labels: np.ndarray,
    batch_size: int,
) -> Target:
    """One step of the protocol with fresh networks on a fresh batch, as party 0."""
    key_batch, key_weights, key_defense, key_guess = jax.random.split(key, 4)
    num_classes = int(labels.max()) + 1
    table = data.class_table(labels, num_classes)
    rows, truth = data.draw_batch(key_batch, table, jnp.arange(num_classes), batch_size)
    rows = np.asarray(rows)
    features = [jnp.asarray(part[rows]) for part in parts]
    model = models.mlp((32,), embed=num_classes)
    run = protocol.sum_of_logits(
        (model,) * len(parts),
        (optax.identity(),) * len(parts),
        num_classes=num_classes,
    )
    state = run.init(key_weights, features)
    transcript, _ = run.exchange(key_defense, state, features, truth, jnp.asarray(rows))
    view = protocol.batch_gradient_view(run, state, features[0], transcript, party=0)
    return Target(view, np.asarray(truth), key_guess)


def compare(
    reference: Any, targets: Sequence[Target], options: Options
) -> list[dict[str, Any]]:
    """Runs all ways on views of one batch size; a row for each and one that compares.

    Args:
        reference: The module `torch_inversion`.
        targets: Views of equal shapes.
        options: Numbers of steps and rounds.
    """
    first = targets[0]
    programs = Programs(
        inversion=compile_program(
            functools.partial(
                attacks.gradient_inversion, steps=options.inversion_steps
            ),
            first.key,
            first.view,
        ),
        recoveries={
            iterations: compile_program(
                functools.partial(
                    attacks.linear_recovery, solver="cg", iterations=iterations
                ),
                first.view,
            )
            for iterations in options.recovery_iterations
        },
    )
    jax.block_until_ready(programs.inversion.call(first.key, first.view))  # warm up
    threads = choose_threads(reference, first, options.torch_threads)
    with tqdm(
        total=len(targets) * options.torch_steps,
        desc=f"torch loop, B={len(first.truth)}",
        unit="step",
        disable=None,
    ) as bar:
        turns = [
            take_turns(reference, target, programs, options, bar) for target in targets
        ]
    return _rows(first.view, programs, turns, options, threads)


def take_turns(
    reference: Any, target: Target, programs: Programs, options: Options, bar: tqdm
) -> Turns:
    """Attacks one view by turns: a share of the torch loop, then each program."""
    problem, search = _start(reference, target)
    torch_step, inversion_step = Timing(), Timing()
    recoveries = dict.fromkeys(programs.recoveries, Timing())
    inference: Any = None
    answers = {}

    def torch_share(num_steps):
        for _ in range(num_steps):
            reference.step(problem, search)
            bar.update()

    for share in np.array_split(np.arange(options.torch_steps), options.rounds):
        once = {"num_repeats": 1, "num_warm_ups": 0}  # each is long enough
        timing, _ = time_calls(torch_share, len(share), **once)
        torch_step = torch_step.joined(timing.divided(len(share)))
        timing, inference = time_calls(
            programs.inversion.call, target.key, target.view, **once
        )
        inversion_step = inversion_step.joined(timing.divided(options.inversion_steps))
        for iterations, program in programs.recoveries.items():
            timing, answers[iterations] = time_calls(
                program.call, target.view, num_repeats=3
            )
            recoveries[iterations] = recoveries[iterations].joined(timing)

    def accuracy(labels):
        return float(np.mean(np.asarray(labels) == target.truth))

    torch_labels = reference.read(problem, search)
    return Turns(
        torch_step=torch_step,
        inversion_step=inversion_step,
        recoveries=recoveries,
        accuracies={
            "torch_published": accuracy(torch_labels.from_label_logits),
            "torch_message": accuracy(torch_labels.from_message),
            "inversion_published": accuracy(inference.published_labels),
            "inversion_message": accuracy(inference.labels),
        },
        recovered={
            iterations: accuracy(answer.labels)
            for iterations, answer in answers.items()
        },
    )


def choose_threads(reference: Any, target: Target, num_threads: int) -> int:
    """Sets torch's threads: as asked, or whichever of one and all is faster."""
    problem, search = _start(reference, target)

    def some_steps():
        for _ in range(_WARM_UP_STEPS):
            reference.step(problem, search)

    def seconds(number):
        reference.torch.set_num_threads(number)
        return time_calls(some_steps, num_repeats=3)[0].minimum

    candidates = [num_threads] if num_threads else [timer.num_cpu_threads(), 1]
    fastest = min(candidates, key=seconds)
    reference.torch.set_num_threads(fastest)
    return fastest


def _start(reference, target):
    """The torch loop's problem, and its search from vfljax's own initial guess."""
    view = target.view
    guess = attacks.make_inversion(view).init(jax.random.clone(target.key)).guess
    problem = reference.make_problem(
        view.params, np.asarray(view.features), view.gradient
    )
    return problem, reference.start(guess.other_logits.T, guess.label_logits.T)


def _rows(view, programs, turns, options, torch_threads):
    """Joins the views: all repeats for the timings, means for the accuracies."""
    sizes = {
        "dataset": options.dataset,
        "batch_size": view.features.shape[0],
        "num_features": int(np.prod(view.features.shape[1:])),
        "num_classes": view.num_classes,
        "num_parameters": sum(leaf.size for leaf in jax.tree.leaves(view.params)),
        "num_views": len(turns),
    }

    def joined(timings):
        return functools.reduce(Timing.joined, timings, Timing())

    def mean(name):
        return float(np.mean([turn.accuracies[name] for turn in turns]))

    def row(method, timing, unit, program=None, **details):
        return timer.make_row(
            _BENCHMARK, method, timing, program, unit=unit, **sizes, **details
        )

    torch_step = joined(turn.torch_step for turn in turns)
    inversion_step = joined(turn.inversion_step for turn in turns)
    torch_accuracy = max(mean("torch_published"), mean("torch_message"))
    rows = [
        row(
            "torch_loop",
            torch_step,
            "step",
            steps=options.torch_steps,
            torch_threads=torch_threads,
            accuracy=mean("torch_message"),
            published_accuracy=mean("torch_published"),
        ),
        row(
            "gradient_inversion",
            inversion_step,
            "step",
            programs.inversion,
            steps=options.inversion_steps,
            times_faster=torch_step.minimum / inversion_step.minimum,
            accuracy=mean("inversion_message"),
            published_accuracy=mean("inversion_published"),
        ),
    ]
    torch_seconds = torch_step.minimum * options.torch_steps
    is_first = True
    for iterations, program in programs.recoveries.items():
        timing = joined(turn.recoveries[iterations] for turn in turns)
        accuracy = float(np.mean([turn.recovered[iterations] for turn in turns]))
        is_enough = accuracy >= torch_accuracy
        rows.append(
            row(
                "linear_recovery",
                timing,
                "call",
                program,
                iterations=iterations,
                times_sooner=torch_seconds / timing.minimum,
                accuracy=accuracy,
                is_first_to_match=is_first and is_enough,
            )
        )
        is_first = is_first and not is_enough
    return rows


def _load(options):
    """Both parties' features and the labels of the training samples."""
    dataset = data.load(options.dataset, options.data_dir)
    return data.split_features(dataset.train_features, "rows", 2), dataset.train_labels


def _check(options):
    """Raises a `ValueError` for a number that means nothing."""
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        numbers = value if isinstance(value, tuple) else (value,)
        smallest = 0 if field.name in ("seed", "torch_threads") else 1
        if any(type(number) is int and number < smallest for number in numbers):
            raise ValueError(f"{field.name}={value}: must be >= {smallest}")
    if options.rounds > options.torch_steps:
        raise ValueError(
            f"rounds={options.rounds}: must be <= torch_steps={options.torch_steps}"
        )


def _fail(message):
    print(f"{_BENCHMARK}: {' '.join(message.split())}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
