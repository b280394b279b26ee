"""All trials of an experiment: mapped, chunked, spread over devices, resumable.

The only module that knows how many trials there are. Trials of a cell (classes, batch
size, defense) run in chunks; after each, its rows are on disk.
"""

import itertools
import time
from collections.abc import Generator, Iterable
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
from vfljax.experiments.programs import Inputs, Programs
from vfljax.experiments.task import Arrays, Task, load_arrays, make_tasks
from vfljax.experiments.world import Cell, Setting

_MEMORY_SHARE = 0.5  # of an accelerator, for the trials of one chunk
_MOST_TRIALS = 1024  # of one chunk


class Unit(NamedTuple):
    """What is mapped: one trial of one cell at one strength."""

    cell: Cell
    strength: float | None
    trial: int

    @property
    def part(self) -> tuple[str, int]:
        """The task that it is of, as `make_tasks` calls it."""
        return self.cell.variant, self.cell.num_classes


class Progress(NamedTuple):
    """How far a sweep is, after each chunk; `activity` says what else takes time."""

    done: int
    total: int
    cell: Cell
    activity: str = ""


def run_sweep(
    experiment: Experiment, dataset: data.Dataset, folder: Path | str
) -> Generator[Progress, None, None]:
    """Runs what is missing in a run folder, appending rows chunk by chunk.

    Stopped at any point, it goes on where it was: a trial has the same key in any chunk
    and any order. (Programs for other chunk sizes may round differently.)

    The folder is made if absent.

    Yields:
        The progress, first with what was already there.

    Raises:
        ValueError: If the experiment doesn't fit the data or the folder.
    """
    tasks, folder = make_tasks(experiment, dataset), Path(folder)
    units = [
        Unit(Cell(num_classes, batch_size, label, variant), strength, trial)
        for variant, num_classes in tasks
        for batch_size in experiment.batch_sizes
        for label, defense in experiment.defenses.items()
        for strength in defense.strengths
        for trial in range(experiment.num_trials)
    ]
    with records.open_run(folder, experiment, dataset.origin) as old_rows:
        present = {_row_identity(row) for row in old_rows}
        missing = [
            unit
            for unit in units
            if not _row_identities(tasks[unit.part].experiment, unit) <= present
        ]
        done = len(units) - len(missing)
        yield Progress(done, len(units), units[0].cell)
        for part, of_part in itertools.groupby(missing, lambda unit: unit.part):
            for progress, new_rows in _run_task(tasks[part], of_part, folder):
                kept = [row for row in new_rows if _row_identity(row) not in present]
                records.append_rows(folder, kept)
                done += progress.done
                yield progress._replace(done=done, total=len(units))


def steps_of(experiment: Experiment, attack: Attack) -> tuple[int, ...]:
    """The training steps an attack is run at: the last, of a whole training too."""
    if attack.sees.is_final or attack.reader is not None:
        return (experiment.training.steps,)
    return experiment.train_steps


def _run_task(task: Task, missing: Iterable[Unit], folder: Path):
    """Runs units of one task; yields what was done, and the rows it made."""
    programs, experiment = Programs(task.experiment), task.experiment
    arrays = jax.device_put(load_arrays(task), programs.everywhere)
    of_attacks = {
        label: jax.device_put(attack.prepare(task), programs.everywhere)
        for label, attack in experiment.attacks.items()
    }
    for cell, of_cell in itertools.groupby(missing, lambda unit: unit.cell):
        units, now = list(of_cell), Progress(0, 0, cell)

        def said(activity, now=now):
            return now._replace(activity=activity), []

        preparing = experiment.defenses[cell.defense].prepare(cell.num_classes)
        prepared = yield from relabel(preparing, said)
        prepared = jax.device_put(prepared, programs.everywhere)
        arrays = arrays._replace(of_defense=prepared)
        chunks = _Chunks(task, programs, arrays, of_attacks, folder)
        size = _chunk_size(chunks, cell, len(units))
        for start in range(0, len(units), size):
            of_chunk = units[start : start + size]
            chunk = _RunningChunk(chunks, of_chunk, size)
            yield from relabel(chunk.train_on_ciphertexts(), said)
            yield now._replace(done=len(of_chunk)), chunk.rows()


class _Chunks(NamedTuple):
    """What all chunks of a cell have in common."""

    task: Task
    programs: Programs
    arrays: Arrays
    of_attacks: dict[str, Any]
    folder: Path

    def arrays_of(self, label: str) -> Arrays:
        """The data, with what an attack prepared."""
        return self.arrays._replace(of_attack=self.of_attacks[label])


class _RunningChunk:
    """One chunk: victims as attacks want them, answers that others build on.

    The last unit is repeated until there are `size` of them.
    """

    def __init__(self, chunks: _Chunks, units: list[Unit], size: int):
        self._chunks, self._units, self._cell = chunks, units, units[0].cell
        self._experiment = chunks.task.experiment
        self._padded = units + [units[-1]] * (size - len(units))
        inputs = _inputs_of(chunks.programs, self._padded)
        self._victim_keys, self._attack_keys, self._settings = inputs
        self._victims: dict[Any, Any] = {}
        self._answers: dict[Any, Any] = {}

    def hungriest(self) -> int:
        """Bytes that the hungriest program needs, but for attacks on others' answers.

        Programs are compiled for it, and not run.
        """
        programs = []
        for label, attack in self._experiment.attacks.items():
            victim, _ = self._victim_program(label, attack)
            programs.append(victim)
            if attack.builds_on is None and not attack.runs_on_host:
                seen = victim.out_info.seen(attack)
                programs.append(self._attack_program(attack, seen, ())[0])
        return max(
            needed.temp_size_in_bytes + needed.output_size_in_bytes
            for needed in (program.memory_analysis() for program in programs)
        )

    def train_on_ciphertexts(self) -> Generator[str, None, None]:
        """Trains all victims, where messages are encrypted; says how far it is."""
        if self._experiment.encryption is None:
            return
        chunks = self._chunks
        for label, attack in self._experiment.attacks.items():
            if attack.victim not in self._victims:
                start, sharing = time.perf_counter(), chunks.programs.sharing(attack)
                given = sharing, chunks.arrays_of(label), chunks.folder
                victim = yield from encrypted_victims(
                    self._experiment, self._padded, *given
                )
                victim = jax.device_put(victim, chunks.programs.spread)
                self._keep(attack, victim, start)

    def rows(self) -> list[dict[str, Any]]:
        """The rows of the units, attack by attack."""
        return [
            row
            for label, attack in self._experiment.attacks.items()
            for number, step in enumerate(steps_of(self._experiment, attack))
            for row in self._rows_of(label, attack, number, step)
        ]

    def _rows_of(self, label, attack, number, step):
        """The rows of one attack at the step with this number."""
        chunks, num_units = self._chunks, len(self._units)
        victim, main, train_seconds = self._victim(label, attack)
        answer, seconds = self._answer(attack, attack.victim, number)
        seen, partition = victim.seen(attack, number), chunks.arrays.partition
        return rows.make_rows(
            self._experiment,
            self._cell,
            [(unit.strength, unit.trial) for unit in self._units],
            label,
            step,
            jax.device_get(answer._replace(own=())),
            jax.device_get(
                seen._replace(views={}, rows=(), public=seen.public.only(["noise_std"]))
            ),
            main,
            train_labels=np.asarray(chunks.arrays.labels),
            test_labels=np.asarray(chunks.arrays.test_labels),
            held=np.asarray(partition.counts) if partition else None,
            dataset=chunks.task.dataset_name,
            num_parties=self._experiment.num_parties,
            seconds=seconds / num_units,
            train_seconds=train_seconds / num_units,
        )

    def _victim(self, label, attack):
        """The trained model that the attack is on, its main task, and the time."""
        if attack.victim not in self._victims:
            program, inputs = self._victim_program(label, attack)
            start = time.perf_counter()
            self._keep(attack, jax.block_until_ready(program(*inputs)), start)
        return self._victims[attack.victim]

    def _keep(self, attack, victim, start):
        seconds = time.perf_counter() - start
        self._victims[attack.victim] = victim, jax.device_get(victim.main), seconds

    def _answer(self, attack, trained, number):
        """The answer to one view, computed once, and the seconds that it took."""
        key, earlier = (attack, trained, number), ()
        if key not in self._answers:
            if attack.builds_on is not None:
                answers = (
                    self._answer(attack.builds_on, trained, before)[0]
                    for before in range(number + 1)
                )
                earlier = tuple((each.inference.scores, each.own) for each in answers)
            seen = self._victims[trained][0].seen(attack, number)
            program, inputs = self._attack_program(attack, seen, earlier)
            start = time.perf_counter()
            answer = jax.block_until_ready(program(*inputs))
            self._answers[key] = answer, time.perf_counter() - start
        return self._answers[key]

    def _victim_program(self, label, attack) -> tuple[Any, Inputs]:
        """The program that trains the attack's victim, and what it is given."""
        programs = self._chunks.programs
        sharing = programs.sharing(attack)
        setting = self._settings, self._numbers(sharing[0])
        inputs = self._victim_keys, setting, self._chunks.arrays_of(label)
        return programs.victim(self._cell, sharing, inputs), inputs

    def _attack_program(self, attack, seen, earlier) -> tuple[Any, Inputs]:
        """The program that attacks what is seen, and what it is given."""
        others = self._experiment.attacks.values()
        is_built_on = any(other.builds_on == attack for other in others)
        arrays = self._chunks.arrays._replace(of_defense=(), of_attack=())
        inputs = self._attack_keys, (seen, earlier, self._numbers(attack)), arrays
        programs = self._chunks.programs
        program = programs.attack(self._cell, attack, inputs, is_built_on=is_built_on)
        return program, inputs

    def _numbers(self, attack):
        """The attack's traced numbers, once per trial, spread like keys."""
        size = len(self._padded)
        numbers = {
            n: jnp.full(size, getattr(attack, n), jnp.float32) for n in attack.traced
        }
        return jax.device_put(numbers, self._chunks.programs.spread)


def _inputs_of(programs: Programs, units: list[Unit]) -> Any:
    """Victim keys, attack keys and settings of some units, spread over the devices."""
    root, defenses = (
        jax.random.key(programs.experiment.seed),
        programs.experiment.defenses,
    )
    keys = [jax.random.split(jax.random.fold_in(root, unit.trial)) for unit in units]
    victim_keys, attack_keys = (jnp.stack(column) for column in zip(*keys, strict=True))
    choices = [
        defenses[unit.cell.defense].choice(unit.strength, unit.trial) for unit in units
    ]
    strengths = [unit.strength or 0.0 for unit in units]
    settings = Setting(jnp.array(strengths, np.float32), jnp.array(choices, np.int32))
    return jax.device_put((victim_keys, attack_keys, settings), programs.spread)


def _chunk_size(chunks: _Chunks, cell: Cell, num_units: int) -> int:
    """A multiple of the number of devices that fits in memory; see `Execution`."""
    num_devices, experiment = jax.device_count(), chunks.task.experiment
    size = experiment.execution.chunk_size
    if size is None:
        limit = (jax.devices()[0].memory_stats() or {}).get("bytes_limit")
        # Larger chunks of trials that run in turn gain nothing, and a stop loses more.
        if limit is None or experiment.network.one_by_one or experiment.encryption:
            size = num_devices
        else:
            strength = experiment.defenses[cell.defense].strengths[0]
            units = [Unit(cell, strength, 0)]
            needed = _RunningChunk(chunks, units, num_devices).hungriest()
            per_device = max(1, int(_MEMORY_SHARE * limit / max(needed, 1)))
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
