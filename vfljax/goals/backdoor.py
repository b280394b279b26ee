"""A backdoor in a trained model: samples with a trigger go to a class of choice."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from vfljax.goals import metrics
from vfljax.goals.base import Goal, Truth


def score_backdoor(answer: Any, truth: Truth, with_confusion: bool) -> dict[str, Any]:
    """How often the trigger leads to the target class.

    `attack_accuracy` is the share of samples with the trigger that go there, of those
    that belong to another class; `published_accuracy` counts all. `chance_accuracy` is
    the former without the trigger. `inferred_accuracy` is the share of the poisoned
    samples whose label was inferred rightly beforehand, None where none was.

    The facts are `target`, the class; `without`, decisions for the same samples without
    the trigger (asked,); `poisoned`, rows of the training set; and, where labels were
    inferred, `inferred` (parties, poisoned), which needs `truth.train_labels`.
    """
    facts, is_other = truth.facts, truth.labels != truth.facts["target"]
    without = np.asarray(facts["without"])
    return {
        "attack_accuracy": _share(answer.labels[is_other], facts["target"]),
        "published_accuracy": _share(answer.labels, facts["target"]),
        "chance_accuracy": _share(without[is_other], facts["target"]),
        "inferred_accuracy": _inferred_accuracy(truth),
    }


def _share(labels, target):
    """How many samples go to the target class; 0 without any."""
    return float(np.mean(labels == target)) if labels.size else 0.0


def _inferred_accuracy(truth):
    """The mean over the adversaries."""
    if "inferred" not in truth.facts:
        return None
    if truth.train_labels is None:
        raise ValueError("train_labels=None: must be there to judge inferred labels")
    true = jnp.asarray(truth.train_labels[truth.facts["poisoned"]])
    inferred = map(jnp.asarray, truth.facts["inferred"])
    rates = [metrics.accuracy(labels, true) for labels in inferred]
    return float(jnp.mean(jnp.stack(rates)))


BACKDOOR = Goal("backdoor", score_backdoor, "samples with the trigger")
