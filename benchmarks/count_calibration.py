"""How much faster is LLG calibrated in closed form than by the released procedure?

LLG* and LLG+ (Wainakh et al. 2022) need the impact m of a label on the row sums of the
last layer's gradient, and the offset s of the others. Both are found in three ways, on
the same samples, network and device, taking turns in time:

  batch by batch      as in the released code: for each class R batches of B samples,
                      each through the whole network and back, in a compiled program
                      that is called for each batch
  all batches         the same backward passes, mapped in one compiled program
  closed form         one forward pass, in one compiled program
  few samples         the same with two samples of each class (LLG+ alone)

for samples of an adversary's own (LLG+) and for zero dummies (LLG*), where the closed
form takes one sample in place of R·n·B equal ones. As few samples calibrate otherwise
than many, every row has the success rate of the attack that is calibrated so, on 100
non-IID batches. Prints a table and appends JSON Lines to --out.
"""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import timer
import tyro
from rich import box
from rich.console import Console
from rich.table import Table
from timer import Program, Timing, compile_program, time_calls

from vfljax import attacks, data, models, protocol
from vfljax.attacks.llg import Calibration, calibrate, extract
from vfljax.goals.label_counts import overlap
from vfljax.known import Known

_BENCHMARK = "count_calibration"
LAYER = "output"
"""Name of the network's last layer."""
NUM_ATTACKED = 100
"""Batches on which a calibration is judged."""
FEW = 2
"""Samples of each class that few samples are."""
MOST_ERROR = 1e-2
"""Share by which ways may differ: sums over images in float32."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What to compare."""

    data_dir: Path | None = None
    """Where the data set's original files are (default: $VFLJAX_DATA)."""
    dataset: str = "mnist"
    """mnist, or digits, which needs no files, to try the script."""
    batch_sizes: tuple[int, ...] = (8, 32, 128)
    """Sizes of the batches."""
    num_batches: int = 10
    """Batches of each class; published: 10."""
    repeats: int = 5
    """Turns, each with every way once; the first call of each warms up."""
    seed: int = 0
    """Of the network and the samples."""
    out: Path | None = None
    """JSON Lines file that the rows are appended to, such as results.jsonl."""
    quick: bool = False
    """The first batch size, two batches of each class and two turns: does it run?"""


class Problem(NamedTuple):
    """A network, and batches of one class each.

    Attributes:
        view: Whose network is calibrated for; its update is not used.
        features: Of the samples (classes, batches, batch, ...).
        labels: Their classes.
    """

    view: protocol.UpdateView
    features: jax.Array
    labels: jax.Array


class Way(NamedTuple):
    """A way to calibrate: `call()` to m and s, and the program behind it."""

    call: Any
    program: Program


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark and returns its exit status."""
    options = tyro.cli(Options, args=arguments, description=__doc__)
    if options.quick:
        options = dataclasses.replace(
            options, batch_sizes=options.batch_sizes[:1], num_batches=2, repeats=2
        )
    rows = []
    try:
        for name in ("num_batches", "repeats"):
            if getattr(options, name) < 1:
                raise ValueError(f"{name}={getattr(options, name)}: must be >= 1")
        dataset = data.load(options.dataset, options.data_dir)
        for batch_size in options.batch_sizes:
            problem = make_problem(dataset, batch_size, options)
            judge = make_judge(dataset, problem.view, options.seed)
            few = Problem(
                problem.view,
                problem.features[:, :1, :FEW],
                problem.labels[:, :1, :FEW],
            )
            closed = {"closed form": closed_form(problem)}
            others = {"few samples": closed_form(few)}
            rows += compare("LLG+", problem, closed, others, judge, options)
            dummies = problem._replace(features=jnp.zeros_like(problem.features))
            closed = {"closed form": closed_form_of_dummy(problem)}
            rows += compare("LLG*", dummies, closed, {}, judge, options)
    except ValueError as error:
        print(f"{_BENCHMARK}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    if options.out is not None:
        timer.append_rows(options.out, rows)
    print_table(rows, Console())
    return 0


def make_problem(dataset: data.Dataset, batch_size: int, options: Options) -> Problem:
    """An untrained sigmoid CNN, and batches drawn from the test samples of a class."""
    generator = np.random.default_rng(options.seed)
    num_classes, labels = len(dataset.class_names), np.asarray(dataset.test_labels)
    model = models.SigmoidCNN(start_bound=0.5).make(num_classes)
    size = options.num_batches, batch_size
    rows = np.stack(
        [
            generator.choice(np.flatnonzero(labels == c), size)
            for c in range(num_classes)
        ]
    )
    features = jnp.asarray(dataset.test_features[rows])
    params = model.init(jax.random.key(options.seed), features[0, 0])
    view = protocol.UpdateView(
        model=model,
        params=params,
        update=params,
        learning_rate=0.1,
        num_classes=num_classes,
        batch_size=batch_size,
        sample_shape=features.shape[3:],
    )
    return Problem(view, features, jnp.asarray(labels[rows]))


def backwards(
    view: protocol.UpdateView, features: jax.Array, labels: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Row sums of a batch's gradient, and a sum over all of it.

    The released code takes the gradient of the whole network: the second sum keeps the
    compiler from leaving out what isn't asked for.
    """
    gradient = protocol.batch_gradient(
        view.model, view.params, features, labels, view.num_classes
    )
    total = sum(jnp.sum(leaf) for leaf in jax.tree.leaves(gradient))
    return jnp.sum(protocol.head_of(gradient, LAYER)[0], axis=1), jnp.asarray(total)


def from_row_sums(sums: Any, batch_size: int) -> Calibration:
    """Calibration of the released code, from row sums (classes, batches, classes)."""
    of_class = np.asarray(sums).mean(axis=1)
    num_classes = len(of_class)
    impact = (1 + 1 / num_classes) * np.diag(of_class).mean() / batch_size
    others = (of_class * (1 - np.eye(num_classes))).sum(axis=0)
    return Calibration(impact, others / (num_classes - 1))


def one_by_one(problem: Problem) -> Way:
    """Every batch is a call."""
    view, features, labels = problem
    program = compile_program(backwards, view, features[0, 0], labels[0, 0])
    num_classes, num_batches, batch_size = labels.shape

    def call():
        sums = np.empty((num_classes, num_batches, num_classes))
        for place in np.ndindex(num_classes, num_batches):
            sums[place] = program.call(view, features[place], labels[place])[0]
        return from_row_sums(sums, batch_size)

    return Way(call, program)


def all_at_once(problem: Problem) -> Way:
    """All batches are mapped in one program."""
    num_classes, num_batches, batch_size = problem.labels.shape

    def run(problem):
        view, features, labels = problem
        flat = features.reshape(-1, *features.shape[2:]), labels.reshape(-1, batch_size)
        sums, totals = jax.lax.map(lambda batch: backwards(view, *batch), flat)
        return sums.reshape(num_classes, num_batches, num_classes), totals

    program = compile_program(run, problem)
    return Way(lambda: from_row_sums(program.call(problem)[0], batch_size), program)


def closed_form(problem: Problem) -> Way:
    """One forward pass over the samples."""
    view, features, labels = problem
    known = Known(
        auxiliary_features=features.reshape(-1, *view.sample_shape),
        auxiliary_labels=labels.reshape(-1),
    )

    def run(view, known):
        return calibrate(view, known, LAYER)

    program = compile_program(run, view, known)
    return Way(lambda: program.call(view, known), program)


def closed_form_of_dummy(problem: Problem) -> Way:
    """One forward pass of one zero."""
    attack = attacks.LLGStar(dummy="zero")

    def run(view):
        found = attack(jax.random.key(0), view).info
        return Calibration(found.impact, found.raw - found.corrected)

    program = compile_program(run, problem.view)
    return Way(lambda: program.call(problem.view), program)


def make_judge(dataset: data.Dataset, view: protocol.UpdateView, seed: int) -> Any:
    """A function from a calibration to the attack's success rate on some batches."""
    num_classes, size = view.num_classes, view.batch_size
    table = data.class_table(dataset.train_labels, num_classes)
    images, classes = dataset.train_features, jnp.asarray(dataset.train_labels)

    def one(key):
        key_labels, key_rows = jax.random.split(key)
        labels = data.draw_labels(key_labels, "skewed", (1, size), num_classes)[0]
        return data.draw_rows_of(key_rows, table, labels)

    rows = jax.vmap(one)(jax.random.split(jax.random.key(seed), NUM_ATTACKED))
    features = jnp.asarray(images[np.asarray(rows)])
    labels = classes[rows]
    sums = jax.jit(
        lambda view, *batches: jax.lax.map(lambda b: backwards(view, *b)[0], batches)
    )(view, features, labels)
    true = [np.bincount(each, minlength=num_classes) for each in np.asarray(labels)]
    count = jax.jit(jax.vmap(lambda each, found: extract(each, found, size), (0, None)))

    def judge(calibration):
        found = np.asarray(count(sums, calibration))
        rates = [overlap(*pair) for pair in zip(found, true, strict=True)]
        return float(np.mean(rates))

    return judge


def compare(
    variant: str,
    problem: Problem,
    closed: dict[str, Way],
    others: dict[str, Way],
    judge: Any,
    options: Options,
) -> list[dict[str, Any]]:
    """All ways by turns: a row each, with how much faster than the first it is.

    Raises:
        ValueError: If ways, but for `others`, do not find the same.
    """
    ways = {
        "batch by batch": one_by_one(problem),
        "all batches": all_at_once(problem),
        **closed,
        **others,
    }
    timings, found = dict.fromkeys(ways, Timing()), {}
    for turn in range(options.repeats):
        for name, way in ways.items():
            once = {"num_repeats": 1, "num_warm_ups": 1 if turn == 0 else 0}
            timing, found[name] = time_calls(way.call, **once)
            timings[name] = timings[name].joined(timing)
    reference = found["batch by batch"]
    rows = []
    for name, way in ways.items():
        gaps = [
            np.max(np.abs(a - b)) for a, b in zip(found[name], reference, strict=True)
        ]
        scales = [np.max(np.abs(each)) for each in reference]
        error = max(gap / scale for gap, scale in zip(gaps, scales, strict=True))
        if error > MOST_ERROR and name not in others:
            raise ValueError(
                f"{variant}, {name}: calibrates {error:.1e} off the others"
            )
        row = timer.make_row(
            _BENCHMARK,
            name,
            timings[name],
            way.program,
            unit="calibration",
            variant=variant,
            batch_size=problem.view.batch_size,
            num_classes=problem.view.num_classes,
            num_batches=options.num_batches,
            relative_error=error,
            success_rate=judge(Calibration(*map(jnp.asarray, found[name]))),
            times_faster=timings["batch by batch"].minimum / timings[name].minimum,
        )
        rows.append(row)
    return rows


def print_table(rows: Sequence[dict[str, Any]], console: Console) -> None:
    """A line for each row."""
    table = Table(title="Calibration of LLG* and LLG+", box=box.SIMPLE)
    for column in ("variant", "B", "way", "ms", "times faster", "error", "success %"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            row["variant"],
            str(row["batch_size"]),
            row["method"],
            f"{1e3 * row['seconds_min']:.3g}",
            f"{row['times_faster']:.3g}",
            f"{row['relative_error']:.0e}",
            f"{100 * row['success_rate']:.1f}",
        )
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
