"""All trials of an experiment: mapped, chunked, spread over devices, resumable.

The only module that knows how many trials there are. A cell (classes, batch size,
defense) has one compiled program for its victims and one per attack, the latter shared
by cells of equal shapes; trials and strengths are the mapped axis.
"""

import itertools
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from vfljax import data
from vfljax.experiments import records
from vfljax.experiments.schema import Experiment
from vfljax.experiments.trial import (
    Cell,
    attack_program_key,
    check_fits,
    load_arrays,
    make_attack,
    make_victim,
)

_MEMORY_SHARE = 0.5  # of an accelerator, for the trials of one chunk
_MOST_TRIALS = 1024  # of one chunk


class Unit(NamedTuple):
    """What is mapped: one trial of one cell at one strength."""

    cell: Cell
    strength: float | None
    trial: int


class Progress(NamedTuple):
    """How far a sweep is, after each chunk."""

    done: int
    total: int
    cell: Cell


def run_sweep(
    experiment: Experiment, dataset: data.Dataset, folder: Path
) -> Generator[Progress, None, None]:
    """Runs what is missing in a run folder, appending rows chunk by chunk.

    Stopped at any point, it goes on where it was: a trial has the same key in any chunk
    and any order. (Programs for other chunk sizes may round differently.)

    Args:
        experiment: What to run.
        dataset: Its data.
        folder: The run folder; made if absent.

    Yields:
        The progress, first with what was already there.

    Raises:
        ValueError: If the experiment doesn't fit the data or the folder.
    """
    for num_classes in _class_counts(experiment, dataset):
        check_fits(experiment, dataset, num_classes)
    with records.open_run(folder, experiment, dataset.origin) as rows:
        units = all_units(experiment, dataset)
        present = {_row_identity(row) for row in rows}
        missing = [
            unit for unit in units if not _row_identities(experiment, unit) <= present
        ]
        done = len(units) - len(missing)
        yield Progress(done, len(units), units[0].cell)
        programs = _Programs(experiment)
        for num_classes, of_classes in itertools.groupby(
            missing, key=lambda unit: unit.cell.num_classes
        ):
            arrays = jax.device_put(
                load_arrays(experiment, dataset, num_classes), programs.everywhere
            )
            for cell, of_cell in itertools.groupby(of_classes, lambda unit: unit.cell):
                of_cell = list(of_cell)
                size = _chunk_size(experiment, programs, cell, arrays, len(of_cell))
                for start in range(0, len(of_cell), size):
                    chunk = of_cell[start : start + size]
                    new_rows = _run_chunk(
                        experiment, dataset.name, programs, arrays, chunk, size
                    )
                    records.append_rows(
                        folder,
                        [row for row in new_rows if _row_identity(row) not in present],
                    )
                    done += len(chunk)
                    yield Progress(done, len(units), cell)


def all_units(experiment: Experiment, dataset: data.Dataset) -> list[Unit]:
    """Every unit of the experiment, cell by cell."""
    return [
        Unit(Cell(num_classes, batch_size, label), strength, trial)
        for num_classes in _class_counts(experiment, dataset)
        for batch_size in experiment.batch_sizes
        for label, spec in experiment.defenses.items()
        for strength in spec.strengths
        for trial in range(experiment.num_trials)
    ]


def _class_counts(experiment, dataset):
    return experiment.data.class_counts or (len(dataset.class_names),)


class _Programs:
    """The compiled programs of one sweep."""

    def __init__(self, experiment: Experiment):
        self.experiment = experiment
        self.mesh = jax.make_mesh(
            (jax.device_count(),), ("trials",), axis_types=(AxisType.Auto,)
        )
        self.spread = NamedSharding(self.mesh, PartitionSpec("trials"))
        self.everywhere = NamedSharding(self.mesh, PartitionSpec())
        self._compiled: dict[Any, Any] = {}

    def victim(self, cell: Cell, *arguments):
        return self._program(
            (cell,), lambda: make_victim(self.experiment, cell), arguments
        )

    def attack(self, cell: Cell, label: str, *arguments):
        spec = self.experiment.attacks[label]
        return self._program(
            (label, *attack_program_key(self.experiment, cell)),
            lambda: make_attack(self.experiment, cell, spec),
            arguments,
        )

    def _program(self, name, make: Callable[[], Callable[..., Any]], arguments):
        """Maps over the first axis of all arguments but the last; compiles once."""
        num_trials = jax.tree.leaves(arguments[0])[0].shape[0]
        key = (*name, num_trials)
        if key not in self._compiled:
            one = make()

            def mapped(first, second, arrays):
                return jax.vmap(lambda a, b: one(a, b, arrays))(first, second)

            sharded = jax.shard_map(
                mapped,
                mesh=self.mesh,
                in_specs=(self.spread.spec, self.spread.spec, self.everywhere.spec),
                out_specs=self.spread.spec,
                check_vma=False,
            )
            self._compiled[key] = jax.jit(sharded).lower(*arguments).compile()
        return self._compiled[key]


def _run_chunk(experiment, dataset_name, programs, arrays, chunk, size):
    """The rows of some units of one cell, padded to `size` with the last of them."""
    cell = chunk[0].cell
    defense = experiment.defenses[cell.defense]
    padded = chunk + [chunk[-1]] * (size - len(chunk))
    victim_keys, attack_keys, strengths = _inputs(programs, padded)
    compiled = programs.victim(cell, victim_keys, strengths, arrays)
    victim, train_seconds = _timed(compiled, victim_keys, strengths, arrays)
    rows = []
    for label, spec in experiment.attacks.items():
        for step, seen in zip(experiment.train_steps, victim.seen, strict=True):
            compiled = programs.attack(cell, label, attack_keys, seen, arrays)
            outcome, seconds = _timed(compiled, attack_keys, seen, arrays)
            measured = jax.device_get(
                {
                    **outcome._asdict(),
                    "main_accuracy": victim.main_accuracy,
                    "chance_accuracy": victim.chance_accuracy,
                    "trained": victim.trained,
                }
            )
            for place, unit in enumerate(chunk):
                of_unit = {name: leaf[place].item() for name, leaf in measured.items()}
                status = _status(of_unit.pop("trained"), of_unit.pop("finite"))
                rows.append(
                    {
                        "dataset": dataset_name,
                        "num_parties": len(arrays.features),
                        "protocol": "sum_of_logits",
                        "view": spec.view,
                        "train_step": step,
                        **cell._asdict(),
                        "defense_strength": _strength(unit),
                        "strength_name": defense.strength_name,
                        "attack": label,
                        "trial": unit.trial,
                        **of_unit,
                        "bound_held": _BOUND_HELD[of_unit["bound_held"]],
                        "status": status,
                        "seconds": seconds / len(chunk),
                        "train_seconds": train_seconds / len(chunk),
                        "seed": experiment.seed,
                    }
                )
    return rows


_BOUND_HELD = {1: True, 0: False, -1: None}  # None: not known


def _status(is_trained, is_finite):
    """Why a trial has no good result; its row stays and counts all the same."""
    if not is_trained:
        return "training_diverged"
    return "ok" if is_finite else "non_finite"


def _strength(unit):
    return None if unit.strength is None else float(unit.strength)


def _inputs(programs, units):
    """Victim keys, attack keys and strengths of some units, spread over the devices."""
    root = jax.random.key(programs.experiment.seed)
    keys = [jax.random.split(jax.random.fold_in(root, unit.trial)) for unit in units]
    victim_keys, attack_keys = (jnp.stack(column) for column in zip(*keys, strict=True))
    strengths = np.array([unit.strength or 0.0 for unit in units], np.float32)
    return jax.device_put((victim_keys, attack_keys, strengths), programs.spread)


def _timed(compiled, *arguments):
    start = time.perf_counter()
    result = jax.block_until_ready(compiled(*arguments))
    return result, time.perf_counter() - start


def _chunk_size(experiment, programs, cell, arrays, num_units):
    """A multiple of the number of devices that fits in memory; see `Execution`."""
    num_devices = jax.device_count()
    size = experiment.execution.chunk_size
    if size is None:
        limit = (jax.devices()[0].memory_stats() or {}).get("bytes_limit")
        size = num_devices if limit is None else _fitting(programs, cell, arrays, limit)
    size = min(size, num_units)
    return -(-size // num_devices) * num_devices


def _fitting(programs, cell, arrays, limit):
    """How many trials of the hungriest program fit an accelerator's memory."""
    num_devices = programs.mesh.size
    unit = Unit(cell, None, 0)
    victim_keys, attack_keys, strengths = _inputs(programs, [unit] * num_devices)
    victim = programs.victim(cell, victim_keys, strengths, arrays)
    seen = victim(victim_keys, strengths, arrays).seen[0]
    needed = [victim.memory_analysis()]
    for label in programs.experiment.attacks:
        compiled = programs.attack(cell, label, attack_keys, seen, arrays)
        needed.append(compiled.memory_analysis())
    most = max(
        analysis.temp_size_in_bytes + analysis.output_size_in_bytes
        for analysis in needed
    )
    per_device = max(1, int(_MEMORY_SHARE * limit / max(most, 1)))
    return min(per_device * num_devices, _MOST_TRIALS)


def _row_identity(row):
    return tuple(row[name] for name in records.ROW_IDENTITY)


def _row_identities(experiment, unit):
    """The identities of all rows that one unit makes."""
    return {
        (*unit.cell, unit.strength, unit.trial, attack, step)
        for attack in experiment.attacks
        for step in experiment.train_steps
    }
