"""What does an iteration of the encrypted protocol cost, in CPU seconds and in bytes?

Runs `protocol.encrypted.run_here`, all roles in this process, which keeps to one core:
exact mode, two parties, a last layer of M activations and ten classes, random numbers.
Both layouts of the encrypted gradient:

  row           one ciphertext per sample
  compact       as many samples per ciphertext as fit

The time of a message is that of computing it, of writing and reading its ciphertexts,
and of passing it on; "enc U" is message 4, "Q" message 5, "decrypt" message 6. Bytes
are those between roles, without the network's list of the batch's samples. Peak
memory is that of the process so far: sizes are run from small to large.

Prints a table and appends JSON Lines to --out. `python benchmarks/encrypted_speed.py
--quick` takes seconds, without it minutes and gigabytes.
"""

import dataclasses
import functools
import itertools
import resource
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np
import optax
import timer
import tyro
from rich import box
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from vfljax import encryption
from vfljax.protocol import encrypted
from vfljax.protocol.encrypted.agreement import LayoutName, PresetName
from vfljax.protocol.encrypted.messages import NETWORK

_BENCHMARK = "encrypted_speed"
_OWN_WIDTH = 32  # of the active party
_PHASES = {
    "embeddings": "embeddings",
    "masked_logits": "mask_logits",
    "decrypted_logits": "decrypt_logits",
    "logit_gradients": "encrypt_u",
    "masked_gradient": "product_q",
    "decrypted_gradient": "decrypt_q",
}


@dataclasses.dataclass(frozen=True)
class Options:
    """What to measure."""

    batch_sizes: tuple[int, ...] = (128, 512, 2048)
    """Samples of an iteration."""
    widths: tuple[int, ...] = (32, 512)
    """Activations of the passive party's trained layer, M."""
    layouts: tuple[LayoutName, ...] = ("row", "compact")
    """Layouts of the encrypted gradient."""
    num_classes: int = 10
    """C."""
    preset: str = "default"
    """Sizes of the scheme: default, flood or small."""
    iterations: int = 3
    """Timed ones; one before them isn't."""
    seed: int = 0
    """Of activations and weights."""
    out: Path | None = None
    """JSON Lines file that the rows are appended to, such as results.jsonl."""
    quick: bool = False
    """One small batch size and width, one timed iteration: does it run at all?"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark and returns its exit status."""
    options = tyro.cli(Options, args=arguments, description=__doc__)
    if options.quick:
        options = dataclasses.replace(
            options, batch_sizes=(16,), widths=(8,), iterations=1
        )
    try:
        _check(options)
        sizes = itertools.product(
            sorted(options.batch_sizes), sorted(options.widths), options.layouts
        )
        rows = []
        for batch_size, width, layout in tqdm(list(sizes), disable=None):
            rows.append(measure(batch_size, width, layout, options))
            if options.out is not None:
                timer.append_rows(options.out, rows[-1:])
    except (ValueError, ImportError) as error:
        return _fail(str(error))
    print_table(rows, Console())
    return 0


def measure(
    batch_size: int, width: int, layout: LayoutName, options: Options
) -> dict[str, Any]:
    """A row for one size and layout: medians over the timed iterations."""
    agreement = encrypted.Agreement(
        num_classes=options.num_classes,
        batch_size=batch_size,
        widths=(width, _OWN_WIDTH),
        layout=layout,
        preset=cast(PresetName, options.preset),
    )
    records, cpu, wall = [], [time.process_time()], [time.perf_counter()]

    def note(record):
        if record.sender == NETWORK:
            return
        records.append(record)
        cpu.append(time.process_time())
        wall.append(time.perf_counter())

    encrypted.run_here(*make_inputs(agreement, options), on_message=note)
    last = [
        place for place, each in enumerate(records) if each.kind == list(_PHASES)[-1]
    ]
    timed = list(itertools.pairwise(last))  # from the end of one to the end of the next
    phases: dict[str, Any] = {
        f"{phase}_cpu_seconds": statistics.median(
            cpu[place + 1] - cpu[place]
            for place, record in enumerate(records)
            if record.kind == kind and record.iteration > 0
        )
        for kind, phase in _PHASES.items()
    }
    one = [record for record in records if record.iteration == 1]
    return timer.make_row(
        _BENCHMARK,
        layout,
        timer.Timing(tuple(wall[end + 1] - wall[start + 1] for start, end in timed)),
        unit="iteration",
        batch_size=batch_size,
        width=width,
        num_classes=options.num_classes,
        preset=options.preset,
        library=agreement.make_backend().library,
        cpu_seconds=statistics.median(
            cpu[end + 1] - cpu[start + 1] for start, end in timed
        ),
        **phases,
        num_bytes=sum(record.num_bytes for record in one),
        num_gradient_ciphertexts=agreement.layout_of("passive_0").num_ciphertexts,
        peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _PER_MB,
    )


_PER_MB = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, kilobytes here


def make_inputs(
    agreement: encrypted.Agreement, options: Options
) -> tuple[encrypted.Agreement, list[Any], Any, np.ndarray]:
    """Random activations in [0, 1), labels and weights, for `run_here`."""
    random = np.random.default_rng(options.seed)
    batch_size, num_classes = agreement.batch_size, agreement.num_classes
    inputs: list[tuple[Any, Any]] = []
    for width in agreement.widths:
        kernel = random.normal(size=(width, num_classes)) / width**0.5
        params = {"output": {"kernel": kernel, "bias": np.zeros(num_classes)}}
        params = jax.tree.map(np.float32, params)
        inputs.append((random.random((batch_size, width)), params))
    make_optimizer = functools.partial(optax.sgd, 0.1)
    labels = random.integers(0, num_classes, batch_size, np.int32)
    passive = encrypted.PassiveInputs(inputs[0][0], inputs[0][1], make_optimizer)
    active = encrypted.ActiveInputs(
        activations=inputs[1][0],
        params=inputs[1][1],
        make_optimizer=make_optimizer,
        labels=labels,
        keys=jax.random.split(jax.random.key(options.seed), options.iterations + 1),
    )
    batches = np.tile(np.arange(batch_size), (options.iterations + 1, 1))
    return agreement, [passive], active, batches


def print_table(rows: Sequence[dict[str, Any]], console: Console) -> None:
    """Prints CPU seconds of the parts of an iteration, and what else it takes."""
    table = Table(
        title="An encrypted iteration: CPU seconds, bytes, memory",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for heading in (
        *("layout", "B", "M", "logits", "enc U", "Q", "decrypt", "total"),
        *("wall s", "MB sent", "MB peak"),
    ):
        table.add_column(heading, justify="left" if heading == "layout" else "right")
    for row in rows:
        logits = ("embeddings", "mask_logits", "decrypt_logits")
        table.add_row(
            row["method"],
            str(row["batch_size"]),
            str(row["width"]),
            f"{sum(row[f'{phase}_cpu_seconds'] for phase in logits):.3f}",
            *(
                f"{row[f'{phase}_cpu_seconds']:.3f}"
                for phase in ("encrypt_u", "product_q", "decrypt_q")
            ),
            f"{row['cpu_seconds']:.3f}",
            f"{row['seconds_median']:.2f}",
            f"{row['num_bytes'] / 1e6:.1f}",
            f"{row['peak_rss_mb']:.0f}",
        )
    console.print(table)


def _check(options):
    """Raises a `ValueError` for a number that means nothing."""
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        numbers = value if isinstance(value, tuple) else (value,)
        smallest = 0 if field.name == "seed" else 1
        if any(type(number) is int and number < smallest for number in numbers):
            raise ValueError(f"{field.name}={value}: must be >= {smallest}")
    if options.preset not in encryption.PRESETS:
        raise ValueError(
            f"preset={options.preset!r}: must be one of {', '.join(encryption.PRESETS)}"
        )


def _fail(message):
    print(f"{_BENCHMARK}: {' '.join(message.split())}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
