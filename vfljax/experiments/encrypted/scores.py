"""What an encrypted run is judged by: attacks, main task, backdoor, weights."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vfljax import metrics, models
from vfljax.experiments.attack_specs import Auxiliary
from vfljax.experiments.encrypted.backdoor import share_of_class
from vfljax.experiments.encrypted.setup import Prepared
from vfljax.experiments.encrypted.spec import EncryptedRun
from vfljax.protocol import BatchGradientView


def attack_rows(
    experiment: EncryptedRun,
    prepared: Prepared,
    decrypted: dict[int, BatchGradientView],
    simulated: dict[int, BatchGradientView],
) -> list[dict[str, Any]]:
    """Accuracies of each attack on both views; the attack can't tell which it has.

    Rows that the adversary left out of its gradient don't count: it says nothing of
    them.

    Args:
        experiment: With the attacks.
        prepared: The task.
        decrypted: The passive party's views, by iteration.
        simulated: Those of the plain training; empty where there is none.

    Returns:
        A row per attack and iteration, with `simulated_accuracy` and `same_labels`,
        the share of samples for which both answers agree, null without simulation.
    """
    keeps_zero_sum, drops_entries = experiment.defense.facts()
    auxiliary = Auxiliary(
        known_labels=jnp.full(experiment.batch_size, -1),
        codebook=jnp.eye(prepared.agreement.num_classes),
        noise_std=jnp.zeros(()),
        replaced_by=jnp.zeros(()),
        keep_fraction=jnp.ones(()),
        earlier=(),
        keeps_zero_sum=keeps_zero_sum,
        drops_entries=drops_entries,
    )
    counted = np.ones(experiment.batch_size, bool)
    counted[list(prepared.operations.skip)] = False
    rows = []
    for label, spec in experiment.attacks.items():
        attack = jax.jit(
            lambda key, view, spec=spec: spec.run(key, view, auxiliary).labels
        )
        for iteration in experiment.attack_iterations:
            truth = jnp.asarray(prepared.labels[prepared.batches[iteration]][counted])

            def answer(view, attack=attack, iteration=iteration):
                key = jax.random.fold_in(prepared.key_attacks, iteration)
                return attack(key, view)[counted]  # with the same key on both views

            found = answer(decrypted[iteration])
            row = {
                "attack": label,
                "iteration": iteration,
                "encrypted_accuracy": float(metrics.accuracy(found, truth)),
                "simulated_accuracy": None,
                "same_labels": None,
                "chance_accuracy": prepared.chance,
            }
            if iteration in simulated:
                expected = answer(simulated[iteration])
                row["simulated_accuracy"] = float(metrics.accuracy(expected, truth))
                row["same_labels"] = float(jnp.mean(found == expected))
            rows.append(row)
    return rows


def main_and_backdoor(
    experiment: EncryptedRun, prepared: Prepared, params: tuple[models.Params, ...]
) -> dict[str, Any]:
    """Test accuracy, and how often samples are taken for the target class.

    Returns:
        `main_accuracy`; `backdoor_accuracy` and `unmarked_accuracy`, the shares of
        marked and of unmarked test samples of other classes that are taken for the
        target class, null without a backdoor.
    """

    def logits(activations):
        state = prepared.state._replace(params=params)
        return prepared.plain.predict(state, tuple(map(jnp.asarray, activations)))

    labels, unmarked = prepared.test_labels, logits(prepared.tests)
    found = jnp.argmax(unmarked, axis=1)
    rates: dict[str, Any] = {
        "main_accuracy": float(metrics.accuracy(found, jnp.asarray(labels))),
        "backdoor_accuracy": None,
        "unmarked_accuracy": None,
    }
    if experiment.replaced_pairs:
        target, marked = experiment.target_class, logits(prepared.marked_tests)
        rates["backdoor_accuracy"] = share_of_class(marked, labels, target)
        rates["unmarked_accuracy"] = share_of_class(unmarked, labels, target)
    return rates


def largest_difference(left: Any, right: Any) -> float:
    """The largest distance of two numbers at the same place in two trees."""
    distances = jax.tree.map(lambda a, b: float(jnp.max(jnp.abs(a - b))), left, right)
    return max(jax.tree.leaves(distances))
