"""Trainings that are watched: what readers are given, schedules, truths, refusals."""

import dataclasses
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vfljax import attacks, data, defenses, goals, models
from vfljax.experiments import (
    Data,
    Experiment,
    Horizontal,
    TargetProperty,
    Training,
    Variant,
)
from vfljax.experiments.records import read_run
from vfljax.experiments.sweep import run_sweep
from vfljax.experiments.watching import shares_for
from vfljax.known import NOTHING
from vfljax.protocol import (
    Batches,
    FederatedAveraging,
    FederatedSGD,
    UpdateView,
    Upload,
    head_of,
)

ROUNDS = 12


def score_series(answer: Any, truth: goals.Truth, with_confusion: bool) -> dict:
    """What was answered and what is true, for these tests to compare."""
    return {
        "attack_accuracy": 0.0,
        "scores": np.asarray(answer.scores).tolist(),
        "truth": np.asarray(truth.labels).tolist(),
        "batch_size_of_target": int(truth.facts["batch_size"]),
    }


SERIES = goals.Goal("series", score_series, "rounds", "scores", ("property_counts",))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sums(attacks.Reader):
    """The first entry of the head's bias, seen and simulated, and what is known."""

    uses = (
        *("auxiliary_features", "auxiliary_labels", "auxiliary_properties"),
        "simulate",
    )

    def __call__(self, key, view, known=NOTHING):
        """Simulates what would be seen if all had the adversary's first samples."""
        shape = (view.num_steps, view.batch_size)
        rows = jnp.zeros(shape, jnp.int32)
        update = known.simulate(
            key, known.auxiliary_features[rows], known.auxiliary_labels[rows]
        )
        return {
            "seen": head_of(view.update, "output")[1][0],
            "simulated": head_of(update, "output")[1][0],
            "participants": jnp.array(view.num_participants),
            "share": jnp.mean(known.auxiliary_properties.astype(jnp.float32)),
            "samples": jnp.array(len(known.auxiliary_labels)),
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Watcher(attacks.Attack):
    """Answers with one of the readings."""

    of: str = "seen"
    sees = UpdateView
    goal = SERIES
    reader = Sums()

    def __call__(self, key, readings, known=NOTHING):
        """Returns them as scores."""
        scores = readings[self.of].astype(jnp.float32)
        return attacks.RoundInference(scores, jnp.nan * scores, jnp.array(True))


def dataset() -> data.Dataset:
    """Samples whose third feature is the property, in a quarter of them."""
    generator = np.random.default_rng(0)
    features = generator.normal(size=(160, 4)).astype(np.float32)
    labels = (features[:, 0] > 0).astype(np.int32)
    column = (np.arange(160) % 4).astype(np.int32)
    features[:, 2] = column
    return data.Dataset(
        name="with_property",
        train_features=features[:120],
        train_labels=labels[:120],
        test_features=features[120:],
        test_labels=labels[120:],
        class_names=("below", "above"),
        train_properties={"quarter": column[:120]},
        test_properties={"quarter": column[120:]},
    )


TARGET = TargetProperty(name="quarter", values=(1,))
PARTICIPANT = FederatedSGD(num_participants=2, observer="participant")


def experiment(**changes: Any) -> Experiment:
    """Twelve rounds of two participants, of which the last one watches."""
    target = changes.pop("target", TARGET)
    options: dict[str, Any] = {
        "name": "watched",
        "data": Data(
            dataset=dataset(),
            horizontal=Horizontal(target=target, auxiliary_from="participant"),
        ),
        "model": models.MLP(hidden=(3,)),
        "protocol": PARTICIPANT,
        "training": Training(
            steps=ROUNDS, batch_size=None, optimizer="sgd", learning_rate=0.1
        ),
        "batch_sizes": (8,),
        "attacks": {"watcher": Watcher()},
        "num_trials": 2,
    }
    return Experiment(**(options | changes))


def rows_of(tmp_path, given: Experiment) -> list[dict]:
    """Rows of a run."""
    assert isinstance(given.data.dataset, data.Dataset)
    for _ in run_sweep(given, given.data.dataset, tmp_path):
        pass
    return read_run(tmp_path).rows


def test_half_of_the_rounds_have_the_property(tmp_path):
    for row in rows_of(
        tmp_path,
        experiment(
            training=Training(
                steps=60, batch_size=None, optimizer="sgd", learning_rate=0.1
            )
        ),
    ):
        truth = np.array(row["truth"])
        assert row["train_step"] == len(truth) == 60
        assert set(truth.tolist()) == {0, 8}
        assert 15 <= np.sum(truth > 0) <= 45  # of 60 draws of one half
        assert row["batch_size_of_target"] == 8
        assert row["main_accuracy"] > row["chance_accuracy"] - 0.2
        assert 0 <= row["main_auc"] <= 1


@pytest.mark.parametrize(("fraction", "number"), [(0.0, 0), (0.3, 2), (1.0, 8)])
def test_fractions_of_a_batch(tmp_path, fraction, number):
    target = dataclasses.replace(TARGET, fraction=fraction, one_in=1)
    for row in rows_of(tmp_path, experiment(target=target)):
        assert row["truth"] == [number] * ROUNDS


def test_windows_name_the_value_of_their_rounds(tmp_path):
    """Another value's window has none of the property itself."""
    target = dataclasses.replace(TARGET, windows=((2, 5, 1), (5, 9, 3)))
    for row in rows_of(tmp_path, experiment(target=target)):
        assert row["truth"] == [0, 0, 8, 8, 8, *[0] * 7]


def test_some_rounds_are_watched_and_the_training_is_the_same(tmp_path):
    all_, some = (
        rows_of(tmp_path / name, experiment(**changes))
        for name, changes in (
            ("all", {}),
            ("some", {"watch_from": 3, "watch_every": 2}),
        )
    )
    for every, few in zip(all_, some, strict=True):
        np.testing.assert_allclose(few["scores"], every["scores"][4::2], atol=1e-6)
        assert few["truth"] == every["truth"][4::2]
        assert few["main_accuracy"] == every["main_accuracy"]


def test_the_adversary_has_its_own_samples_and_takes_its_part_away(tmp_path):
    """With three participants it sees the mean of two, and half of the property."""
    protocol = FederatedSGD(num_participants=3, observer="participant")
    watchers = {name: Watcher(of=name) for name in ("participants", "share", "samples")}
    rows = rows_of(tmp_path, experiment(protocol=protocol, attacks=watchers))
    found = {row["attack"]: row["scores"][0] for row in rows}
    assert found["participants"] == 2
    assert found["samples"] == 40  # 15 of 30 with the property, 25 without
    assert found["share"] == pytest.approx(15 / 40)


def test_simulations_are_at_the_snapshot_of_the_round(tmp_path):
    """Of equal samples, entries of the head's bias differ by whole labels over B.

    That entry is p_0 − the share of class 0, with the same p_0 if it is the same
    network; it changes from round to round.
    """
    equal = dataclasses.replace(
        dataset(),
        train_features=np.tile(dataset().train_features[:1], (120, 1)),
        train_labels=np.array([0, 1] * 60, np.int32),
    )
    given = experiment(attacks={n: Watcher(of=n) for n in ("seen", "simulated")})
    given = dataclasses.replace(
        given, data=dataclasses.replace(given.data, dataset=equal)
    )
    rows = rows_of(tmp_path, given)
    seen, simulated = (
        np.array([row["scores"] for row in rows if row["attack"] == name])
        for name in ("seen", "simulated")
    )
    labels = 8 * (seen - simulated)
    np.testing.assert_allclose(labels, np.round(labels), atol=1e-4)
    assert np.ptp(np.round(labels)) > 0
    assert np.all(np.ptp(simulated, axis=1) > 0)


def test_local_steps_and_late_targets(tmp_path):
    protocol = FederatedAveraging(
        num_participants=3, observer="participant", local_steps=2
    )
    late = dataclasses.replace(TARGET, joins_at=6, one_in=1)
    variants = {
        "averaging": Variant(protocol=protocol),
        "SGD": Variant(
            protocol=FederatedSGD(num_participants=3, observer="participant")
        ),
    }
    for row in rows_of(tmp_path, experiment(target=late, variants=variants)):
        steps = 2 if row["variant"] == "averaging" else 1
        assert row["batch_size_of_target"] == 8 * steps
        assert row["truth"] == [0] * 6 + [8 * steps] * 6


def test_readers_are_shared_and_programs_compiled_once(tmp_path, watch_programs):
    """One training for all attacks, and one program for each attack."""
    watchers = {name: Watcher(of=name) for name in ("seen", "share")}
    with watch_programs() as made:
        rows_of(tmp_path, experiment(attacks=watchers))
    (programs,) = made
    assert len(programs._compiled) == 1 + len(watchers)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"training": Training(steps=5)}, "training.batch_size=256"),
        ({"training": Training()}, "training.steps=0"),
        ({"watch_from": 12}, "watch_from, watch_every"),
        ({"target": None}, "data.horizontal.target=None"),
        ({"target": TargetProperty(name="third")}, "target.name='third'"),
        ({"target": TargetProperty(name="quarter", values=(7,))}, "target.values=(7,)"),
        (
            {"target": TargetProperty(name="quarter", values=("x",))},
            "target.values='x'",
        ),
        (
            {"target": dataclasses.replace(TARGET, windows=((1, 2, "x"),))},
            "target.windows='x'",
        ),
        (
            {"target": dataclasses.replace(TARGET, windows=((20, 30, 1),))},
            "windows of (20, 30, 1)=20",
        ),
        ({"target": dataclasses.replace(TARGET, values=(0, 1, 2, 3))}, "there are 0"),
        ({"target": dataclasses.replace(TARGET, fraction=0.01)}, "fraction=0.01"),
        ({"target": dataclasses.replace(TARGET, joins_at=3)}, "num_participants=2"),
        (
            {"protocol": FederatedSGD(num_participants=4, participants_per_round=2)},
            "participants_per_round=2",
        ),
        (
            {"protocol": FederatedSGD(num_participants=3, secure_aggregation=True)},
            "observer='server'",
        ),
        (
            {
                "protocol": FederatedSGD(num_participants=3),
                "target": dataclasses.replace(TARGET, joins_at=3),
            },
            "observer='server'",
        ),
        ({"record_alone": True}, "record_alone"),
    ],
)
def test_refusals_name_the_field(tmp_path, changes, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        rows_of(tmp_path, experiment(**changes))


def test_a_cheating_participant_needs_its_properties():
    """What is uploaded reaches the mean, and only the last one's part is replaced."""

    def send(kept, update, model, params, forward, features, labels, properties):
        changed = jax.tree.map(lambda leaf: leaf + jnp.sum(properties), update)
        return changed, kept + 1

    upload = Upload(init=lambda key, params: jnp.array(0), send=send)
    given: dict[str, Any] = {
        "defense": defenses.NoDefense(),
        "num_classes": 2,
        "learning_rate": 0.1,
        "num_steps": 1,
    }
    model = models.MLP(hidden=(3,)).make(2)
    honest, cheating = (
        PARTICIPANT.make(model, optax.sgd(0.1), **given, upload=each)
        for each in (None, upload)
    )
    set_ = dataset()
    rows = np.arange(8).reshape(2, 1, 4)
    batches = Batches(
        jnp.asarray(set_.train_features[rows]),
        jnp.asarray(set_.train_labels[rows]),
        jnp.arange(2),
        jnp.full(2, 0.5),
        jnp.asarray((set_.train_properties["quarter"] == 1).astype(int)[rows]),
    )
    first = batches.features
    (plain, _), (sent, after) = (
        run.exchange(
            jax.random.key(1), run.init(jax.random.key(0), first[0, 0]), batches
        )
        for run in (honest, cheating)
    )
    assert int(after.adversary) == 1
    for one, other in zip(
        jax.tree.leaves(plain.updates), jax.tree.leaves(sent.updates), strict=True
    ):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_allclose(one[1] + 1, other[1], rtol=1e-6)


def test_an_active_adversary_without_weight_is_a_passive_one(tmp_path):
    """Bit for bit the same scores; with weight another training."""
    passive = attacks.PropertyInference()
    given = experiment(
        attacks={
            "passive": passive,
            "none": attacks.ActivePropertyInference(of=passive, property_weight=0.0),
            "half": attacks.ActivePropertyInference(of=passive, property_weight=0.5),
        },
        record_confusion=True,
    )
    series: dict[str, list[Any]] = {}
    for row in rows_of(tmp_path, given):
        assert row["status"] == "ok"
        series.setdefault(row["attack"], []).append(row["score_series"])
        assert len(row["score_series"]) == len(row["true_series"]) == ROUNDS
    assert series["passive"] == series["none"]
    assert series["passive"] != series["half"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"protocol": FederatedSGD(num_participants=2)}, "observer='server'"),
        (
            {
                "protocol": FederatedAveraging(
                    num_participants=2, observer="participant", local_steps=2
                )
            },
            "one local step",
        ),
    ],
)
def test_an_active_adversary_takes_part_in_single_steps(tmp_path, changes, words):
    active = {"active": attacks.ActivePropertyInference()}
    with pytest.raises(ValueError, match=words):
        rows_of(tmp_path, experiment(attacks=active, **changes))


def found_by(tmp_path, given: data.Dataset, fraction: float = 1.0) -> list[float]:
    """The AUC of property inference in four trainings of eighty rounds."""
    target = dataclasses.replace(TARGET, fraction=fraction)
    horizontal = Horizontal(target=target, auxiliary_from="participant")
    rows = rows_of(
        tmp_path,
        experiment(
            data=Data(dataset=given, horizontal=horizontal),
            attacks={"ridge": attacks.PropertyInference()},
            training=Training(
                steps=80, batch_size=None, optimizer="sgd", learning_rate=0.1
            ),
            num_trials=4,
        ),
    )
    return [row["auc"] for row in rows]


def with_feature(size: float) -> data.Dataset:
    """Samples of the property have a feature of that size, others none."""
    plain = dataset()
    features = plain.train_features.copy()
    features[:, 2] = size * (plain.train_properties["quarter"] == 1)
    return dataclasses.replace(plain, train_features=features)


def test_a_property_that_moves_gradients_is_found_and_more_of_it_sooner(tmp_path):
    shares = (1.0, 0.5, 0.25)
    pure, half, quarter = (
        np.mean(found_by(tmp_path / str(share), with_feature(3.0), share))
        for share in shares
    )
    assert pure > 0.95
    assert pure >= half >= quarter > 0.55


def test_a_property_that_means_nothing_is_not_found(tmp_path):
    """Truth and features are independent.

    The samples of the target are few, so that by chance they may look like those of the
    adversary or not: with fifteen each an AUC strays from one half by some .1.
    """
    nothing = with_feature(0.0)
    column = np.random.default_rng(1).permutation(nothing.train_properties["quarter"])
    shuffled = dataclasses.replace(nothing, train_properties={"quarter": column})
    assert abs(np.mean(found_by(tmp_path, shuffled)) - 0.5) < 0.15


@dataclasses.dataclass(frozen=True, kw_only=True)
class OnHost(Watcher):
    """Says on how many devices what it is given lies."""

    runs_on_host = True

    def __call__(self, key, view, known=NOTHING):
        devices = {len(leaf.devices()) for leaf in jax.tree.leaves((key, view, known))}
        scores = jnp.full(ROUNDS, float(max(devices)))
        return attacks.RoundInference(scores, jnp.nan * scores, jnp.array(True))


def test_attacks_on_the_host_are_given_arrays_of_one_device(tmp_path):
    """Operations on arrays of several devices may wait for each other for ever."""
    assert jax.device_count() == 2
    rows = rows_of(tmp_path, experiment(attacks={"host": OnHost()}))
    assert [row["scores"] for row in rows] == [[1.0] * ROUNDS] * 2


@pytest.mark.parametrize(
    ("number", "words"), [(1, "of 1 have it"), (1000, "at most 60")]
)
def test_the_adversary_needs_samples_of_both_kinds(tmp_path, number, words):
    horizontal = Horizontal(
        target=TARGET, auxiliary_from="participant", auxiliary_samples=number
    )
    given = Data(dataset=dataset(), horizontal=horizontal)
    with pytest.raises(ValueError, match=f"auxiliary_samples={number}.*{words}"):
        rows_of(tmp_path, experiment(data=given))


def test_some_samples_of_the_adversary_are_of_both_kinds(tmp_path):
    """Rows of a participant are sorted by the property; a part is drawn of all."""
    horizontal = Horizontal(
        target=TARGET, auxiliary_from="participant", auxiliary_samples=20
    )
    given = Data(dataset=dataset(), horizontal=horizontal)
    watchers = {"share": Watcher(of="share"), "samples": Watcher(of="samples")}
    rows = rows_of(tmp_path, experiment(data=given, attacks=watchers))
    found = {row["attack"]: row["scores"][0] for row in rows}
    assert found["samples"] == 20
    assert 0 < found["share"] < 1


def test_simulations_give_participants_the_shares_of_the_round(tmp_path):
    """Target and adversary hold twice as much as others where most have the property.

    Of three participants with 60, 30 and 60 samples an adversary sees two thirds of the
    target and one third of the other.
    """
    seen = []

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Shares(attacks.Reader):
        uses = ("auxiliary_features", "auxiliary_labels", "simulate")

        def __call__(self, key, view, known=NOTHING):
            features = jnp.asarray(known.auxiliary_features)
            labels = jnp.asarray(known.auxiliary_labels)
            size = view.batch_size // view.num_participants
            own = jnp.arange(view.batch_size) < size
            own_samples = features, labels
            other = jnp.argmax(labels != labels[0])
            keys = jax.random.split(key, 3)

            def of(key, rows):
                update = known.simulate(
                    key, *(jnp.stack([x[rows]] * 2) for x in own_samples)
                )
                return head_of(update, "output")[1][0]

            low = of(keys[0], jnp.zeros(len(own), int))
            high = of(keys[1], jnp.full(len(own), other))
            between = of(keys[2], jnp.where(own, other, 0))
            return {"seen": (between - low) / (high - low)}

    target = dataclasses.replace(TARGET, values=(0, 1, 2))
    protocol = FederatedAveraging(
        num_participants=3, observer="participant", local_steps=2
    )
    given = experiment(
        target=target,
        protocol=protocol,
        attacks={"shares": _watcher_with(Shares())},
    )
    for row in rows_of(tmp_path, given):
        seen.extend(row["scores"])
    held = data.partition_with_property(target.codes(dataset()), 3, given.seed)
    counts = held.partition.counts
    expected = counts[0] / (counts[0] + counts[1])
    assert expected > 0.6
    np.testing.assert_allclose(seen, expected, rtol=1e-3)


def _watcher_with(reader):
    """An attack that answers with what another reader kept."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Other(Watcher):
        pass

    Other.reader = reader
    return Other()


def test_shares_of_a_round():
    """Equal ones of gradients, those of the data after local steps, none too early."""
    late = dataclasses.replace(TARGET, joins_at=3)
    weights = jnp.array([0.5, 0.2, 0.3])
    for num_steps, before, after in (
        (1, [0, 0.5, 0.5], [1 / 3, 1 / 3, 1 / 3]),
        (4, [0, 0.4, 0.6], [0.5, 0.2, 0.3]),
    ):
        shares = shares_for(late, num_steps)
        np.testing.assert_allclose(shares(2, weights), before, atol=1e-6)
        np.testing.assert_allclose(shares(3, weights), after, atol=1e-6)
