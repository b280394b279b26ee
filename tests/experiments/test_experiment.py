"""Experiments are checked when they are built."""

import ast
import dataclasses
import re
from pathlib import Path

import pytest

import vfljax
from vfljax import attacks, data, defenses, models, protocol
from vfljax.attacks import (
    ClusterMatching,
    DirectInference,
    DirectionScoring,
    EntryFiltering,
    GradientInversion,
    KnownEncoder,
    LabelReplacement,
    LinearRecovery,
    MessageSmoothing,
    ModelCompletion,
    NoiseAwareRecovery,
    NormScoring,
    OwnPrediction,
    RepeatedObservation,
)
from vfljax.defenses import (
    CAE,
    PPDL,
    Chain,
    DiscreteSGD,
    DPGaussian,
    DPLaplace,
    GradientCompression,
    Isotropic,
    Marvell,
    MaxNorm,
    Sparsification,
)
from vfljax.experiments import Data, Execution, Experiment, Training, Variant
from vfljax.experiments.task import Task, check_fits
from vfljax.models import MLP
from vfljax.protocol import BatchGradientView, ModelSplitting, SampleGradientView

INFINITE = float("inf")
READING = (MessageSmoothing, KnownEncoder, ClusterMatching, RepeatedObservation)
"""Attacks that read the messages of another."""


def own_attack(**of_class):
    """An attack of a user's own, with these class attributes."""
    base = {"sees": SampleGradientView, **of_class}
    return type("Own", (attacks.Attack,), base)()


pytestmark = pytest.mark.usefixtures("unchecked_types")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Data(num_parties=1), "data.num_parties=1: must be >= 2"),
        (lambda: Data(adversary=2), r"data.adversary=2: must be in \[-2, 1\]"),
        (lambda: Data(adversary=1), "another party than data.label_party"),
        (lambda: Data(adversary=-1), "another party than data.label_party"),
        (lambda: Data(columns=("0-3",)), r"data.columns=\('0-3',\): must be 2 or more"),
        (lambda: Training(momentum=0.9), "training.momentum=0.9: must be 0 unless"),
        (
            lambda: DPGaussian(noise_std=(float("inf"),)),
            "noise_std=inf: must be finite",
        ),
        (lambda: Data(class_counts=(2, 1)), "data.class_counts=1: must be >= 2"),
        (lambda: Data(class_counts=(2, 2)), "without repetitions"),
        (lambda: MLP(hidden=(0,)), "^hidden=0: must be >= 1"),
        (lambda: Training(steps=-1), "training.steps=-1"),
        (
            lambda: Training(learning_rate=0.0),
            "training.learning_rate=0.0: must be > 0",
        ),
        (
            lambda: Training(optimizer="sgd", momentum=1.0),
            r"training.momentum=1.0: must be in \[0, 1\)",
        ),
        (lambda: DPGaussian(noise_std=(-1.0,)), "noise_std=-1.0"),
        (lambda: DPLaplace(noise=()), r"noise=\(\): must be not empty"),
        (lambda: Sparsification(keep_fraction=(0.0,)), "keep_fraction=0.0"),
        (lambda: DiscreteSGD(bins=(0,)), "bins=0"),
        (lambda: DPLaplace(noise=(0.1, 0.1)), "without repetitions"),
        (lambda: GradientCompression(keep_fraction=(0.0,)), "keep_fraction=0.0"),
        (lambda: GradientCompression(keep_fraction=(1.5,)), "keep_fraction=1.5"),
        (lambda: GradientCompression(reading="zou"), "reading='zou'"),  # pyright: ignore
        (lambda: PPDL(release_fraction=(0.0,)), "release_fraction=0.0"),
        (lambda: PPDL(exhausted="half"), "exhausted='half'"),  # pyright: ignore
        (lambda: Marvell(power=(-1.0,)), "power=-1.0"),
        (lambda: MaxNorm(share=(-0.5,)), "share=-0.5"),
        (lambda: Isotropic(ratio=(-0.5,)), "ratio=-0.5"),
        (lambda: Isotropic(ratio=()), r"ratio=\(\): must be not empty"),
        (lambda: CAE(entropy_weight=()), r"entropy_weight=\(\): must be not empty"),
        (lambda: CAE(entropy_weight=(-0.1,)), "entropy_weight=-0.1: must be in "),
        *(
            (lambda weight=weight: CAE(entropy_weight=weight), "inf: must be finite")
            for weight in (INFINITE, (INFINITE,), (0.1, INFINITE))
        ),
        (lambda: CAE(entropy_weight=(1.0, 1.0)), "without repetitions"),
        (lambda: CAE(seeds=()), r"seeds=\(\): must be not empty"),
        (lambda: CAE(seeds=(-1,)), "seeds=-1: must be >= 0"),
        (lambda: CAE(seeds=(2, 2)), "without repetitions"),
        (lambda: CAE(num_epochs=0), "num_epochs=0: must be >= 1"),
        (lambda: CAE(loss="mine"), "loss='mine': must be one of released, printed"),  # pyright: ignore
        (lambda: Chain(CAE(), DiscreteSGD(bins=0)), "bins=0"),
        (lambda: Chain(CAE(), DiscreteSGD(bins=12, bound=0.0)), "bound=0.0"),
        (lambda: Chain(CAE(num_epochs=0), DiscreteSGD(bins=12)), "num_epochs=0"),
        (lambda: LinearRecovery(iterations=0), "iterations=0"),
        (lambda: LinearRecovery(tolerance=1.0), r"tolerance=1.0: must be in \[0, 1\)"),
        (lambda: LinearRecovery(solver="lu"), "solver='lu': must be one of auto"),  # pyright: ignore
        (lambda: NoiseAwareRecovery(reweightings=-1), "reweightings=-1"),
        (lambda: NoiseAwareRecovery(solver="lu"), "solver='lu'"),  # pyright: ignore
        *(
            (lambda make=make, of=of: make(of=of), f"of={re.escape(repr(of))[:12]}")
            for make in READING
            for of in (
                "linear",  # the label of an attack, not an attack
                DirectInference,  # the class
                DPGaussian(),
                ClusterMatching(),  # has no messages, like the next
                OwnPrediction(),
                RepeatedObservation(of=DirectInference()),  # combined already
            )
        ),
        (lambda: MessageSmoothing(iterations=0), "iterations=0"),
        (lambda: ClusterMatching(iterations=0), "iterations=0"),
        (lambda: ClusterMatching(restarts=0), "restarts=0"),
        (lambda: ClusterMatching(named_per_class=-1), "named_per_class=-1"),
        (lambda: RepeatedObservation(named_per_class=-1), "named_per_class=-1"),
        (lambda: Data(class_choice="last"), "data.class_choice='last'"),  # pyright: ignore
        (lambda: Training(optimizer="lion"), "training.optimizer='lion'"),  # pyright: ignore
        (lambda: GradientInversion(steps=0), "steps=0"),
        (lambda: Execution(chunk_size=0), "chunk_size=0"),
        (lambda: Experiment(name=""), "name=''"),
        (lambda: Experiment(name="x", num_trials=0), "num_trials=0"),
        (lambda: Experiment(name="x", batch_sizes=()), "batch_sizes"),
        (lambda: Experiment(name="x", attacks={}), "attacks"),
        (
            lambda: Experiment(name="x", train_steps=(1,)),
            r"in \[0, training.steps = 0\]",
        ),
        (
            lambda: Experiment(
                name="x",
                training=Training(steps=1, batch_size=8),
                batch_sizes=(4, 9),
                defenses={"gs": Sparsification(residual="by_row")},
            ),
            "defenses.gs.residual='by_row'",
        ),
    ],
)
def test_bad_values_name_the_field_and_what_is_allowed(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (attacks.direct_inference, "is the function 'direct_inference', must be a rec"),
        (
            DirectInference,
            r"is the class DirectInference, must be an instance: DirectInference\(\)",
        ),
        (
            DPGaussian(),
            "is a defense, DPGaussian; defenses stand in `defenses`",
        ),
        ("linear", "is 'linear', must be an instance of vfljax.attacks.Attack"),
        (attacks.Attack(), "Attack has no `sees`, must name the view"),
        (own_attack(uses=("secret",)), "Own.uses has 'secret', must be of "),
    ],
)
def test_what_stands_among_attacks_is_one(wrong, message):
    with pytest.raises(ValueError, match=f"attacks.mine: {message}"):
        Experiment(name="x", attacks={"mine": wrong})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (defenses.dp_gaussian, "is the function 'dp_gaussian', must be a record"),
        (CAE, r"is the class CAE, must be an instance: CAE\(\)"),
        (LinearRecovery(), "is an attack, LinearRecovery; attacks stand in `attacks`"),
        ("dp", "is 'dp', must be an instance of vfljax.defenses.Defense"),
    ],
)
def test_what_stands_among_defenses_is_one(wrong, message):
    with pytest.raises(ValueError, match=f"defenses.mine: {message}"):
        Experiment(name="x", defenses={"mine": wrong})


def test_a_variant_replaces_what_it_names_and_errors_name_it():
    training = Training(steps=3)
    experiment = Experiment(name="x", variants={"long": Variant(training=training)})
    assert experiment.variant("long") == Experiment(name="x", training=training)
    with pytest.raises(ValueError, match=r"variants\.wide: model\.embed=3: must be"):
        Experiment(name="x", variants={"wide": Variant(model=MLP(embed=3))})
    top = Variant(model=MLP(embed=3), protocol=ModelSplitting(top=models.Top()))
    wide = Experiment(name="x", variants={"wide": top}).variant("wide")
    assert wide.embed(10) == 3
    assert experiment.embed(10) == 10


def repeating(**changes):
    """Two attacks that combine, of a sensible experiment but for the changes."""
    settings = {
        "name": "x",
        "same_samples": True,
        "training": Training(steps=4),
        "train_steps": (0, 4),
        "attacks": {
            "direct": DirectInference(),
            "repeated": RepeatedObservation(of=DirectInference()),
        },
    }
    return Experiment(**{**settings, **changes})


def test_what_is_read_is_what_is_seen():
    """An attack that reads another's messages sees what that one sees."""
    for make in READING:
        assert make(of=DirectInference()).sees is SampleGradientView
        assert make().sees is BatchGradientView
    assert OwnPrediction(plaintext=True).sees is SampleGradientView
    assert OwnPrediction().sees is BatchGradientView


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"same_samples": False}, "attacks.repeated.of: .* same_samples=False must be"),
        (
            {"train_steps": (4, 0)},
            r"attacks.repeated.of: .* train_steps=\(4, 0\) must be in ascending order",
        ),
    ],
)
def test_repeated_observation_needs_messages_to_combine(changes, message):
    digits = data.load("digits")
    check_fits(Task(repeating(), digits, 10))
    with pytest.raises(ValueError, match=message):
        check_fits(Task(repeating(**changes), digits, 10))


def test_what_attacks_know_beyond_their_view():
    """Adaptive are those, and only those, that know a defense; labels are no defense.

    Clusters are for messages that a defense has made into what no model describes.
    """
    naive = {
        DirectInference(): None,
        LinearRecovery(): None,
        GradientInversion(): None,
        OwnPrediction(): None,
        NormScoring(): None,
        DirectionScoring(): "1 known label per class",
        ModelCompletion(known_per_class=4): "4 known labels per class",
        LabelReplacement(num_targets=10): "10 samples of the target class",
    }
    adaptive = {
        NoiseAwareRecovery(): "strength of the defense",
        MessageSmoothing(): "noise scale",
        EntryFiltering(): "in place of entries",
        KnownEncoder(): "label encoder",
        ClusterMatching(): "1 known label per class",
        ClusterMatching(named_per_class=2): "2 known labels per class",
        ClusterMatching(named_per_class=0): "labels are encoded",
        RepeatedObservation(): "earlier messages about the same samples",
        RepeatedObservation(named_per_class=1): "noise scale, 1 known label per class",
    }
    for attack, words in (naive | adaptive).items():
        assert attack.is_adaptive == (attack in adaptive), attack
        known = attack.knowledge
        assert (known is None) if words is None else words in (known or ""), attack


def test_trials_take_turns_with_prepared_encoders():
    """Strengths × seeds, the strength outermost: 2·1 + 3 mod 2 = 3."""
    defense = CAE(entropy_weight=(0.0, 0.5), seeds=(7, 8))
    choices = [defense.choice(strength, 3) for strength in defense.strengths]
    assert choices == [1, 3]
    assert defense.choice(0.5, 2) == 2
    assert DPGaussian(noise_std=(0.1, 0.2)).choice(0.2, 5) == 0  # nothing prepared


def test_laplace_strengths_are_called_what_they_are():
    assert DPLaplace().strength_name == "noise_std"
    assert DPLaplace(reading="released").strength_name == "noise_scale"


def test_experiments_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Experiment(name="x").seed = 1  # pyright: ignore


def test_layers_may_have_equal_widths():
    assert MLP(hidden=(64, 64)).hidden == (64, 64)


def test_columns_are_numbers_ranges_and_names():
    split = Data(columns=("0-2,7", "age, 3")).split_argument()
    assert split == [[0, 1, 2, 7], ["age", 3]]
    assert Data().split_argument() == "rows"


METHODS = {*attacks.__all__, *defenses.__all__, *protocol.__all__} - {*models.__all__}
PACKAGE = Path(vfljax.__file__).parent
METHOD_FREE = sorted(
    [
        *(PACKAGE / "experiments").rglob("*.py"),
        *(PACKAGE / "reports").rglob("*.py"),
        PACKAGE / "cli.py",
    ]
)


def kinds_asked_for(source):
    """Names of methods that `isinstance`, `issubclass` or a `case` asks for."""
    asked = []
    for node in ast.walk(ast.parse(source)):
        called = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.Call) and called in ("isinstance", "issubclass"):
            asked.append(node.args[1])
        elif isinstance(node, ast.MatchClass):
            asked.append(node.cls)
    names = {
        getattr(part, "id", None) or getattr(part, "attr", None)
        for node in asked
        for part in ast.walk(node)
    }
    return names & METHODS


@pytest.mark.parametrize(
    "path", METHOD_FREE, ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_a_method_says_of_itself_what_an_experiment_must_know(path):
    """Nothing above a method asks which one it is: a user's own is treated alike."""
    assert not kinds_asked_for(path.read_text())


def test_questions_for_the_kind_of_method_are_found():
    source = """
isinstance(a, LinearRecovery) or isinstance(a, str | defenses.CAE)
issubclass(b, (int, protocol.PredictionView))
match c:
    case Marvell(): ...
    case str(): ...
isinstance(d, int)
"""
    assert kinds_asked_for(source) == {
        "LinearRecovery",
        "CAE",
        "PredictionView",
        "Marvell",
    }
