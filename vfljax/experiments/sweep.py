"""All trials of an experiment: mapped, chunked, spread over devices, resumable.

The only module that knows how many trials there are. Trials of a cell (classes, batch
size, defense) run in chunks; after each, its rows are on disk.
"""

import itertools
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vfljax import data
from vfljax.attacks import Attack
from vfljax.defenses.base import relabel
from vfljax.experiments import records, rows
from vfljax.experiments.ciphertexts import encrypted_victims
from vfljax.experiments.experiment import Experiment
from vfljax.experiments.programs import Programs, numbers_of
from vfljax.experiments.task import (
    Task,
    check_fits,
    class_counts_of,
    load_arrays,
    take_samples,
)
from vfljax.experiments.world import Cell, Setting

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
        label: (of_label, take_samples(of_label, dataset))
        for label, of_label in variants(experiment).items()
    }
    for label, part in parts.items():
        try:
            for num_classes in class_counts_of(*part):
                check_fits(Task(*part, num_classes))
        except ValueError as error:
            where = f"variants.{label}: " if label else ""
            raise ValueError(f"{where}{error}") from None
    with records.open_run(folder, experiment, dataset.origin) as old_rows:
        units = all_units(experiment, dataset)
        present = {_row_identity(row) for row in old_rows}
        missing = [
            unit
            for unit in units
            if not _row_identities(parts[unit.cell.variant][0], unit) <= present
        ]
        done = len(units) - len(missing)
        yield Progress(done, len(units), units[0].cell)
        for variant, of_variant in itertools.groupby(
            missing, key=lambda unit: unit.cell.variant
        ):
            for progress, new_rows in _run_part(
                *parts[variant], list(of_variant), folder
            ):
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


def all_units(experiment: Experiment, dataset: data.Dataset) -> list[Unit]:
    """Every unit of the experiment, cell by cell."""
    return [
        Unit(Cell(num_classes, batch_size, label, variant), strength, trial)
        for variant, of_variant in variants(experiment).items()
        for num_classes in class_counts_of(of_variant, dataset)
        for batch_size in experiment.batch_sizes
        for label, defense in experiment.defenses.items()
        for strength in defense.strengths
        for trial in range(experiment.num_trials)
    ]


def steps_of(experiment: Experiment, attack: Attack) -> tuple[int, ...]:
    """The training steps an attack is run at: the last one, on a trained model."""
    if attack.sees.is_final:
        return (experiment.training.steps,)
    return experiment.train_steps


def _run_part(experiment, dataset, missing, folder):
    """Runs units of one variant; yields what was done, and the rows it made."""
    programs = Programs(experiment)
    for num_classes, of_classes in itertools.groupby(
        missing, key=lambda unit: unit.cell.num_classes
    ):
        task = Task(experiment, dataset, num_classes)
        arrays = jax.device_put(load_arrays(task), programs.everywhere)
        of_attacks = {
            label: jax.device_put(attack.prepare(task), programs.everywhere)
            for label, attack in experiment.attacks.items()
        }
        for cell, group in itertools.groupby(of_classes, lambda unit: unit.cell):
            of_cell, now = list(group), Progress(0, 0, cell)
            prepared = yield from relabel(
                experiment.defenses[cell.defense].prepare(num_classes),
                lambda activity, now=now: (now._replace(activity=activity), []),
            )
            arrays = arrays._replace(
                of_defense=jax.device_put(prepared, programs.everywhere)
            )
            chunk_of = _Chunks(experiment, programs, arrays, of_attacks, task, folder)
            size = _chunk_size(chunk_of, cell, len(of_cell))
            for start in range(0, len(of_cell), size):
                chunk = of_cell[start : start + size]
                padded = chunk + [chunk[-1]] * (size - len(chunk))
                run = _RunningChunk(chunk_of, chunk, padded)
                yield from relabel(
                    run.train_on_ciphertexts(),
                    lambda activity, now=now: (now._replace(activity=activity), []),
                )
                yield now._replace(done=len(chunk)), run.rows()


class _Chunks(NamedTuple):
    """What all chunks of a cell have in common."""

    experiment: Experiment
    programs: Programs
    arrays: Any
    of_attacks: dict[str, Any]
    task: Task
    folder: Path

    def hungriest(self, cell: Cell) -> int:
        """Bytes that the hungriest program of a cell needs for one trial per device.

        Programs are compiled for it, and not run.
        """
        strength = self.experiment.defenses[cell.defense].strengths[0]
        units = [Unit(cell, strength, 0)] * self.programs.mesh.size
        victim_keys, attack_keys, settings = inputs_of(self.programs, units)
        public, needed = self.arrays._replace(of_defense=()), []
        for label, attack in self.experiment.attacks.items():
            sharing, number = self.programs.sharing(attack), len(units)
            inputs = (settings, numbers_of(sharing[0], number))
            arrays = self.arrays._replace(of_attack=self.of_attacks[label])
            compiled = self.programs.victim(cell, sharing, victim_keys, inputs, arrays)
            needed.append(compiled.memory_analysis())
            if attack.builds_on is None:
                inputs = (
                    compiled.out_info.seen(attack),
                    (),
                    numbers_of(attack, number),
                )
                compiled = self.programs.attack(
                    cell, attack, attack_keys, inputs, public, is_built_on=False
                )
                needed.append(compiled.memory_analysis())
        return max(
            analysis.temp_size_in_bytes + analysis.output_size_in_bytes
            for analysis in needed
        )


class _RunningChunk:
    """One chunk: victims as attacks want them, answers that others build on."""

    def __init__(self, chunks: _Chunks, units: list[Unit], padded: list[Unit]):
        self._chunks, self._units, self._padded = chunks, units, padded
        self._cell = units[0].cell
        inputs = inputs_of(chunks.programs, padded)
        self._victim_keys, self._attack_keys, self._settings = inputs
        self._victims: dict[Any, Any] = {}
        self._answers: dict[Any, Any] = {}
        self._built_on = {
            other.builds_on for other in chunks.experiment.attacks.values()
        } - {None}

    def train_on_ciphertexts(self) -> Generator[str, None, None]:
        """Trains all victims, where messages are encrypted; says how far it is."""
        chunks = self._chunks
        experiment = chunks.experiment
        if experiment.encryption is None:
            return
        for label, attack in experiment.attacks.items():
            if attack.victim not in self._victims:
                start = time.perf_counter()
                victim = yield from encrypted_victims(
                    experiment,
                    self._padded,
                    chunks.programs.sharing(attack),
                    chunks.arrays._replace(of_attack=chunks.of_attacks[label]),
                    chunks.folder,
                )
                victim = jax.device_put(victim, chunks.programs.spread)
                self._keep(attack, victim, start)

    def rows(self) -> list[dict[str, Any]]:
        """The rows of the units, attack by attack."""
        experiment = self._chunks.experiment
        return [
            row
            for label, attack in experiment.attacks.items()
            for number, step in enumerate(steps_of(experiment, attack))
            for row in self.attack(label, number, step)
        ]

    def attack(self, label: str, number: int, step: int) -> list[dict[str, Any]]:
        """The rows of one attack at the step with this number."""
        chunks, attack = self._chunks, self._chunks.experiment.attacks[label]
        victim, main, train_seconds = self._victim(label, attack)
        answer, seconds = self._answer(attack, attack.victim, number)
        seen = victim.seen(attack, number)
        host_seen = seen._replace(views={}, rows=(), public=())
        num_units = len(self._units)
        return rows.make_rows(
            chunks.experiment,
            self._cell,
            [(unit.strength, unit.trial) for unit in self._units],
            label,
            step,
            jax.device_get(answer._replace(own=())),
            jax.device_get(host_seen),
            main,
            train_labels=np.asarray(chunks.arrays.labels),
            test_labels=np.asarray(chunks.arrays.test_labels),
            dataset=chunks.task.dataset_name,
            num_parties=len(chunks.arrays.features),
            seconds=seconds / num_units,
            train_seconds=train_seconds / num_units,
        )

    def _victim(self, label, attack):
        """The trained model that the attack is on, its main task, and the time."""
        if attack.victim not in self._victims:
            chunks, sharing = self._chunks, self._chunks.programs.sharing(attack)
            arrays = chunks.arrays._replace(of_attack=chunks.of_attacks[label])
            setting = (self._settings, self._numbers(sharing[0]))
            inputs = (self._victim_keys, setting, arrays)
            compiled = chunks.programs.victim(self._cell, sharing, *inputs)
            start = time.perf_counter()
            self._keep(attack, jax.block_until_ready(compiled(*inputs)), start)
        return self._victims[attack.victim]

    def _keep(self, attack, victim, start):
        seconds = time.perf_counter() - start
        self._victims[attack.victim] = victim, jax.device_get(victim.main), seconds

    def _numbers(self, attack):
        """The attack's traced numbers, spread over the devices like keys."""
        numbers = numbers_of(attack, len(self._padded))
        return jax.device_put(numbers, self._chunks.programs.spread)

    def _answer(self, attack, trained, number):
        """The answer to one view, computed once, and the seconds that it took."""
        key, victim = (attack, trained, number), self._victims[trained][0]
        if key not in self._answers:
            earlier: tuple[Any, ...] = ()
            if attack.builds_on is not None:
                answers = [
                    self._answer(attack.builds_on, trained, before)[0]
                    for before in range(number + 1)
                ]
                earlier = tuple((each.inference.scores, each.own) for each in answers)
            programs, cell = self._chunks.programs, self._cell
            inputs = (
                self._attack_keys,
                (victim.seen(attack, number), earlier, self._numbers(attack)),
                self._chunks.arrays._replace(of_defense=(), of_attack=()),
            )
            compiled = programs.attack(
                cell, attack, *inputs, is_built_on=attack in self._built_on
            )
            start = time.perf_counter()
            answer = jax.block_until_ready(compiled(*inputs))
            self._answers[key] = answer, time.perf_counter() - start
        return self._answers[key]


def inputs_of(programs: Programs, units: list[Unit]) -> Any:
    """Victim keys, attack keys and settings of some units, spread over the devices."""
    root = jax.random.key(programs.experiment.seed)
    keys = [jax.random.split(jax.random.fold_in(root, unit.trial)) for unit in units]
    victim_keys, attack_keys = (jnp.stack(column) for column in zip(*keys, strict=True))
    specs = [programs.experiment.defenses[unit.cell.defense] for unit in units]
    settings = Setting(
        strength=jnp.array([unit.strength or 0.0 for unit in units], np.float32),
        choice=jnp.array(
            [
                spec.choice(unit.strength, unit.trial)
                for spec, unit in zip(specs, units, strict=True)
            ],
            np.int32,
        ),
    )
    return jax.device_put((victim_keys, attack_keys, settings), programs.spread)


def _chunk_size(chunks: _Chunks, cell: Cell, num_units: int) -> int:
    """A multiple of the number of devices that fits in memory; see `Execution`."""
    num_devices, experiment = jax.device_count(), chunks.experiment
    size = experiment.execution.chunk_size
    if size is None:
        limit = (jax.devices()[0].memory_stats() or {}).get("bytes_limit")
        # Larger chunks of trials that run in turn gain nothing, and a stop loses more.
        if limit is None or experiment.network.one_by_one or experiment.encryption:
            size = num_devices
        else:
            most = max(chunks.hungriest(cell), 1)
            per_device = max(1, int(_MEMORY_SHARE * limit / most))
            size = min(per_device * num_devices, _MOST_TRIALS)
    size = min(size, num_units)
    return -(-size // num_devices) * num_devices


def _row_identity(row):
    return tuple(row[name] for name in records.ROW_IDENTITY)


def _row_identities(experiment, unit):
    """The identities of all rows that one unit makes."""
    *setting, variant = unit.cell
    return {
        (*setting, unit.strength, unit.trial, label, step, variant)
        for label, attack in experiment.attacks.items()
        for step in steps_of(experiment, attack)
    }
