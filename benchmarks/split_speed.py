"""How much faster is training with model splitting than in a plain PyTorch loop?

Trains the same networks from the same numbers on the same batches in two ways, which
take turns in time, on the same device:

  torch loop    as released by Fu et al. (2022), step by step (torch_split.py)
  train         vfljax's `protocol.train`: all steps in one compiled program

Two parties, random features and labels, SGD with momentum .9 and weight decay 5e-4:

  mlp           4096-64-16-4 bottom models, top 8-8-4-2: as for Criteo
  resnet        ResNet-20 on 32x16x3 halves, top 20-20-10-10-10: as for CIFAR-10

Prints a table and appends JSON Lines to --out. `python benchmarks/split_speed.py
--quick` takes about a minute on two cores.
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
from rich import box
from rich.console import Console
from rich.table import Table
from timer import Timing, compile_program, time_calls
from tqdm import tqdm

from vfljax import models, protocol
from vfljax.models import PartyModel
from vfljax.protocol import ProtocolState, VerticalProtocol

_BENCHMARK = "split_speed"
_MOMENTUM = 0.9
_WEIGHT_DECAY = 5e-4
_WARM_UP_STEPS = 5  # of the torch loop
_AIM = 3.0  # times faster, on an accelerator


@dataclasses.dataclass(frozen=True)
class Options:
    """What to compare."""

    mlp_batch_sizes: tuple[int, ...] = (100, 1000)
    """Batch sizes for the dense networks; published: 1,000."""
    resnet_batch_sizes: tuple[int, ...] = (32,)
    """Batch sizes for the residual networks; published: 32."""
    num_samples: int = 5000
    """Samples that batches are drawn from."""
    steps: int = 100
    """Steps of each turn; one compiled program of vfljax takes them all."""
    rounds: int = 3
    """Turns of each way."""
    torch_threads: int = 0
    """Threads of the torch loop; 0 for one or all cores, whichever is faster."""
    seed: int = 0
    """Of networks, samples and batches."""
    out: Path | None = None
    """JSON Lines file that the rows are appended to, such as results.jsonl."""
    quick: bool = False
    """At most 10 steps a turn, two turns and one batch size: does it run at all?"""


class Networks(NamedTuple):
    """One of the two settings: networks, shapes and rate.

    Attributes:
        name: mlp or resnet.
        bottom: Of both parties.
        top: Of the label party.
        shape: Of one party's features of one sample.
        num_classes: C.
        learning_rate: Of all optimizers.
    """

    name: str
    bottom: PartyModel
    top: PartyModel
    shape: tuple[int, ...]
    num_classes: int
    learning_rate: float


class Problem(NamedTuple):
    """What both ways start from: networks, all samples, and each step's rows."""

    networks: Networks
    protocol: VerticalProtocol
    state: ProtocolState
    features: tuple[jax.Array, ...]
    labels: jax.Array
    batches: jax.Array


MLP = Networks(
    name="mlp",
    bottom=models.mlp((64, 16), embed=4),
    top=models.top_mlp((8, 4, 2), batch_norm=False, log_softmax=False),
    shape=(4096,),
    num_classes=2,
    learning_rate=0.05,
)
RESNET = Networks(
    name="resnet",
    bottom=models.resnet(20, embed=10),
    top=models.top_mlp((20, 10, 10, 10)),
    shape=(32, 16, 3),
    num_classes=10,
    learning_rate=0.1,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark and returns its exit status."""
    options = tyro.cli(Options, args=arguments, description=__doc__)
    if options.quick:
        options = dataclasses.replace(
            options,
            mlp_batch_sizes=options.mlp_batch_sizes[:1],
            steps=min(options.steps, 10),
            rounds=min(options.rounds, 2),
        )
    try:
        import torch_split as reference  # only here: torch is optional
    except ImportError:
        return _fail("torch is not installed; pip install 'vfljax[bench]' brings it")
    on_gpu = jax.default_backend() == "gpu"
    if on_gpu and not reference.torch.cuda.is_available():
        return _fail("torch finds no GPU but JAX does: set JAX_PLATFORMS=cpu")
    reference.use_fast_kernels()
    try:
        _check(options)
        rows = compare_all(reference, options, "cuda" if on_gpu else "cpu")
    except ValueError as error:
        return _fail(str(error))
    print_table(rows, Console())
    return 0


def compare_all(reference: Any, options: Options, device: str) -> list[dict[str, Any]]:
    """Compares in one setting after the other, appending rows as they come.

    Args:
        reference: The module `torch_split`.
        options: Which settings, and where the rows go.
        device: Of the torch loop.

    Returns:
        Two rows for each setting, as from `compare`.
    """
    settings = [(MLP, size) for size in options.mlp_batch_sizes]
    settings += [(RESNET, size) for size in options.resnet_batch_sizes]
    rows = []
    for networks, batch_size in tqdm(settings, unit="setting", disable=None):
        problem = make_problem(networks, batch_size, options)
        new_rows = compare(reference, problem, options, device)
        if options.out is not None:
            timer.append_rows(options.out, new_rows)
        rows += new_rows
    return rows


def make_problem(networks: Networks, batch_size: int, options: Options) -> Problem:
    """Fresh networks for two parties, random samples, and batches of them."""
    key_features, key_labels, key_batches, key_weights = jax.random.split(
        jax.random.key(options.seed), 4
    )

    batches = protocol.epoch_batches(
        key_batches, options.num_samples, batch_size, options.steps
    )

    def optimizer():
        return optax.chain(
            optax.add_decayed_weights(_WEIGHT_DECAY),
            optax.sgd(networks.learning_rate, momentum=_MOMENTUM),
        )

    run = protocol.model_splitting(
        (networks.bottom,) * 2,
        (optimizer(), optimizer()),
        networks.top,
        optimizer(),
        num_classes=networks.num_classes,
    )
    shape = (options.num_samples, *networks.shape)
    features = tuple(
        jax.random.normal(key, shape) for key in jax.random.split(key_features)
    )
    few = [of_party[:1] for of_party in features]
    return Problem(
        networks=networks,
        protocol=run,
        state=jax.jit(run.init)(key_weights, few),
        features=features,
        labels=jax.random.randint(
            key_labels, shape[:1], 0, networks.num_classes, jnp.int32
        ),
        batches=batches,
    )


def compare(
    reference: Any, problem: Problem, options: Options, device: str
) -> list[dict[str, Any]]:
    """Trains by turns: `steps` of the torch loop, then as many of vfljax.

    Args:
        reference: The module `torch_split`.
        problem: What to train.
        options: Numbers of turns and threads.
        device: Of the torch loop.

    Returns:
        A row for each way.
    """
    program = compile_program(
        functools.partial(protocol.train, problem.protocol),
        *_arguments(problem),
    )
    training = start(reference, problem, device)
    rows = reference.as_rows(problem.batches, device)

    def torch_steps(batches):
        for batch in batches:
            reference.step(training, batch)
        reference.wait(device)

    threads = choose_threads(reference, torch_steps, rows, options.torch_threads)
    jax.block_until_ready(program.call(*_arguments(problem)))  # warm up
    torch_step, our_step = Timing(), Timing()
    once = {"num_repeats": 1, "num_warm_ups": 0}  # each is long enough
    for _ in range(options.rounds):
        timing, _ = time_calls(torch_steps, rows, **once)
        torch_step = torch_step.joined(timing.divided(options.steps))
        timing, _ = time_calls(program.call, *_arguments(problem), **once)
        our_step = our_step.joined(timing.divided(options.steps))
    sizes = {
        "unit": "step",
        "network": problem.networks.name,
        "batch_size": problem.batches.shape[1],
        "num_samples": options.num_samples,
        "steps": options.steps,
        "num_parameters": sum(
            leaf.size
            for leaf in jax.tree.leaves(
                (problem.state.params, problem.state.top.params)
            )
        ),
    }

    def row(method, timing, program=None, **details):
        details = {**sizes, "steps_per_second": 1 / timing.minimum, **details}
        return timer.make_row(_BENCHMARK, method, timing, program, **details)

    ratio = torch_step.minimum / our_step.minimum
    return [
        row("torch_loop", torch_step, torch_threads=threads),
        row("train", our_step, program, times_faster=ratio),
    ]


def start(reference: Any, problem: Problem, device: str) -> Any:
    """The torch loop's `Training`, from vfljax's own initial parameters."""
    return reference.start(
        problem.state.params,
        problem.state.top.params,
        [np.asarray(of_party) for of_party in problem.features],
        np.asarray(problem.labels),
        learning_rate=problem.networks.learning_rate,
        momentum=_MOMENTUM,
        weight_decay=_WEIGHT_DECAY,
        device=device,
    )


def choose_threads(reference: Any, steps: Any, rows: Any, num_threads: int) -> int:
    """Sets torch's threads: as asked, or whichever of one and all is faster."""

    def seconds(number):
        reference.torch.set_num_threads(number)
        return time_calls(steps, rows[:_WARM_UP_STEPS], num_repeats=2)[0].minimum

    candidates = [num_threads] if num_threads else [timer.num_cpu_threads(), 1]
    fastest = min(candidates, key=seconds)
    reference.torch.set_num_threads(fastest)
    return fastest


def print_table(rows: Sequence[dict[str, Any]], console: Console) -> None:
    """Prints both ways side by side; the aim only where it is meant for the device."""
    table = Table(
        title="Training with model splitting, steps per second", box=box.SIMPLE
    )
    for heading in (
        *("network", "B", "torch", "vfljax", "faster", "aim", "compile s"),
    ):
        table.add_column(heading, justify="left" if heading == "network" else "right")
    for loop, ours in zip(rows[::2], rows[1::2], strict=True):
        table.add_row(
            ours["network"],
            str(ours["batch_size"]),
            *(f"{row['steps_per_second']:.1f}" for row in (loop, ours)),
            f"{ours['times_faster']:.2f}",
            "" if ours["platform"] == "cpu" else f">= {_AIM:g}",
            f"{ours['compile_seconds']:.1f}",
        )
    console.print(table)


def _arguments(problem):
    """Of `protocol.train`, after the protocol."""
    key = jax.random.key(0)  # for defenses and dropout: neither is here
    return key, problem.state, problem.features, problem.labels, problem.batches


def _check(options):
    """Raises a `ValueError` for a number that means nothing."""
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        numbers = value if isinstance(value, tuple) else (value,)
        smallest = 0 if field.name in ("seed", "torch_threads") else 1
        if any(type(number) is int and number < smallest for number in numbers):
            raise ValueError(f"{field.name}={value}: must be >= {smallest}")


def _fail(message):
    print(f"{_BENCHMARK}: {' '.join(message.split())}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
