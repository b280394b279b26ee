"""One's own attack, defense, network and data set, in a sweep and by command line.

Each gives an answer that is known beforehand.
"""

import dataclasses
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import data, overrides
from vfljax.attacks import NOTHING, Attack, ModelCompletion, inference_from_scores
from vfljax.defenses import Defense, NoDefense
from vfljax.experiments import Data, Experiment, Training
from vfljax.models import PartyModel
from vfljax.protocol import (
    Interference,
    ModelSplitting,
    PredictionView,
    SampleGradientView,
)

Number = int | float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shifted(Attack):
    """Names the class that many places after the right one."""

    places: Number = 0
    """How many places."""
    sees = SampleGradientView
    traced = ("places",)

    def __call__(self, key, view, known=NOTHING):
        found = jnp.argmin(view.gradients, axis=1) + self.places
        classes = found.astype(int) % view.num_classes
        return inference_from_scores(jax.nn.one_hot(classes, view.num_classes))


@dataclasses.dataclass(frozen=True, kw_only=True)
class AsksModel(Attack):
    """Takes what the trained model says of test samples for their labels."""

    sees = PredictionView

    def __call__(self, key, view, known=NOTHING):
        return inference_from_scores(view.logits)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AlwaysTheSame(Shifted):
    """Lets the parties train on some of the samples, over and over."""

    num_samples: int = 32
    """How many."""

    def interferes(self, key, scene):
        chosen = jax.random.permutation(key, scene.num_samples)[: self.num_samples]
        return Interference(
            batches=lambda key, size, steps: jax.random.choice(
                key, chosen, (steps, size)
            )
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mute(Defense):
    """Sends a multiple of the message, or nothing for a share of 0."""

    share: Number | tuple[Number, ...] = (0.0, 1.0)
    """The multiple; several are swept."""

    def perturb(self, key, state, gradients, labels, sample_ids):
        return jnp.asarray(self.share) * gradients, state


def _init(key, features):
    width = features[0].size
    return jax.random.normal(key, (width, 3)) / jnp.sqrt(width)


def _apply(weights, features):
    return features.reshape(len(features), -1) @ weights


def blobs(seed=0, num_rows=300):
    """Three classes, around corners that lie far apart."""
    rng = np.random.default_rng(seed)
    labels = np.arange(num_rows) % 3
    features = 4 * np.eye(3)[labels].repeat(2, axis=1) + rng.normal(size=(num_rows, 6))
    return data.from_arrays(features.astype(np.float32), labels, name="blobs")


def experiment(**changes) -> Experiment:
    settings: dict[str, Any] = {
        "name": "own",
        "data": Data(dataset=blobs(), split="features"),
        "model": PartyModel(init=_init, apply=_apply),
        "training": Training(steps=40, batch_size=32, learning_rate=0.05),
        "batch_sizes": (24,),
        "defenses": {"none": NoDefense(), "mute": Mute()},
        "attacks": {"right": Shifted(), "wrong": Shifted(places=1)},
        "num_trials": 2,
    }
    return Experiment(**(settings | changes))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, run_rows, watch_programs):
    folder = tmp_path_factory.mktemp("own")
    with watch_programs() as made:
        rows = run_rows(experiment(), blobs(), folder)
    return rows, made, folder


def rates(rows, attack, column="attack_accuracy"):
    return {
        row["defense_strength"]: row[column] for row in rows if row["attack"] == attack
    }


def test_all_four_run_and_say_what_they_are(finished):
    rows, _, folder = finished
    assert len(rows) == 2 * 3 * 2  # attacks, strengths with no defense, trials
    assert {row["dataset"] for row in rows} == {"blobs"}
    assert {row["strength_name"] for row in rows} == {None, "share"}
    assert {row["places"] for row in rows} == {0, 1}
    assert {row["status"] for row in rows} == {"ok"}
    right, wrong = rates(rows, "right"), rates(rows, "wrong")
    assert (right[None], right[1.0]) == (1.0, 1.0)
    assert (wrong[None], wrong[1.0]) == (0.0, 0.0)
    assert right[0.0] < 0.6  # nothing was sent: always class 0
    assert rates(rows, "right", "main_accuracy")[None] > 0.9
    config = json.loads((folder / "config.json").read_text())
    source = config["attacks"]["wrong"]["source_sha256"]
    of_source = {"source_sha256": source}  # both are written in this file
    expected = {"kind": "Shifted", "places": 1} | of_source
    assert config["attacks"]["wrong"] == expected
    expected = {"kind": "Mute", "share": [0.0, 1.0]} | of_source
    assert config["defenses"]["mute"] == expected
    assert config["model"]["kind"] == "PartyModel"
    assert config["model"]["apply"].endswith(f"._apply (source_sha256 {source})")
    assert config["data"]["dataset"]["name"] == "blobs"


def test_attacks_that_differ_in_a_traced_number_share_a_program(finished):
    """One victim for each defense, one program for both attacks: they act apart."""
    (programs,) = finished[1]
    assert len(programs._compiled) == 2 + 1


def test_options_are_set_on_the_command_line(tmp_path, run_rows):
    arguments = ["--attacks.wrong.places", "2", "--defenses.mute.share", "0.5", "1"]
    changed = overrides.override(experiment(), [*arguments, "--num-trials", "1"])
    assert changed.attacks["wrong"] == Shifted(places=2)
    assert changed.defenses["mute"] == Mute(share=(0.5, 1))
    assert isinstance(changed.data.dataset, data.Dataset)
    rows = run_rows(changed, blobs(), tmp_path)
    assert rates(rows, "wrong") == {None: 0.0, 0.5: 0.0, 1.0: 0.0}
    with pytest.raises(overrides.OverrideError, match=r"--attacks\.wrong\.places"):
        overrides.override(experiment(), ["--attacks.wrong.plases", "2"])


def test_several_views_of_one_trained_model(tmp_path, run_rows, watch_programs):
    """One attack asks the model, one completes the adversary's part of it."""
    setting = experiment(
        model=PartyModel(init=_init, apply=_apply),
        protocol=ModelSplitting(),
        attacks={
            "asks": AsksModel(),
            "completes": ModelCompletion(
                known_per_class=2, epochs=1, steps_per_epoch=4, batch_size=4
            ),
        },
        defenses={"none": NoDefense()},
        num_trials=1,
    )
    with watch_programs() as made:
        asks, completes = run_rows(setting, blobs(), tmp_path)
    assert (asks["view"], completes["view"]) == ("predictions", "trained_model")
    assert asks["attack_accuracy"] == pytest.approx(asks["main_accuracy"])
    assert asks["main_accuracy"] == completes["main_accuracy"]
    assert len(made[0]._compiled) == 1 + 2  # one trained model


def test_an_attack_that_interferes_has_a_training_of_its_own(
    tmp_path, run_rows, watch_victims
):
    """Its batches and what is looked at are drawn apart; others stay as they are."""
    setting = experiment(
        attacks={"right": Shifted(), "same": AlwaysTheSame(num_samples=3)},
        defenses={"none": NoDefense()},
    )
    with watch_victims() as victims:
        rows = run_rows(setting, blobs(), tmp_path)
    alone = run_rows(
        dataclasses.replace(setting, attacks={"right": Shifted()}),
        blobs(),
        tmp_path / "alone",
    )
    honest = [row["main_accuracy"] for row in rows if row["attack"] == "right"]
    assert honest == [row["main_accuracy"] for row in alone]
    assert len(victims) == 2
    first, second = (np.asarray(victim.at_steps[0].rows) for victim in victims)
    assert not np.array_equal(first, second)
    assert rates(rows, "same")[None] == 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Returns(Attack):
    """Answers with something that is no answer."""

    what: str = ""
    sees = SampleGradientView

    def __call__(self, key, view, known=NOTHING) -> Any:
        gradients = view.gradients
        if self.what == "withheld":
            return known.labels
        answers = {
            "array": gradients,
            "some": inference_from_scores(-gradients[:5]),
            "scores": inference_from_scores(-gradients),
        }
        return answers[self.what]


@dataclasses.dataclass(frozen=True, kw_only=True)
class OnlyMessage(Defense):
    """Forgets its state."""

    def perturb(self, key, state, gradients, labels, sample_ids) -> Any:
        return gradients


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"attacks": {"a": Returns(what="array")}},
            "Returns.__call__: returned .*must",
        ),
        ({"attacks": {"a": Returns(what="some")}}, r"answer=\(5,\): must be \(24,\)"),
        (
            {"attacks": {"a": Returns(what="withheld")}},
            r"Returns.uses=\(\): Known.labels",
        ),
        ({"defenses": {"d": OnlyMessage()}}, "OnlyMessage.perturb returned"),
        (
            {"model": PartyModel(init=_init, apply=lambda w, x: _apply(w, x)[:, :2])},
            r"model: shape of its embedding=\(2, 2\): must be \(2, 3\)",
        ),
    ],
)
def test_what_ones_own_returns_is_checked_by_name(fields, message, tmp_path, run_rows):
    with pytest.raises(ValueError, match=message):
        run_rows(experiment(**fields), blobs(), tmp_path)
