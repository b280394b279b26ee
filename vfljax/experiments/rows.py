"""From what came out of a chunk to flat rows: settings, scores, status."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from vfljax.defenses.base import Releases, Shapes, UpdateReleases
from vfljax.experiments.experiment import Experiment
from vfljax.experiments.trial import Answer
from vfljax.experiments.world import Cell, Observation
from vfljax.goals import Truth

_NO_RATES = dict.fromkeys(("main_top5", "main_f1", "alone_accuracy"))
_BOUND_HELD = {1: True, 0: False, -1: None}  # None: not known


def make_rows(
    experiment: Experiment,
    cell: Cell,
    settings: Sequence[tuple[int | float | None, int]],
    label: str,
    step: int,
    answer: Answer,
    seen: Observation,
    main: dict[str, Any],
    *,
    train_labels: np.ndarray,
    test_labels: np.ndarray,
    held: np.ndarray | None = None,
    **common: Any,
) -> list[dict[str, Any]]:
    """One row per strength and trial of a chunk.

    `settings` are strength and trial of each. The attack's `answer`, what was `seen`
    and the rates of the `main` task are stacked, in host memory, and may have more
    entries (padding). `label` is the attack's, `step` that of the view; `common` are
    further columns.
    `held` are the numbers of samples that participants of horizontal learning hold.
    """
    attack, defense = experiment.attacks[label], experiment.defenses[cell.defense]
    releases, made = _releases(experiment, cell, len(train_labels)), []
    sent = None
    if held is not None:
        sent = update_releases(experiment, cell, len(train_labels), held)
        sent = sent._replace(attacked_rounds=0) if attack.reader is not None else sent
    for place, (strength, trial) in enumerate(settings):
        of_unit, of_seen, of_main = jax.tree.map(
            lambda leaf, place=place: leaf[place], (answer, seen, main)
        )
        inference, is_trained = of_unit.inference, of_main.pop("trained")
        noise = of_seen.public.get("noise_std")
        truth = Truth(
            labels=of_seen.truth,
            test_labels=test_labels,
            is_known=of_unit.is_known,
            num_classes=cell.num_classes,
            facts=of_seen.facts,
            train_labels=train_labels,
        )
        row = {
            **common,
            **_setting(experiment, cell, label, step, strength, trial),
            "adds_noise": None if noise is None else bool(noise > 0),
            **_NO_RATES,
            **{name: float(rate) for name, rate in of_main.items()},
            **_diagnostics(inference.info),
            **attack.goal.score(inference, truth, experiment.record_confusion),
        }
        if experiment.protocol.sums_logits:  # the account is one of messages S − Y
            row |= _budget(defense, strength, cell, releases)
        if sent is not None:
            row |= _update_budget(defense, strength, sent)
        status = _status(is_trained, inference.finite, of_seen.is_unprotected)
        made.append(row | {"status": status})
    return made


def _setting(experiment, cell, label, step, strength, trial):
    """What tells a row from others, and what is known about its attack."""
    attack, defense = experiment.attacks[label], experiment.defenses[cell.defense]
    return {
        "protocol": experiment.protocol.name,
        "encryption": None if experiment.encryption is None else "real",
        "view": attack.threat_model or attack.sees.name,
        "goal": attack.goal.words,
        "train_step": step,
        **cell._asdict(),
        "defense_strength": None if strength is None else float(strength),
        "strength_name": defense.strength_name,
        "attack": label,
        "attack_family": attack.family or label,
        "is_adaptive": attack.is_adaptive,
        "knowledge": attack.knowledge,
        "known_per_class": attack.known_per_class,
        "adversary_optimizer": attack.adversary_optimizer,
        **{name: getattr(attack, name) for name in attack.traced},
        "trial": trial,
        "seed": experiment.seed,
        **(_watched(experiment) if attack.reader is not None else {}),
    }


def _watched(experiment):
    """Which rounds an attack on a whole training has watched."""
    every = experiment.watch_every
    return {"first_watched": experiment.watch_from + every - 1, "watch_every": every}


def _diagnostics(info):
    """What a method says about its run, where it says so."""
    residual = getattr(info, "residual", None)
    bound_held = getattr(info, "bound_held", None)
    return {
        "residual": None if residual is None else float(residual),
        "bound_held": None if bound_held is None else _BOUND_HELD[int(bound_held)],
    }


def _releases(experiment, cell, num_samples):
    """One message per epoch about a sample, or per view where these are of the same."""
    training = experiment.training
    if training.steps == 0:
        return Releases(number=1, batch_size=cell.batch_size)
    size = training.size(cell.batch_size)
    steps_per_epoch = num_samples // size
    num_epochs = -(-training.steps // steps_per_epoch)
    num_views = len(experiment.train_steps) if experiment.same_samples else 1
    return Releases(number=max(num_epochs, num_views), batch_size=size)


@functools.lru_cache(maxsize=4096)
def _budget(defense, strength, cell, releases):
    """What a defense with a guarantee allows, as columns of a row."""
    batch_size, num_classes = cell.batch_size, cell.num_classes
    shapes = Shapes(num_samples=1, batch_size=batch_size, embed=num_classes)
    defense = defense.at(strength, shapes)
    found = defense.budget(batch_size, num_classes, releases)
    if found is None:
        return {}
    budget, words = found
    in_training = budget.epsilon_training if defense.has_training_budget else None
    return {
        "label_epsilon": budget.epsilon,
        "label_delta": budget.delta,
        "label_epsilon_training": in_training,
        "allowed_accuracy": budget.allowed_accuracy,
        "budget": words,
    }


def update_releases(
    experiment: Experiment, cell: Cell, num_samples: int, held: np.ndarray
) -> UpdateReleases:
    """What is seen of updates: rounds of the training, and views of attacked ones."""
    protocol: Any = experiment.protocol
    horizontal, training = experiment.data.horizontal, experiment.training
    number = protocol.num_participants
    each, size = num_samples // number, cell.batch_size
    train_size = training.size(size)
    seen = protocol.num_in_round if protocol.sees_aggregate else 1
    network = experiment.network.make(cell.num_classes)
    return UpdateReleases(
        rounds=training.steps,
        attacked_rounds=len(experiment.train_steps) if experiment.same_samples else 1,
        participants=protocol.num_in_round,
        share=protocol.num_in_round / number,
        seen=seen - (protocol.observer == "participant"),
        are_equal=bool(min(held) == max(held)),
        local_steps=protocol.num_steps(train_size, each),
        attacked_steps=protocol.num_steps(size, each),
        batch_size=train_size,
        attacked_batch_size=size if horizontal.batch_labels == "own" else None,
        records=int(min(held)),
        has_statistics=network.init_statistics is not None and training.steps > 0,
    )


@functools.lru_cache(maxsize=4096)
def _update_budget(defense, strength, releases):
    """What a defense of updates guarantees over training and attack, as columns."""
    shapes = Shapes(1, 1, 1, participants=releases.participants)
    budget = defense.at(strength, shapes).update_budget(releases)
    if budget is None:
        return {}
    return {
        "protects": budget.protects,
        "epsilon": budget.epsilon,
        "delta": budget.delta,
        "guarantee": budget.words,
    }


def _status(is_trained, is_finite, is_unprotected):
    """Why a trial has no good result; its row stays and counts all the same."""
    if not is_trained:
        return "training_diverged"
    if not is_finite:
        return "non_finite"
    return "sent_unprotected" if is_unprotected else "ok"
