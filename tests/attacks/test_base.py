"""Records: what they know, on what they stand, where they fit, and what is none."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import attacks, defenses, protocol
from vfljax.attacks import NOTHING, Known
from vfljax.goals import LABELS
from vfljax.known import WithheldError

METHODS: Any = attacks  # for options of wrong types
NOTHING_TO_SEE: Any = dict.fromkeys(protocol.Scene._fields)
SCENE = protocol.Scene(**NOTHING_TO_SEE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Constant(attacks.Attack):
    """Always names one class."""

    label: int = 0
    """Class that is named."""
    sees = protocol.SampleGradientView
    uses = ("codebook",)

    def __call__(self, key, view, known=NOTHING):
        scores = jnp.zeros((len(view.features), view.num_classes))
        return attacks.inference_from_scores(scores.at[:, self.label].set(1.0))


def make_task(**changes):
    """What attacks ask about an experiment."""
    fields = {
        "training": SimpleNamespace(optimizer="adam"),
        "same_samples": True,
        "train_steps": (0, 5),
    }
    return SimpleNamespace(
        experiment=SimpleNamespace(**(fields | changes)),
        class_counts=np.array([9, 5, 7]),
    )


def test_an_attack_of_ones_own_needs_three_lines():
    attack = Constant(label=2)
    attacks.check_attack("attacks.mine", attack)
    assert (attack.goal, attack.victim, attack.facts, attack.source) == (
        LABELS,
        None,
        (),
        None,
    )
    assert attack.interferes(jax.random.key(0), SCENE) == protocol.HONEST
    assert attack.fits(make_task()) is None
    assert attack.prepare(make_task()) == ()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (
            Constant,
            r"attacks\.x: is the class Constant, must be an instance: Constant\(\)",
        ),
        (lambda view: view, "attacks.x: is the function '<lambda>', must be a record"),
        (defenses.NoDefense(), r"attacks\.x: is a defense, .*; defenses stand in"),
        (3, "attacks.x: is 3, must be an instance of vfljax.attacks.Attack"),
        (attacks.Attack(), "attacks.x: Attack has no `sees`"),
    ],
)
def test_what_is_no_attack(value, words):
    with pytest.raises(ValueError, match=words):
        attacks.check_attack("attacks.x", value)


def test_a_field_that_does_not_exist_can_not_be_used():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Wrong(Constant):
        """Uses what nobody knows."""

        uses = ("label",)

    with pytest.raises(ValueError, match=r"Wrong\.uses has 'label', must be of labels"):
        attacks.check_attack("attacks.x", Wrong())


def test_an_attack_without_a_call():
    with pytest.raises(NotImplementedError, match="Attack has no __call__"):
        attacks.Attack()(jax.random.key(0), None)


def test_what_is_not_known_is_withheld():
    known = Known(noise_std=0.1, keeps_zero_sum=False)
    assert known.noise_std == 0.1
    assert known.get("labels") is None
    assert set(known) == {"noise_std", "keeps_zero_sum"}
    with pytest.raises(
        WithheldError, match=r"Known.codebook: withheld, only noise_std"
    ):
        known.codebook  # noqa: B018
    with pytest.raises(WithheldError, match="only nothing is known"):
        known.only(()).noise_std  # noqa: B018
    assert known.replace(noise_std=0.2).noise_std == 0.2
    with pytest.raises(ValueError, match="Known: has no field 'noise'"):
        Known(noise=0.1)


def test_what_is_known_is_a_tree_with_facts_beside_it():
    known = Known(noise_std=jnp.array(0.1), drops_entries=True, labels=jnp.arange(3))
    assert len(jax.tree.leaves(known)) == 2
    same = jax.tree.map(lambda leaf: leaf, known)
    chex.assert_trees_all_equal(same, known)
    assert same.drops_entries is True

    def run(known):
        return known.noise_std * 2 if known.drops_entries else known.noise_std

    assert jax.jit(run)(known) == pytest.approx(0.2)
    assert jax.jit(run)(known.replace(drops_entries=False)) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("of", "sees", "uses"),
    [
        (attacks.LinearRecovery(), protocol.BatchGradientView, ("keeps_zero_sum",)),
        (attacks.DirectInference(), protocol.SampleGradientView, ()),
        (
            attacks.NoiseAwareRecovery(),
            protocol.BatchGradientView,
            ("noise_std", "keep_fraction", "drops_entries"),
        ),
    ],
)
def test_an_attack_on_an_attack_sees_what_that_one_sees(of, sees, uses):
    for method, own in (
        (attacks.ClusterMatching, ("labels",)),
        (attacks.MessageSmoothing, ("noise_std",)),
        (attacks.KnownEncoder, ("codebook", "noise_std")),
    ):
        attack = method(of=of)
        assert attack.sees is sees
        assert set(attack.uses) == {*uses, *own}
        assert len(set(attack.uses)) == len(attack.uses)
        assert attack.source == (attack if attack.recovers_messages else of)
        assert attack.is_adaptive
    combined = attacks.RepeatedObservation(of=of)
    assert combined.sees is sees
    assert combined.builds_on == of
    assert combined.uses == ("earlier", "noise_std", "labels")


def test_attacks_stack_three_high(make_exchange):
    """Clusters of smoothed messages: the same as by hand."""
    exchange = make_exchange(batch=12)
    view, known = exchange.sample, Known(noise_std=0.2, labels=exchange.truth)
    smoothing = attacks.MessageSmoothing(of=attacks.DirectInference())
    stacked = attacks.ClusterMatching(of=smoothing)(jax.random.key(3), view, known)
    smoothed = smoothing(jax.random.key(0), view, known).scores
    by_hand = attacks.cluster_matching(jax.random.key(3), view, smoothed, known.labels)
    np.testing.assert_allclose(stacked.scores, by_hand.scores, atol=1e-5)


def test_what_they_say_they_know():
    assert attacks.ClusterMatching().knowledge == "1 known label per class"
    assert (
        attacks.ClusterMatching(named_per_class=0).knowledge
        == "that labels are encoded"
    )
    assert attacks.DirectionScoring(named_per_class=2).knowledge == (
        "2 known labels per class"
    )
    assert attacks.RepeatedObservation(named_per_class=1).knowledge == (
        "earlier messages about the same samples, the noise scale, "
        "1 known label per class"
    )
    assert attacks.LabelReplacement(num_targets=1).knowledge == (
        "1 sample of the target class"
    )
    share = attacks.ModelCompletion(known_per_class=0.01)
    assert share.knowledge == "1 known label in 1 % of the classes"
    assert attacks.ModelCompletion(known_per_class=40).knowledge == (
        "40 known labels per class"
    )


def test_families_and_victims_of_completion():
    """Attacks that train with one optimizer share a trained model."""
    made = {
        optimizer: METHODS.ModelCompletion(optimizer=optimizer)
        for optimizer in ("benign", "malicious", "all_malicious")
    }
    families = [attack.family for attack in made.values()]
    assert families == ["passive", "active", "active (everybody)"]
    tuned = attacks.ModelCompletion(finetune_bottom=True)
    assert tuned.family == "passive (fine-tuned)"
    assert attacks.ModelCompletion(mix="feature").family == "passive (features mixed)"
    assert attacks.DirectSemiSupervised().family == "direct"
    victims = [attack.victim for attack in made.values()]
    assert victims[0] is tuned.victim is attacks.DirectSemiSupervised().victim is None
    assert len(set(victims)) == 3
    for optimizer, attack in made.items():
        assert attack.interferes(jax.random.key(0), SCENE).optimizer == optimizer
        assert (
            attack.victim
            == METHODS.ModelCompletion(optimizer=optimizer, epochs=3).victim
        )


@pytest.mark.parametrize(
    ("attack", "changes", "reason"),
    [
        (
            attacks.RepeatedObservation(),
            {"same_samples": False},
            "of: combines observations, same_samples=False must be True",
        ),
        (
            attacks.RepeatedObservation(),
            {"train_steps": (5, 0)},
            "of: looks back, train_steps=(5, 0) must be in ascending order",
        ),
        (
            attacks.ModelCompletion(optimizer="malicious"),
            {},
            (
                "optimizer='malicious': must be 'benign' unless training.optimizer is "
                "'sgd', which it replaces"
            ),
        ),
        (
            attacks.ModelCompletion(known_per_class=5),
            {},
            "known_per_class=5: must be less than 5, the samples of the rarest class",
        ),
    ],
)
def test_what_does_not_fit(attack, changes, reason):
    assert attack.fits(make_task(**changes)) == reason


def test_what_fits():
    sgd = SimpleNamespace(optimizer="sgd")
    active = attacks.ModelCompletion(optimizer="malicious")
    assert active.fits(make_task(training=sgd)) is None
    assert attacks.DirectSemiSupervised().fits(make_task()) is None
    assert attacks.RepeatedObservation().fits(make_task()) is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: METHODS.LinearRecovery(solver="qr"),
            "solver='qr': must be one of auto",
        ),
        (lambda: METHODS.LinearRecovery(iterations=0), r"iterations=0: must be in \[1"),
        (
            lambda: METHODS.LinearRecovery(tolerance=1.0),
            r"tolerance=1.0: must be in \[0",
        ),
        (lambda: METHODS.GradientInversion(steps=0), r"steps=0: must be in \[1"),
        (
            lambda: METHODS.GradientInversion(learning_rate=0.0),
            r"learning_rate=0.0: must be in \(0",
        ),
        (
            lambda: METHODS.NoiseAwareRecovery(reweightings=-1),
            r"reweightings=-1: must be in \[0",
        ),
        (
            lambda: METHODS.ClusterMatching(named_per_class=-1),
            r"named_per_class=-1: must be in \[0",
        ),
        (lambda: METHODS.ClusterMatching(restarts=0), r"restarts=0: must be in \[1"),
        (
            lambda: METHODS.ClusterMatching(of=attacks.OwnPrediction()),
            "of=OwnPrediction.*: must be an attack that recovers messages",
        ),
        (
            lambda: METHODS.RepeatedObservation(of=attacks.ClusterMatching()),
            "of=ClusterMatching.*: must be an attack that recovers messages",
        ),
        (
            lambda: METHODS.DirectionScoring(named_per_class=0),
            r"named_per_class=0: must be in \[1",
        ),
        (lambda: METHODS.DirectionScoring(product="dot"), "product='dot': must be one"),
        (
            lambda: METHODS.ModelCompletion(known_per_class=1.5),
            "known_per_class=1.5: must be a whole number, or below 1",
        ),
        (
            lambda: METHODS.ModelCompletion(known_per_class=0),
            "known_per_class=0: must be > 0",
        ),
        (lambda: METHODS.ModelCompletion(epochs=0), r"epochs=0: must be in \[1"),
        (
            lambda: METHODS.ModelCompletion(batch_size=3),
            "batch_size=3: must be an even",
        ),
        (
            lambda: METHODS.ModelCompletion(ema_decay=1.0),
            r"ema_decay=1.0: must be in \[0, 1\)",
        ),
        (
            lambda: METHODS.ModelCompletion(optimizer="evil"),
            "optimizer='evil': must be one of benign",
        ),
        (
            lambda: METHODS.ModelCompletion(mix="feature", finetune_bottom=True),
            "mix='feature': must be 'input' where finetune_bottom=True",
        ),
    ],
)
@pytest.mark.usefixtures("unchecked_types")
def test_bad_options(make, message):
    with pytest.raises(ValueError, match=message):
        make()
