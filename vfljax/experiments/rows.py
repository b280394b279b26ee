"""From what came out of a chunk to flat rows: every reading of every attack, scored."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from vfljax import metrics
from vfljax.experiments.backdoor import Backdoored
from vfljax.experiments.backdoor_specs import BackdoorSpec
from vfljax.experiments.base_spec import Releases
from vfljax.experiments.schema import Experiment
from vfljax.experiments.trial import Cell, Outcome, Victim

_FU_BATCH = 160  # of the released evaluation
_BOUND_HELD = {1: True, 0: False, -1: None}  # None: not known


def make_rows(
    experiment: Experiment,
    cell: Cell,
    settings: Sequence[tuple[int | float | None, int]],
    attack: str,
    step: int,
    outcome: Outcome,
    victim: Victim,
    *,
    num_samples: int,
    test_truth: np.ndarray | None = None,
    **common: Any,
) -> list[dict[str, Any]]:
    """One row per strength and trial of a chunk.

    Args:
        experiment: What is run.
        cell: Of the chunk.
        settings: Strength and trial of each; leaves may have more entries (padding).
        attack: Its label.
        step: The training step of the view.
        outcome: Of the attack, stacked, in host memory.
        victim: Likewise.
        num_samples: Of the training set.
        test_truth: Labels of the test samples; attacks on trained models need them.
        common: Further fields, the same in all rows.
    """
    defense, spec = experiment.defenses[cell.defense], experiment.attacks[attack]
    releases = _releases(experiment, cell, num_samples)
    made = []
    for place, (strength, trial) in enumerate(settings):
        of_unit = Outcome(*(leaf[place] if len(leaf) else leaf for leaf in outcome))
        budget = {}
        if experiment.top is None:  # the account is one of messages S − Y
            budget = _budget(defense, strength, cell, releases)
        made.append(
            {
                **common,
                **_setting(experiment, cell, attack, step, strength, trial),
                "known_per_class": getattr(spec, "known_per_class", None),
                "adversary_optimizer": getattr(spec, "optimizer", "benign"),
                **_scores(of_unit, cell.num_classes, experiment.record_confusion),
                **_epoch_scores(of_unit, cell.num_classes, test_truth),
                "chance_accuracy": float(victim.chance_accuracy[place]),
                "main_accuracy": float(victim.main_accuracy[place]),
                "main_top5": _optional(victim.main_top5, place),
                "main_f1": _optional(victim.main_f1, place),
                "alone_accuracy": _optional(victim.alone_accuracy, place),
                "residual": float(of_unit.residual),
                "bound_held": _BOUND_HELD[int(of_unit.bound_held)],
                **budget,
                "status": _status(
                    victim.trained[place], of_unit.finite, of_unit.is_unprotected
                ),
            }
        )
    return made


def make_backdoor_rows(
    experiment: Experiment,
    cell: Cell,
    settings: Sequence[tuple[int | float | None, int]],
    attack: str,
    backdoored: Backdoored,
    **common: Any,
) -> list[dict[str, Any]]:
    """One row per strength and trial of a chunk, for trainings with a backdoor.

    `attack_accuracy` is the share of test samples with the trigger that go to the
    target class, of those that belong to another one; `published_accuracy` counts all.
    `chance_accuracy` is the former without the trigger. Arguments as in `make_rows`.
    """
    spec, made = experiment.attacks[attack], []
    assert isinstance(spec, BackdoorSpec)
    for place, (strength, trial) in enumerate(settings):
        of_unit = Backdoored(
            *(leaf[place] if np.size(leaf) else leaf for leaf in backdoored)
        )
        is_other = of_unit.truth != of_unit.target
        inferred = float(of_unit.inferred_accuracy)
        made.append(
            {
                **common,
                **_setting(
                    experiment, cell, attack, experiment.training.steps, strength, trial
                ),
                "amplification": spec.amplification,
                "attack_accuracy": _share(of_unit.labels[is_other], of_unit.target),
                "published_accuracy": _share(of_unit.labels, of_unit.target),
                "chance_accuracy": _share(
                    of_unit.labels_without[is_other], of_unit.target
                ),
                "main_accuracy": float(of_unit.main_accuracy),
                "main_top5": _optional(backdoored.main_top5, place),
                "main_f1": _optional(backdoored.main_f1, place),
                "inferred_accuracy": None if np.isnan(inferred) else inferred,
                "status": _status(
                    of_unit.trained, is_finite=True, is_unprotected=False
                ),
            }
        )
    return made


def _setting(experiment, cell, attack, step, strength, trial):
    """What tells a row from others, and what is known about its attack."""
    spec, defense = experiment.attacks[attack], experiment.defenses[cell.defense]
    return {
        "protocol": "sum_of_logits" if experiment.top is None else "model_splitting",
        "view": experiment.view_of(attack),
        "train_step": step,
        **cell._asdict(),
        "defense_strength": None if strength is None else float(strength),
        "strength_name": defense.strength_name,
        "attack": attack,
        "attack_family": getattr(spec, "family", attack),
        "is_adaptive": spec.is_adaptive,
        "knowledge": spec.knowledge,
        "trial": trial,
        "seed": experiment.seed,
    }


def _share(labels, target):
    """How many samples go to the target class; 0 without any."""
    return float(np.mean(labels == target)) if labels.size else 0.0


def _scores(outcome, num_classes, with_confusion):
    """The metrics of one attack, over the samples whose labels it was not given."""
    counts = ~outcome.is_known
    labels, truth = outcome.labels[counts], outcome.truth[counts]
    chance = _chance_levels(truth.tobytes(), truth.dtype.str, num_classes)
    scored = {
        "attack_accuracy": float(np.mean(labels == truth)),
        "published_accuracy": None,
        "matched_accuracy": metrics.matched_accuracy(labels, truth, num_classes),
        "matched_chance": chance.matched_accuracy,
        "mutual_information": metrics.mutual_information(labels, truth, num_classes),
        "mutual_information_chance": chance.mutual_information,
        "auc": metrics.auc(outcome.margin[counts], truth)
        if len(outcome.margin)
        else None,
    }
    has_published = len(outcome.published_labels) > 0
    if has_published:
        published = outcome.published_labels[counts]
        scored["published_accuracy"] = float(np.mean(published == truth))
    if with_confusion:
        matrix = metrics.confusion(labels, truth, num_classes)
        scored["confusion"] = matrix.reshape(-1).tolist()
        if has_published:
            matrix = metrics.confusion(published, truth, num_classes)
            scored["published_confusion"] = matrix.reshape(-1).tolist()
    return scored


def _optional(leaf, place):
    return float(leaf[place]) if len(leaf) else None


def _epoch_scores(outcome, num_classes, test_truth):
    """Completion attacks: rates after the last epoch, and after the best by the truth.

    `best_` is the published convention, an oracle. Samples with known labels count in
    neither.
    """
    if len(outcome.ranks) == 0:
        return {}
    counts = ~outcome.is_known
    truth, ranks = outcome.truth[counts], outcome.ranks[:, counts]
    best = int(np.argmax(np.mean(ranks[:, :, 0] == truth, axis=1)))
    scored = {}
    for prefix, of_epochs, labels in (
        ("", ranks, truth),
        ("test_", outcome.test_ranks, test_truth),
    ):
        for when, epoch in (("", -1), ("best_", best)):
            for name, value in _rates(of_epochs[epoch], labels, num_classes).items():
                scored[f"{when}{prefix}attack_{name}"] = value
    del scored["attack_accuracy"]  # with the rates of all attacks
    return scored


def _rates(ranks, truth, num_classes):
    """Top-1, and what else is usual for so many classes."""
    rates = {"accuracy": float(np.mean(ranks[:, 0] == truth))}
    if num_classes > 5:
        rates["top5"] = float(np.mean(np.any(ranks[:, :5] == truth[:, None], axis=1)))
    if num_classes == 2:
        rates["f1"] = float(metrics.f1(ranks[:, 0], truth))
        rates["fu_batch_f1"] = float(
            metrics.fu_batch_f1(ranks[:, 0], truth, batch_size=_FU_BATCH)
        )
    return rates


@functools.lru_cache(maxsize=4096)
def _chance_levels(truth, dtype, num_classes):
    return metrics.chance_levels(np.frombuffer(truth, dtype), num_classes)


def _releases(experiment, cell, num_samples):
    """One message per epoch about a sample, or per view where these are of the same."""
    training = experiment.training
    if training.steps == 0:
        return Releases(number=1, batch_size=cell.batch_size)
    steps_per_epoch = num_samples // training.batch_size
    num_epochs = -(-training.steps // steps_per_epoch)
    num_views = len(experiment.train_steps) if experiment.same_samples else 1
    return Releases(number=max(num_epochs, num_views), batch_size=training.batch_size)


@functools.lru_cache(maxsize=4096)
def _budget(defense, strength, cell, releases):
    """What a defense with a guarantee allows, as fields of a row."""
    found = defense.budget(strength, cell.batch_size, cell.num_classes, releases)
    if found is None:
        return {}
    budget, words = found
    return {
        "label_epsilon": budget.epsilon,
        "label_delta": budget.delta,
        # Over training nothing holds if the label party learns from clean messages.
        "label_epsilon_training": budget.epsilon_training
        if defense.covers_label_party
        else None,
        "allowed_accuracy": budget.allowed_accuracy,
        "budget": words,
    }


def _status(is_trained, is_finite, is_unprotected):
    """Why a trial has no good result; its row stays and counts all the same."""
    if not is_trained:
        return "training_diverged"
    if not is_finite:
        return "non_finite"
    return "sent_unprotected" if is_unprotected else "ok"
