"""What the configs' page says of the runs in benchmarks/results, by their own rows."""

from pathlib import Path

import numpy as np
import pytest

from vfljax.experiments import read_run

RUNS = Path(__file__).parents[1] / "benchmarks" / "results" / "runs"


def rates(name, attack, field="attack_accuracy", **settings):
    """One number per trial, in their order; attacks of a trial share its weights."""
    rows = [
        row
        for row in read_run(RUNS / name).rows
        if row["attack"] == attack
        and all(row[setting] == value for setting, value in settings.items())
    ]
    assert len({row["trial"] for row in rows}) == len(rows) >= 3
    return np.array([row[field] for row in sorted(rows, key=lambda row: row["trial"])])


@pytest.mark.parametrize("folder", sorted(RUNS.iterdir()), ids=lambda path: path.name)
def test_every_run_is_whole(folder):
    run = read_run(folder)
    assert run.config["name"] == folder.name
    assert run.environment["commit"]
    assert {row["status"] for row in run.rows} == {"ok"}


@pytest.mark.parametrize("name", ["fu_cifar10", "fu_criteo"])
def test_training_leaks_more_than_the_known_labels_say(name):
    """At least ten points more than the same labels and features give by themselves."""
    gain = rates(name, "passive") - rates(name, "direct")
    assert gain.mean() >= 0.10


@pytest.mark.parametrize("name", ["fu_cifar10", "fu_criteo"])
def test_the_malicious_optimizer_costs_the_main_task_little(name):
    gain = rates(name, "active") - rates(name, "passive")
    cost = rates(name, "passive", "main_accuracy") - rates(
        name, "active", "main_accuracy"
    )
    assert gain.mean() >= -0.01
    assert cost.mean() <= 0.02


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("fu_labels_cifar10", ("0.2", "1", "4", "12")),
        ("fu_labels_criteo", ("10", "50", "200")),
    ],
)
def test_more_known_labels_help(name, labels):
    means = [rates(name, f"passive_{number}").mean() for number in labels]
    assert means == sorted(means)


@pytest.mark.parametrize("name", ["fu_parties_cifar10", "fu_parties_criteo"])
def test_more_parties_hurt(name):
    means = [
        rates(name, "passive", variant=f"{number} parties").mean()
        for number in (2, 4, 8)
    ]
    assert means == sorted(means, reverse=True)


def test_label_replacement_works_as_published():
    """At γ = 10, all ten seeds: main task .893 ± .04, backdoor at least .83."""
    assert rates("fig6_mnist", "gamma_10", "main_accuracy").mean() == pytest.approx(
        0.893, abs=0.04
    )
    assert rates("fig6_mnist", "gamma_10").mean() >= 0.83


def test_confused_labels_lower_the_backdoor_until_the_adversary_clusters():
    def backdoor(attack, strength):
        rate = rates("fig9_mnist", attack, defense="cae", defense_strength=strength)
        assert len(rate) == 10
        return rate.mean()

    undefended = rates("fig9_mnist", "replacement", defense="none").mean()
    assert backdoor("replacement", 0.0) >= undefended - 0.05
    assert backdoor("replacement", 1.0) <= undefended - 0.25
    assert backdoor("flip_plain", 1.0) >= backdoor("replacement", 1.0) + 0.2
