"""Sweeps of horizontal learning: rows, what is seen, floors, defenses, refusals."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import attacks, defenses, models, update_dp
from vfljax.attacks.counting import CountAttack, count_inference
from vfljax.defenses import UpdateReleases
from vfljax.experiments import (
    Data,
    Execution,
    Experiment,
    Horizontal,
    Training,
    Variant,
)
from vfljax.experiments.records import read_run
from vfljax.experiments.rows import update_releases
from vfljax.experiments.sweep import run_sweep
from vfljax.experiments.task import make_tasks
from vfljax.experiments.world import Cell
from vfljax.known import NOTHING
from vfljax.protocol import FederatedAveraging, FederatedSGD, head_of

NETWORK = models.MLP(hidden=(8,), start_bound=0.5)
SKEWED = Horizontal(batch_labels="skewed", auxiliary_samples=100)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BiasCounts(CountAttack):
    """Counts by the bias gradient, exact where its simulation says the truth."""

    def __call__(self, key, view, known=NOTHING):
        bias = head_of(view.update, self.layer)[1]
        estimates = view.num_labels / view.num_classes - view.batch_size * bias
        return count_inference(estimates, view.num_labels)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SimulatedNorm(CountAttack):
    """Whether the size of what is seen is that of what the adversary simulates."""

    uses = ("auxiliary_features", "auxiliary_labels", "simulate")
    is_adaptive = True

    def __call__(self, key, view, known=NOTHING):
        shape = (view.num_steps, view.batch_size)
        rows = jnp.arange(view.num_labels).reshape(shape)
        rows = rows % len(known.auxiliary_labels)
        simulated = known.simulate(
            key, known.auxiliary_features[rows], known.auxiliary_labels[rows]
        )
        seen, own = (
            jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree)))
            for tree in (view.update, simulated)
        )
        estimates = jnp.full(view.num_classes, view.num_labels / view.num_classes)
        inference = count_inference(estimates, view.num_labels)
        return inference._replace(info=_Ratio(seen / own))


@dataclasses.dataclass(frozen=True)
class _Ratio:
    """A number that reaches the rows as the residual."""

    residual: Any


jax.tree_util.register_dataclass(_Ratio, ["residual"], [])


def experiment_of(**changes: Any) -> Experiment:
    given: dict[str, Any] = {
        "name": "federated",
        "data": Data(dataset="digits", horizontal=SKEWED),
        "model": NETWORK,
        "protocol": FederatedSGD(num_participants=5),
        "batch_sizes": (8,),
        "num_trials": 4,
        "attacks": {"bias": BiasCounts()},
        "execution": Execution(chunk_size=4),
    }
    return Experiment(**given | changes)


def rows_of(experiment, dataset, folder):
    for _ in run_sweep(experiment, dataset, folder):
        pass
    return read_run(folder).rows


def test_rows(digits, tmp_path):
    rows = rows_of(experiment_of(), digits, tmp_path)
    assert [row["status"] for row in rows] == ["ok"] * 4
    for row in rows:
        assert "guarantee" not in row
        assert row["protocol"] == "federated_sgd"
        assert row["num_parties"] == 5
        assert (row["view"], row["goal"]) == ("update", "label counts")
        assert 0.15 < row["chance_accuracy"] < 0.5
        assert {"presence_accuracy", "count_accuracy"} <= row.keys()
    mean = np.mean([row["attack_accuracy"] for row in rows])
    assert mean > np.mean([row["chance_accuracy"] for row in rows]) + 0.1


def test_a_sweep_goes_on_and_does_not_depend_on_chunks(digits, tmp_path):
    whole = rows_of(experiment_of(), digits, tmp_path / "whole")
    fewer = experiment_of(num_trials=2, execution=Execution(chunk_size=2))
    rows_of(fewer, digits, tmp_path / "parts")
    parts = rows_of(
        experiment_of(execution=Execution(chunk_size=2)), digits, tmp_path / "parts"
    )
    for a, b in zip(whole, parts, strict=True):
        assert a["attack_accuracy"] == b["attack_accuracy"]


def test_training_has_a_main_task_and_a_floor(digits, tmp_path):
    """Participants of two classes each are far below the model of all."""
    labels = digits.train_labels
    lines = tuple(
        tuple(map(int, np.flatnonzero(labels // 2 == pair))) for pair in range(5)
    )
    experiment = experiment_of(
        model=models.MLP(hidden=(16,)),
        data=Data(dataset="digits", horizontal=dataclasses.replace(SKEWED, rows=lines)),
        training=Training(steps=150, batch_size=16, optimizer="sgd", learning_rate=0.1),
        train_steps=(0, 150),
        num_trials=2,
    )
    rows = rows_of(experiment, digits, tmp_path)
    assert [row["train_step"] for row in rows] == [0, 0, 150, 150]
    for row in rows:
        assert row["main_accuracy"] > 0.7
        assert row["floor_accuracy"] < 0.25  # two of ten classes


def test_averaging_learns_with_some_of_the_participants(digits, tmp_path):
    experiment = experiment_of(
        model=models.MLP(hidden=(16,)),
        protocol=FederatedAveraging(
            num_participants=20, participants_per_round=3, local_steps=5
        ),
        training=Training(steps=60, batch_size=16, optimizer="sgd", learning_rate=0.1),
        num_trials=2,
    )
    assert min(r["main_accuracy"] for r in rows_of(experiment, digits, tmp_path)) > 0.8


def test_the_same_batch_is_seen_at_all_steps_if_asked_for(digits, tmp_path):
    training = Training(steps=2, batch_size=8, optimizer="sgd", learning_rate=0.1)
    given: Any = {"training": training, "train_steps": (0, 2), "num_trials": 3}
    for same in (True, False):
        rows = rows_of(
            experiment_of(same_samples=same, **given), digits, tmp_path / f"{same}"
        )
        chances = [row["chance_accuracy"] for row in rows]  # of the true counts
        assert (chances[:3] == chances[3:]) == same


@pytest.mark.parametrize(
    ("protocol", "number"),
    [
        (FederatedSGD(num_participants=3, secure_aggregation=True), 24),
        (FederatedSGD(num_participants=3, observer="participant"), 16),
        (FederatedAveraging(num_participants=3, local_steps=4), 32),
    ],
    ids=["aggregate", "participant", "steps"],
)
def test_labels_behind_what_is_seen(protocol, number, digits, tmp_path):
    experiment = experiment_of(protocol=protocol, attacks={"n": _Number()})
    rows = rows_of(experiment, digits, tmp_path)
    assert {row["residual"] for row in rows} == {number}
    assert all(row["count_accuracy"] <= 1 for row in rows)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Number(CountAttack):
    """Says how many labels there are."""

    def __call__(self, key, view, known=NOTHING):
        estimates = jnp.full(view.num_classes, 1.0)
        number = jnp.float32(view.num_labels)
        return count_inference(estimates, view.num_labels, _Ratio(number))


@pytest.mark.parametrize(
    ("defense", "low", "high"),
    [
        (defenses.NoDefense(), 0.5, 2.0),
        (defenses.DPGaussian(noise_std=10.0, clip_norm=float("inf")), 0.9, 1.1),
        (defenses.DPGaussian(noise_std=0.0, clip_norm=1e-3), 0.999, 1.001),
        (defenses.Signs(), 0.6, 1.6),
        (defenses.ParticipantDP(noise_multiplier=100.0), 0.9, 1.1),
        (defenses.ExampleClipping(noise_multiplier=100.0), 0.9, 1.1),
        (
            defenses.Sparsification(
                keep_fraction=0.1, residual="none", selection="random"
            ),
            0.3,
            3.0,
        ),
    ],
    ids=["none", "noise", "clip", "signs", "participant", "example", "random"],
)
def test_attackers_simulate_the_defense(defense, low, high, digits, tmp_path):
    """The size of what is seen is that of what the adversary simulates."""
    experiment = experiment_of(
        defenses={"x": defense}, attacks={"norm": SimulatedNorm()}
    )
    for row in rows_of(experiment, digits, tmp_path):
        assert low < row["residual"] < high


def test_attackers_simulate_secure_aggregation(digits, tmp_path):
    """The mean of 25 updates with noise of 10 has noise of 2."""
    noise = defenses.DPGaussian(noise_std=10.0, clip_norm=float("inf"))
    experiment = experiment_of(
        protocol=FederatedSGD(num_participants=25, secure_aggregation=True),
        defenses={"none": defenses.NoDefense(), "noise": noise},
        attacks={"norm": SimulatedNorm()},
    )
    for row in rows_of(experiment, digits, tmp_path):
        if row["defense"] == "noise":
            assert 0.9 < row["residual"] < 1.1


def test_the_noise_of_all_participants_is_the_central_one(digits, tmp_path):
    """z·S/M per entry of the mean of M = 25, whose 810 entries are clipped to nothing.

    The attacker simulates it with as much.
    """
    defense = defenses.ParticipantDP(clip_norm=0.01, noise_multiplier=50.0)
    experiment = experiment_of(
        protocol=FederatedSGD(num_participants=25, secure_aggregation=True),
        defenses={"dp": defense},
        attacks={"norm": SimulatedNorm(), "size": _Size()},
    )
    rows = rows_of(experiment, digits, tmp_path)
    assert len(rows) == 8
    for row in rows:
        expected = {"norm": 1.0, "size": 50 * 0.01 / 25}[row["attack"]]
        assert row["residual"] == pytest.approx(expected, rel=0.12)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Size(CountAttack):
    """Says how large an entry of what is seen is, as a root of a mean square."""

    def __call__(self, key, view, known=NOTHING):
        leaves = jax.tree.leaves(view.update)
        number = sum(leaf.size for leaf in leaves)
        size = jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in leaves) / number)
        estimates = jnp.full(view.num_classes, 1.0)
        return count_inference(estimates, view.num_labels, _Ratio(size))


def test_rows_say_what_a_defense_of_updates_guarantees(digits, tmp_path):
    """Six rounds of two of the five participants, and the attacked one, under secure
    aggregation: vectors 2/z apart, in 2/5 of the rounds.
    """
    experiment = experiment_of(
        protocol=FederatedSGD(
            num_participants=5, participants_per_round=2, secure_aggregation=True
        ),
        training=Training(steps=6, batch_size=4, optimizer="sgd", learning_rate=0.1),
        defenses={"dp": defenses.ParticipantDP(noise_multiplier=(0.0, 5.0))},
        num_trials=1,
    )
    without, row = rows_of(experiment, digits, tmp_path)
    drawn = [update_dp.drawn_from_all(6, 0.4), update_dp.Draws(1)]
    expected = update_dp.epsilon_of_sums(5.0, drawn, 1e-5 - 1e-9)
    assert (row["epsilon"], row["delta"]) == (pytest.approx(expected), 1e-5)
    assert row["protects"] == "a participant"
    assert "Properties that several share" in row["guarantee"]
    assert without["epsilon"] is None  # infinite, which JSON has not
    assert "label_epsilon" not in row


def test_what_is_seen_of_updates_is_counted():
    """FedAvg of 90 samples, 18 or more each; a participant looks at two rounds."""
    lines = tuple(tuple(range(20 * p, 20 * p + 18 + (p == 0))) for p in range(4))
    horizontal = Horizontal(batch_labels="own", rows=lines)
    experiment = experiment_of(
        data=Data(dataset="digits", horizontal=horizontal),
        protocol=FederatedAveraging(
            num_participants=4,
            participants_per_round=3,
            observer="participant",
            local_epochs=1,
        ),
        training=Training(steps=7, batch_size=4, optimizer="sgd", learning_rate=0.1),
        train_steps=(0, 7),
        same_samples=True,
    )
    cell = Cell(10, 8, "none")
    held = np.array([19, 18, 18, 18])
    assert update_releases(experiment, cell, 90, held) == UpdateReleases(
        rounds=7,
        attacked_rounds=2,
        participants=3,
        share=0.75,
        seen=2,
        are_equal=False,
        local_steps=5,
        attacked_steps=2,
        batch_size=4,
        attacked_batch_size=8,
        records=18,
        has_statistics=False,
    )


def test_strengths_of_a_defense_reach_the_simulation(digits, tmp_path):
    """One program for both strengths: the ratio is 1 for each."""
    noise = defenses.DPGaussian(noise_std=(10.0, 100.0), clip_norm=float("inf"))
    experiment = experiment_of(
        defenses={"noise": noise}, attacks={"norm": SimulatedNorm()}
    )
    for row in rows_of(experiment, digits, tmp_path):
        assert row["defense_strength"] in (10.0, 100.0)
        assert 0.9 < row["residual"] < 1.1


REFUSED: list[Any] = [
    (
        {"attacks": {"x": attacks.DirectInference()}},
        "attacks.x=DirectInference: sees sample_gradient, must see what federated_sgd",
    ),
    (
        {"defenses": {"x": defenses.Marvell()}, "batch_sizes": (8,)},
        "defenses.x",
    ),
    (
        {
            "data": Data(
                dataset="digits", horizontal=Horizontal(auxiliary_samples=10_000)
            )
        },
        "data.horizontal.auxiliary_samples=10000: must be below",
    ),
    (
        {
            "data": Data(dataset="digits", horizontal=Horizontal(auxiliary_samples=0)),
            "attacks": {"x": attacks.LLGPlus()},
        },
        "auxiliary_samples=0: must be > 0 for attacks.x",
    ),
    (
        {"data": Data(dataset="digits", horizontal=Horizontal(rows=((0,), (1,))))},
        "data.horizontal.rows=.2 lines.: must be one line for each of 5 participants",
    ),
    (
        {"data": Data(dataset="digits", class_counts=(3,))},
        "data.class_choice='random': must be 'first' where participants",
    ),
    (
        {"data": Data(dataset="digits", adversary=-2)},
        "data.adversary=-2: must be left as it is where participants hold different",
    ),
    ({"record_confusion": True}, "record_confusion=True: must be left as it is"),
    (
        {"attacks": {"x": attacks.IDLG()}, "batch_sizes": (2,)},
        r"attacks.x.labels behind what is seen=\(2,\): must be one",
    ),
    (
        {
            "attacks": {"x": attacks.HeadDecoupling()},
            "protocol": FederatedAveraging(num_participants=5, local_steps=2),
        },
        "attacks.x.local steps of a round=2: must be one",
    ),
    (
        {"protocol": FederatedSGD(num_participants=100_000)},
        "num_participants=100000: must be in",
    ),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_refusals(changes, message, digits):
    with pytest.raises(ValueError, match=message):
        make_tasks(experiment_of(**changes), digits)


def test_one_participant_alone_is_the_training_itself(digits, tmp_path):
    """With a single participant the floor differs from the main task by draws alone."""
    experiment = experiment_of(
        model=models.MLP(hidden=(16,)),
        protocol=FederatedAveraging(num_participants=1, local_steps=20),
        training=Training(steps=10, batch_size=32, optimizer="sgd", learning_rate=0.1),
        num_trials=2,
    )
    for row in rows_of(experiment, digits, tmp_path):
        assert row["main_accuracy"] > 0.7
        assert abs(row["floor_accuracy"] - row["main_accuracy"]) < 0.15


def test_no_class_is_left_out_or_mistaken(digits, tmp_path):
    """Participants of the first three classes hold and see no others."""
    spec = dataclasses.replace(SKEWED, batch_labels="own", auxiliary_samples=None)
    experiment = experiment_of(
        data=Data(
            dataset="digits",
            class_counts=(3,),
            class_choice="first",
            horizontal=spec,
        ),
        attacks={"squares": attacks.LabelCountLeastSquares()},
    )
    for row in rows_of(experiment, digits, tmp_path):
        assert row["num_classes"] == 3
        assert row["attack_accuracy"] >= 0.6


def test_embeddings_are_those_of_each_participants_batch(digits, tmp_path):
    """Of networks that normalize batches they depend on who is in the batch."""
    experiment = experiment_of(
        model=models.ResNet(depth=8, width=4),
        protocol=FederatedSGD(num_participants=2, secure_aggregation=True),
        batch_sizes=(2,),
        attacks={"x": attacks.HeadDecoupling()},
        num_trials=2,
    )
    for row in rows_of(experiment, digits, tmp_path):
        assert row["wrongly_certified"] == 0.0
        assert row["recovered_accuracy"] == 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Negative(CountAttack):
    """Counts that can't be."""

    def __call__(self, key, view, known=NOTHING):
        inference = count_inference(jnp.ones(view.num_classes), view.num_labels)
        return inference._replace(counts=inference.counts - 3)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _WrongAnswer(CountAttack):
    """Labels where counts are asked for."""

    def __call__(self, key, view, known=NOTHING):
        return attacks.inference_from_scores(jnp.zeros((8, view.num_classes)))


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        (_Negative(), "counts of the attack's answer="),
        (_WrongAnswer(), "must be an answer with counts, which the goal label_counts"),
    ],
)
def test_wrong_answers_are_one_line(attack, message, digits, tmp_path):
    with pytest.raises(ValueError, match=message):
        rows_of(experiment_of(attacks={"x": attack}), digits, tmp_path)


def test_updates_are_for_horizontal_learning_alone(digits):
    with pytest.raises(ValueError, match=r"attacks.x=LLG: sees update, must see what"):
        make_tasks(Experiment(name="x", attacks={"x": attacks.LLG()}), digits)


def test_variants_compare_protocols(digits, tmp_path):
    experiment = experiment_of(
        variants={
            "one step": Variant(protocol=FederatedSGD(num_participants=5)),
            "ten steps": Variant(protocol=FederatedAveraging(num_participants=5)),
        },
        num_trials=2,
    )
    rows = rows_of(experiment, digits, tmp_path)
    assert {row["variant"]: row["protocol"] for row in rows} == {
        "one step": "federated_sgd",
        "ten steps": "federated_averaging",
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Double(CountAttack):
    """Says whether 1 + 1e-12 is more than 1, where it runs."""

    needs_float64 = True
    layer: str = "output"

    def __call__(self, key, view, known=NOTHING):
        one = jnp.sum(view.update["output"]["bias"] * 0).astype(jnp.float64) + 1
        more = (one + 1e-12 > one).astype(jnp.float32)
        estimates = jax.random.uniform(key, (view.num_classes,))
        return count_inference(estimates, view.num_labels, _Ratio(more))


def test_attacks_may_compute_in_float64(digits, tmp_path):
    experiment = experiment_of(attacks={"x": _Double(), "bias": BiasCounts()})
    rows = rows_of(experiment, digits, tmp_path)
    assert {row["residual"] for row in rows if row["attack"] == "x"} == {1.0}
    assert jnp.zeros(()).dtype == jnp.float32
