"""Runs a training on real ciphertexts, beside the plain one that it should equal.

Zou et al. (2022, https://arxiv.org/abs/2112.05409), Algorithm 1. The plain training
gets the same weights, batches and noise. Each attack is run twice, on what the passive
party decrypted and on the simulation's view of the same iteration.
"""

import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vfljax import data, models, protocol
from vfljax.experiments.encrypted import results
from vfljax.experiments.encrypted.knowledge import (
    knowledge_markdown,
    summarize_messages,
    who_learned_what,
)
from vfljax.experiments.encrypted.scores import (
    attack_rows,
    largest_difference,
    main_and_backdoor,
)
from vfljax.experiments.encrypted.setup import (
    Prepared,
    check_fits_data,
    optimizer_maker,
    prepare,
)
from vfljax.experiments.encrypted.spec import EncryptedRun
from vfljax.experiments.folders import lock, sign
from vfljax.protocol import BatchGradientView, encrypted

OnIteration = Callable[[int], Any]


class PlainRun(NamedTuple):
    """What the simulation gives.

    Attributes:
        params: Every party's, after the last iteration.
        views: The adversary's, by iteration.
    """

    params: tuple[models.Params, ...]
    views: dict[int, BatchGradientView]


def run_encrypted(
    experiment: EncryptedRun,
    dataset: data.Dataset,
    folder: Path,
    on_iteration: OnIteration = lambda done: None,
) -> dict[str, Any]:
    """Runs what is missing in a run folder, and writes what came out.

    Interrupted at any point, it goes on after the last completed iteration. In taylor
    mode the loss is another one, so there is no plain training to compare with.

    Args:
        experiment: What to run.
        dataset: Its data.
        folder: The run folder; made if absent.
        on_iteration: Called with the number of iterations that are done, again and
            again.

    Returns:
        The content of `encrypted.json`: `description`, `losses` (nats), `attacks` (a
        row per attack and iteration, accuracies in [0, 1]), `main_accuracy`,
        `backdoor_accuracy` and `unmarked_accuracy` as from `main_and_backdoor`,
        `weights_max_difference` to the plain training, `messages` (counts and bytes of
        all iterations), `wall_seconds` per iteration (null before a resumption),
        `cpu_seconds` of the last call in all processes, their start included, and
        `who_learned_what`.

    Raises:
        ValueError: If the experiment doesn't fit the data or the folder.
        RoleFailed: If a role's process fails.
        EncryptionError: If a role refuses a message, in one process, speaks for another
            role, or leaves its step out.
        ImportError: If the backend's library isn't installed.
    """
    check_fits_data(experiment, dataset)
    with lock(folder, "lock"):
        has_begun = (folder / "config.json").is_file()
        sign(folder, experiment, dataset.origin, has_results=has_begun)
        if results.is_finished(folder):
            on_iteration(experiment.iterations)
            return results.read_encrypted(folder)
        prepared = prepare(experiment, dataset)
        clock = _Clock(on_iteration)
        run = train_encrypted(experiment, prepared, folder, clock)
        on_iteration(experiment.iterations)
        result = _result(experiment, prepared, run, clock, folder)
        page = knowledge_markdown(
            experiment.title or experiment.name,
            result["who_learned_what"],
            result["description"],
        )
        (folder / "who_learned_what.md").write_text(page)
        results.write_result(folder, result)
        return result


def train_encrypted(
    experiment: EncryptedRun,
    prepared: Prepared,
    folder: Path | None = None,
    on_message: Callable[[encrypted.MessageRecord], Any] | None = None,
) -> encrypted.EncryptedRun:
    """Trains on ciphertexts, going on with what is in the folder."""
    parties = zip(prepared.activations, prepared.state.params, strict=True)
    inputs = [(part, params, optimizer_maker(experiment)) for part, params in parties]
    passive = [encrypted.PassiveInputs(*of_party) for of_party in inputs[:-1]]
    adversary = experiment.adversary
    passive[adversary] = passive[adversary]._replace(
        operations=dict.fromkeys(range(experiment.iterations), prepared.operations),
        observe=experiment.attack_iterations,
    )
    active = encrypted.ActiveInputs(
        *inputs[-1],
        labels=prepared.labels,
        key=prepared.key_defense,
        make_defense=prepared.make_defense,
    )
    has_begun = folder is not None and (folder / "agreement.json").exists()
    train = encrypted.run_in_processes if experiment.processes else encrypted.run_here
    return train(
        prepared.agreement,
        passive,
        active,
        prepared.batches,
        on_message=on_message,
        folder=folder,
        resume=has_begun,
    )


def train_plain(experiment: EncryptedRun, prepared: Prepared) -> PlainRun:
    """The simulation: the same training in the clear, and the adversary's views."""
    features = [jnp.asarray(part) for part in prepared.activations]
    labels, batches = jnp.asarray(prepared.labels), jnp.asarray(prepared.batches)
    run, key, adversary = prepared.plain, prepared.key_defense, experiment.adversary
    state, done, views = prepared.state, 0, {}
    for iteration in sorted({*experiment.attack_iterations, experiment.iterations}):
        if iteration > done:
            state, _ = protocol.train(
                run,
                key,
                state,
                features,
                labels,
                batches[done:iteration],
                first_step=done,
            )
            done = iteration
        if iteration in experiment.attack_iterations:
            rows = batches[iteration]
            transcript, _ = run.exchange(
                jax.random.fold_in(key, iteration),
                state,
                [part[rows] for part in features],
                labels[rows],
                rows,
            )
            views[iteration] = protocol.batch_gradient_view(
                run, state, features[adversary][rows], transcript, adversary
            )
    return PlainRun(state.params, views)


def _result(experiment, prepared, run, clock, folder):
    plain = None
    if experiment.mode == "exact":
        plain = train_plain(experiment, prepared)
    views = {
        iteration: observation.view
        for iteration, observation in run.observations[experiment.adversary].items()
    }
    attacks = attack_rows(experiment, prepared, views, plain.views if plain else {})
    messages = summarize_messages(results.read_messages(folder))
    agreement = prepared.agreement
    return {
        "name": experiment.name,
        "title": experiment.title,
        "description": run.description,
        "iterations": experiment.iterations,
        "batch_size": experiment.batch_size,
        "widths": list(agreement.widths),
        "processes": experiment.processes,
        "losses": [float(loss) if np.isfinite(loss) else None for loss in run.losses],
        "weights_max_difference": largest_difference(run.params, plain.params)
        if plain
        else None,
        **main_and_backdoor(experiment, prepared, run.params),
        "attacks": attacks,
        "messages": messages,
        "wall_seconds": clock.seconds(experiment.iterations),
        "cpu_seconds": clock.cpu_seconds(),
        "first_iteration": run.first_iteration,
        "who_learned_what": who_learned_what(
            agreement,
            run.description,
            messages,
            attacks,
            agreement.passive_names[experiment.adversary],
        ),
    }


class _Clock:
    """Notes when the last message of each iteration passed."""

    def __init__(self, on_iteration):
        self._on_iteration, self._ends = on_iteration, {}
        self._cpu_start = sum(os.times()[:4])

    def __call__(self, record):
        self._ends[record.iteration] = time.perf_counter()
        self._on_iteration(max(record.iteration, 0))

    def seconds(self, iterations: int) -> list[float | None]:
        """Per iteration; None for those of an earlier call."""
        wall: list[float | None] = [None] * iterations
        for (_, start), (iteration, end) in itertools.pairwise(self._ends.items()):
            wall[iteration] = end - start
        return wall

    def cpu_seconds(self) -> float:
        """Of this process and those that it has started and that have ended."""
        return sum(os.times()[:4]) - self._cpu_start
