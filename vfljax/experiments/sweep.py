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
from vfljax.experiments import records, rows
from vfljax.experiments.attack_specs import RepeatedObservation
from vfljax.experiments.backdoor import make_backdoor, program_spec
from vfljax.experiments.backdoor_specs import BackdoorSpec
from vfljax.experiments.base_spec import relabel
from vfljax.experiments.completion_specs import CompletionSpec
from vfljax.experiments.loading import check_fits, load_arrays, take_samples
from vfljax.experiments.schema import AnyAttack, Experiment
from vfljax.experiments.training_spec import AdversaryOptimizer
from vfljax.experiments.trial import (
    Cell,
    Setting,
    attack_program_key,
    make_attack,
    make_completion,
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
    """How far a sweep is, after each chunk; `activity` says what else takes time."""

    done: int
    total: int
    cell: Cell
    activity: str = ""


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
    parts = {
        label: _Part(of_label, take_samples(of_label, dataset))
        for label, of_label in variants(experiment).items()
    }
    for part in parts.values():
        for num_classes in _class_counts(part.experiment, part.dataset):
            check_fits(part.experiment, part.dataset, num_classes)
    with records.open_run(folder, experiment, dataset.origin) as old_rows:
        units = all_units(experiment, dataset)
        present = {_row_identity(row) for row in old_rows}
        missing = [
            unit
            for unit in units
            if not _row_identities(parts[unit.cell.variant].experiment, unit) <= present
        ]
        done = len(units) - len(missing)
        yield Progress(done, len(units), units[0].cell)
        for variant, of_variant in itertools.groupby(
            missing, key=lambda unit: unit.cell.variant
        ):
            for progress, new_rows in _run_part(parts[variant], list(of_variant)):
                records.append_rows(
                    folder,
                    [row for row in new_rows if _row_identity(row) not in present],
                )
                done += progress.done
                yield progress._replace(done=done, total=len(units))


def variants(experiment: Experiment) -> dict[str, Experiment]:
    """The experiments to run in turn, by label; "" for one without variants."""
    if not experiment.variants:
        return {"": experiment}
    return {label: experiment.variant(label) for label in experiment.variants}


class _Part(NamedTuple):
    """One variant and the samples it uses."""

    experiment: Experiment
    dataset: data.Dataset


def _run_part(part, missing):
    """Runs units of one variant; yields what was done, and the rows it made."""
    experiment, dataset = part
    programs = _Programs(experiment)
    for num_classes, of_classes in itertools.groupby(
        missing, key=lambda unit: unit.cell.num_classes
    ):
        arrays = jax.device_put(
            load_arrays(experiment, dataset, num_classes), programs.everywhere
        )
        for cell, group in itertools.groupby(of_classes, lambda unit: unit.cell):
            of_cell, now = list(group), Progress(0, 0, cell)
            prepared = yield from relabel(
                experiment.defenses[cell.defense].prepare(num_classes),
                lambda activity, now=now: (now._replace(activity=activity), []),
            )
            arrays = arrays._replace(
                prepared=jax.device_put(prepared, programs.everywhere)
            )
            size = _chunk_size(experiment, programs, cell, arrays, len(of_cell))
            for start in range(0, len(of_cell), size):
                chunk = of_cell[start : start + size]
                new_rows = _run_chunk(
                    experiment, dataset.name, programs, arrays, chunk, size
                )
                yield now._replace(done=len(chunk)), new_rows


def all_units(experiment: Experiment, dataset: data.Dataset) -> list[Unit]:
    """Every unit of the experiment, cell by cell."""
    return [
        Unit(Cell(num_classes, batch_size, label, variant), strength, trial)
        for variant, of_variant in variants(experiment).items()
        for num_classes in _class_counts(of_variant, dataset)
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

    def victim(self, cell: Cell, optimizer: AdversaryOptimizer, *arguments):
        return self._program(
            (cell, optimizer),
            lambda: make_victim(self.experiment, cell, optimizer),
            arguments,
        )

    def attack(self, cell: Cell, label: str, *arguments):
        spec = self.experiment.attacks[label]
        make = make_completion if isinstance(spec, CompletionSpec) else make_attack
        return self._program(
            (label, *attack_program_key(self.experiment, cell, spec)),
            lambda: make(self.experiment, cell, label),
            arguments,
        )

    def backdoor(self, cell: Cell, label: str, *arguments):
        spec = self.experiment.attacks[label]
        assert isinstance(spec, BackdoorSpec)
        return self._program(
            (cell, program_spec(spec)),
            lambda: make_backdoor(self.experiment, cell, label),
            arguments,
        )

    def _program(self, name, make: Callable[[], Callable[..., Any]], arguments):
        """Maps over the first axis of all arguments but the last; compiles once.

        Arguments may be shapes alone, such as another program's `out_info`.
        """
        shapes = jax.tree.map(lambda leaf: leaf.shape, arguments[:2])
        key = (*name, str(shapes))
        if key not in self._compiled:
            one = make()

            def mapped(first, second, arrays):
                if self.experiment.model.one_by_one:  # large enough on their own
                    return jax.lax.map(lambda ab: one(*ab, arrays), (first, second))
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
    padded = chunk + [chunk[-1]] * (size - len(chunk))
    victim_keys, attack_keys, settings = _inputs(programs, padded)
    public = arrays._replace(prepared=())
    victims, new_rows, recovered = {}, [], {}
    for label, spec in experiment.attacks.items():
        if isinstance(spec, BackdoorSpec):
            inputs = settings, jnp.full(size, spec.amplification)
            inputs = jax.device_put(inputs, programs.spread)
            compiled = programs.backdoor(cell, label, victim_keys, inputs, arrays)
            backdoored, seconds = _timed(compiled, victim_keys, inputs, arrays)
            new_rows += rows.make_backdoor_rows(
                experiment,
                cell,
                [(unit.strength, unit.trial) for unit in chunk],
                label,
                jax.device_get(backdoored),
                dataset=dataset_name,
                num_parties=len(arrays.features),
                seconds=seconds / len(chunk),
            )
            continue
        optimizer = optimizer_of(spec)
        if optimizer not in victims:
            compiled = programs.victim(cell, optimizer, victim_keys, settings, arrays)
            victim, train_seconds = _timed(compiled, victim_keys, settings, arrays)
            results = jax.device_get(victim._replace(seen=(), own=()))
            victims[optimizer] = victim, results, train_seconds
        victim, results, train_seconds = victims[optimizer]
        for number, step in enumerate(steps_of(experiment, spec)):
            if isinstance(spec, CompletionSpec):
                inputs = victim.own
            else:
                earlier = (
                    tuple(recovered[spec.of][: number + 1])
                    if isinstance(spec, RepeatedObservation)
                    else ()
                )
                inputs = (victim.seen[number], earlier)
            compiled = programs.attack(cell, label, attack_keys, inputs, public)
            outcome, seconds = _timed(compiled, attack_keys, inputs, public)
            recovered.setdefault(label, []).append((outcome.scores, outcome.own))
            new_rows += rows.make_rows(
                experiment,
                cell,
                [(unit.strength, unit.trial) for unit in chunk],
                label,
                step,
                jax.device_get(outcome._replace(scores=(), own=())),
                results,
                test_truth=np.asarray(arrays.test_labels),
                dataset=dataset_name,
                num_parties=len(arrays.features),
                num_samples=len(arrays.labels),
                seconds=seconds / len(chunk),
                train_seconds=train_seconds / len(chunk),
            )
    return new_rows


def optimizer_of(spec: AnyAttack) -> AdversaryOptimizer:
    """What the adversary trains with for an attack; benign for those on messages."""
    return spec.optimizer if isinstance(spec, CompletionSpec) else "benign"


def steps_of(experiment: Experiment, spec: AnyAttack) -> tuple[int, ...]:
    """The training steps an attack is run at: the last one, on a trained model."""
    if isinstance(spec, CompletionSpec | BackdoorSpec):
        return (experiment.training.steps,)
    return experiment.train_steps


def _inputs(programs, units):
    """Victim keys, attack keys and settings of some units, spread over the devices."""
    root = jax.random.key(programs.experiment.seed)
    keys = [jax.random.split(jax.random.fold_in(root, unit.trial)) for unit in units]
    victim_keys, attack_keys = (jnp.stack(column) for column in zip(*keys, strict=True))
    specs = [programs.experiment.defenses[unit.cell.defense] for unit in units]
    settings = Setting(
        strength=jnp.array([unit.strength or 0.0 for unit in units], np.float32),
        place=jnp.array(
            [
                spec.place(unit.strength, unit.trial)
                for spec, unit in zip(specs, units, strict=True)
            ],
            np.int32,
        ),
    )
    return jax.device_put((victim_keys, attack_keys, settings), programs.spread)


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
        # Larger chunks of trials that run in turn gain nothing, and a stop loses more.
        if limit is None or experiment.model.one_by_one:
            size = num_devices
        else:
            size = _fitting(programs, cell, arrays, limit)
    size = min(size, num_units)
    return -(-size // num_devices) * num_devices


def _fitting(programs, cell, arrays, limit):
    """How many trials of the hungriest program fit an accelerator's memory.

    Programs are compiled for it, and not run.
    """
    num_devices, experiment = programs.mesh.size, programs.experiment
    strength = experiment.defenses[cell.defense].strengths[0]
    units = [Unit(cell, strength, 0)] * num_devices
    victim_keys, attack_keys, settings = _inputs(programs, units)
    public, needed, victims = arrays._replace(prepared=()), [], {}
    for label, spec in experiment.attacks.items():
        if isinstance(spec, BackdoorSpec):
            inputs = settings, jnp.full(num_devices, spec.amplification)
            compiled = programs.backdoor(cell, label, victim_keys, inputs, arrays)
            needed.append(compiled.memory_analysis())
            continue
        optimizer = optimizer_of(spec)
        if optimizer not in victims:
            compiled = programs.victim(cell, optimizer, victim_keys, settings, arrays)
            needed.append(compiled.memory_analysis())
            victims[optimizer] = compiled.out_info
        if not isinstance(spec, RepeatedObservation):
            victim = victims[optimizer]
            is_last = isinstance(spec, CompletionSpec)
            inputs = victim.own if is_last else (victim.seen[0], ())
            compiled = programs.attack(cell, label, attack_keys, inputs, public)
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
    *setting, variant = unit.cell
    return {
        (*setting, unit.strength, unit.trial, attack, step, variant)
        for attack, spec in experiment.attacks.items()
        for step in steps_of(experiment, spec)
    }
