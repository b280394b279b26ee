"""Backdoors in a sweep: rows, one program for all amplifications, who is marked."""

import dataclasses
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import attacks, data
from vfljax.attacks import DirectInference, LabelFlip, LabelReplacement, LinearRecovery
from vfljax.defenses import Sparsification
from vfljax.experiments import Data, Experiment, Training, read_run, run_sweep, trial
from vfljax.experiments.programs import Programs
from vfljax.experiments.rows import make_rows
from vfljax.experiments.task import Task, check_fits, load_arrays
from vfljax.experiments.trial import Answer, make_victim
from vfljax.experiments.world import Cell, Observation, Setting
from vfljax.known import NOTHING
from vfljax.models import MLP
from vfljax.protocol import ModelSplitting

# The leftmost pixels of scikit-learn's digits, of 8 x 8, are always dark.
CORNER = data.Trigger([(7, 0), (6, 0), (5, 0)], [(1.0,)] * 3)
SMALL: dict[str, Any] = {
    "trigger": "corner",
    "num_poisoned": 40,
    "num_poisoned_test": 100,
}


def make_setting():
    return Experiment(
        name="backdoor",
        data=Data(adversary=1, label_party=0),
        model=MLP(hidden=(16,)),
        training=Training(
            steps=2500, batch_size=32, optimizer="sgd", learning_rate=0.05
        ),
        batch_sizes=(32,),
        attacks={
            "linear": LinearRecovery(solver="cg", iterations=60),
            "clean": LabelReplacement(**{**SMALL, "num_poisoned": 0}),
            "idle": LabelReplacement(**SMALL, amplification=0.0),
            "strong": LabelReplacement(**SMALL, amplification=10.0),
            "hidden": LabelReplacement(
                **SMALL, amplification=10.0, num_targets=1, is_stealthy=True
            ),
            "flip": LabelFlip(
                **SMALL,
                of=LinearRecovery(solver="cg", iterations=60),
                amplification=1.0,
            ),
        },
        num_trials=2,
    )


@pytest.fixture(scope="module", autouse=True)
def corner():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "TRIGGERS", {**data.TRIGGERS, "corner": CORNER})
        yield


@pytest.fixture(scope="module")
def setting(corner):
    """Built when the trigger is known."""
    return make_setting()


@pytest.fixture(scope="module")
def finished(setting, digits, tmp_path_factory):
    """The rows, and the names of the programs that were compiled."""
    made = []
    program = Programs._program

    def counting(self, name, make, inputs, **options):
        def counted():
            made.append(name)
            return make()

        return program(self, name, counted, inputs, **options)

    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Programs, "_program", counting)
        list(run_sweep(setting, digits, folder))
    return read_run(folder).rows, made


def rows_of(finished, attack):
    rows = [row for row in finished[0] if row["attack"] == attack]
    assert len(rows) == 2
    return rows


def mean(finished, attack, field):
    return np.mean([row[field] for row in rows_of(finished, attack)])


@pytest.mark.parametrize("attack", ["strong", "hidden", "flip"])
def test_the_trigger_leads_to_the_target_class(attack, finished):
    assert mean(finished, attack, "attack_accuracy") >= 0.4
    assert mean(finished, attack, "chance_accuracy") <= 0.05


def test_stealth_and_a_single_target_change_the_training(finished):
    """Random numbers really go out in place of the poisoned sample's embedding."""
    hidden, strong = (rows_of(finished, attack)[0] for attack in ("hidden", "strong"))
    assert hidden["knowledge"] == "1 sample of the target class"
    assert hidden["main_accuracy"] != strong["main_accuracy"]


def test_three_of_four_parties_plant_a_backdoor_together(setting, digits, monkeypatch):
    """One dark pixel each; with nobody's trigger set, nothing happens."""
    pixels = data.Trigger([(0, 7), (7, 0), (7, 7)], [(1.0,)] * 3)
    monkeypatch.setattr(data, "TRIGGERS", {**data.TRIGGERS, "corners": pixels})
    spec = LabelReplacement(
        **{**SMALL, "trigger": "corners"}, adversaries="all", amplification=10.0
    )
    together = replace(
        setting,
        data=Data(split="quadrants", num_parties=4, adversary=3, label_party=0),
        attacks={"b": spec},
    )
    check_fits(Task(together, digits, 10))
    arrays = arrays_of(together, digits, "b")
    setting_of_none = Setting(jnp.zeros(2), jnp.zeros(2, int))
    one = make_victim(together, Cell(10, 32, "none"), [spec])
    planted = jax.jit(jax.vmap(one, in_axes=(0, 0, None)))(
        jax.random.split(jax.random.key(0), 2),
        (setting_of_none, {"amplification": jnp.full(2, 10.0)}),
        arrays,
    ).seen(spec)
    target = planted.facts["target"][:, None]
    decided = jnp.argmax(planted.views["predictions"].logits, axis=2)
    is_other = planted.truth != target
    led = (decided == target) & is_other
    led_without = (planted.facts["without"] == target) & is_other
    assert led.sum() >= 0.4 * is_other.sum()
    assert led_without.sum() <= 0.1 * is_other.sum()


def test_the_main_task_hardly_suffers_from_replacement(finished):
    """From flips it does here: parties pull few samples in two ways many times."""
    clean = mean(finished, "clean", "main_accuracy")
    assert clean >= 0.95
    assert mean(finished, "strong", "main_accuracy") >= clean - 0.2


def test_without_amplification_nothing_is_planted(finished):
    for attack in ("clean", "idle"):
        assert mean(finished, attack, "attack_accuracy") <= 0.05


def test_rows_say_what_they_are(finished):
    row = rows_of(finished, "strong")[0]
    assert row["view"] == "message_rows"
    assert row["amplification"] == 10.0
    assert row["train_step"] == 2500
    assert row["knowledge"] == "10 samples of the target class"
    assert row.get("inferred_accuracy") is None
    assert mean(finished, "flip", "inferred_accuracy") >= 0.9


def test_samples_of_the_target_class_count_as_published_alone(setting):
    """Target 2; the last two samples are of it, one of the other three is led there."""
    labels = jnp.array([[2, 0, 1, 2, 2]])
    inference = attacks.Inference(
        labels=labels,
        scores=jax.nn.one_hot(labels, 3),
        finite=jnp.array([True]),
        published_labels=None,
        info=(),
    )
    seen = Observation(
        views={},
        rows=(),
        truth=jnp.array([[0, 0, 1, 2, 2]]),
        public=NOTHING,
        is_unprotected=jnp.array([False]),
        facts={
            "target": jnp.array([2]),
            "without": jnp.array([[0, 2, 2, 2, 2]]),
            "poisoned": jnp.array([[0]]),
        },
    )
    (row,) = make_rows(
        setting,
        Cell(10, 32, "none"),
        [(None, 7)],
        "strong",
        2500,
        jax.device_get(Answer(inference, jnp.zeros((1, 5), bool), ())),
        jax.device_get(seen),
        {"main_accuracy": np.array([0.75]), "trained": np.array([True])},
        train_labels=np.zeros(40, int),
        test_labels=np.zeros(5, int),
    )
    assert row["attack_accuracy"] == pytest.approx(1 / 3)
    assert row["published_accuracy"] == pytest.approx(3 / 5)
    assert row["chance_accuracy"] == pytest.approx(2 / 3)
    assert (row["main_accuracy"], row["trial"], row["status"]) == (0.75, 7, "ok")


def test_one_program_for_all_amplifications(finished):
    """Of victims: honest, clean, replacement, the hidden one, flip."""
    victims = [name for name in finished[1] if isinstance(name[0], Cell)]
    of_attacks = [type(name[1]) for name in victims if name[1] is not None]
    assert of_attacks.count(LabelReplacement) == 3
    assert of_attacks.count(LabelFlip) == 1


def test_nothing_poisoned_is_the_clean_training_bit_for_bit(
    setting, digits, monkeypatch
):
    """Every weight of every party after 2,500 steps."""
    monkeypatch.setattr(trial, "main_task", lambda start, state: {"all": state.params})
    arrays, cell = arrays_of(setting, digits, "clean"), Cell(10, 32, "none")
    nothing = Setting(jnp.zeros(()), jnp.zeros((), int))

    def weights(label, numbers):
        victim = make_victim(setting, cell, [setting.attacks[label]])
        trained = jax.jit(victim)(jax.random.key(4), (nothing, numbers), arrays)
        return trained.main["all"]

    backdoored = weights("clean", {"amplification": jnp.array(10.0)})
    chex.assert_trees_all_equal(backdoored, weights("linear", {}))


def test_a_defense_with_a_memory_of_rows_has_room_for_the_pair(setting, digits):
    """Batches of 34; keeping everything is no defense."""
    defended = replace(
        setting,
        training=Training(steps=3, batch_size=32),
        defenses={"all": Sparsification(keep_fraction=(1.0,), residual="by_row")},
    )
    arrays = arrays_of(defended, digits, "strong")
    everything = Setting(jnp.ones(()), jnp.zeros((), int))
    victim = make_victim(defended, Cell(10, 32, "all"), [defended.attacks["strong"]])
    backdoored = jax.jit(victim)(
        jax.random.key(4), (everything, {"amplification": jnp.array(10.0)}), arrays
    )
    assert backdoored.main["trained"]


def arrays_of(setting, digits, label):
    task = Task(setting, digits, 10)
    prepared = jax.tree.map(jnp.asarray, setting.attacks[label].prepare(task))
    return load_arrays(task)._replace(of_attack=prepared)


def changed(setting, **changes):
    spec = LabelReplacement(**{**SMALL, **changes})
    return lambda digits: check_fits(
        Task(replace(setting, attacks={"b": spec}), digits, 10)
    )


def replace(setting, **changes):
    return dataclasses.replace(setting, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trigger": "mnist"}, r"attacks.b.trigger='mnist': trigger has \(25, 27\)"),
        ({"target_class": 10}, "attacks.b.target_class=10: must be below 10"),
        ({"num_poisoned": 1430}, "attacks.b.num_poisoned=1430: must be at most"),
        ({"num_poisoned_test": 999}, "attacks.b.num_poisoned_test=999: must be at mo"),
        ({"num_targets": 130}, "attacks.b.num_targets=130: must be at most"),
    ],
)
def test_what_does_not_fit(changes, message, setting, digits):
    with pytest.raises(ValueError, match=message):
        changed(setting, **changes)(digits)


def test_the_trigger_must_be_the_adversarys(setting, digits):
    turned = replace(
        setting,
        data=Data(adversary=0, label_party=1),
        attacks={"b": LabelReplacement(**SMALL)},
    )
    with pytest.raises(ValueError, match=r"lies in the features of parties \[1\]"):
        check_fits(Task(turned, digits, 10))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training": Training()}, "training.steps=0: must be >= 1 for attacks.b"),
        (
            {"protocol": ModelSplitting()},
            "attacks.b=LabelReplacement: must be one that needs no sum",
        ),
    ],
)
def test_what_can_not_be(changes, message, setting, digits):
    changes = {"attacks": {"b": LabelReplacement(**SMALL)}} | changes
    with pytest.raises(ValueError, match=message):
        check_fits(Task(replace(setting, **changes), digits, 10))


def test_a_flip_needs_an_attack_that_finds_classes():
    with pytest.raises(ValueError, match="of="):
        LabelFlip(of=LabelReplacement(**SMALL))
    assert LabelFlip(of=DirectInference()).of == DirectInference()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trigger": "dog"}, "trigger='dog': must be one of mnist"),
        ({"num_targets": 0}, r"num_targets=0: must be in \[1, inf\]"),
        ({"amplification": -1.0}, r"amplification=-1.0: must be in \[0, inf\]"),
        ({"num_poisoned": -1}, "num_poisoned=-1"),
        ({"num_poisoned_test": 0}, "num_poisoned_test=0"),
        ({"batches": "all"}, "batches='all'"),
        ({"adversaries": "some"}, "adversaries='some'"),
        ({"target_class": -1}, "target_class=-1"),
    ],
)
def test_ranges(changes, message, unchecked_types):
    with pytest.raises(ValueError, match=message):
        LabelReplacement(**changes)
