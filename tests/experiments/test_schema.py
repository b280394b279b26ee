"""Experiments are checked when they are built."""

import dataclasses

import pytest

from vfljax.experiments import (
    CAE,
    DCAE,
    MLP,
    PPDL,
    ClusterMatching,
    Data,
    DirectInference,
    DirectionScoring,
    DiscreteSGD,
    DPGaussian,
    DPLaplace,
    EntryFiltering,
    Execution,
    Experiment,
    GradientCompression,
    GradientInversion,
    Isotropic,
    KnownEncoder,
    LabelReplacement,
    LinearRecovery,
    Marvell,
    MaxNorm,
    MessageSmoothing,
    ModelCompletion,
    NoiseAwareRecovery,
    NormScoring,
    OwnPrediction,
    RepeatedObservation,
    Sparsification,
    Training,
)

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
            lambda: DPGaussian(strengths=(float("inf"),)),
            "strengths=inf: must be finite",
        ),
        (lambda: Data(class_counts=(2, 1)), "data.class_counts=1: must be >= 2"),
        (lambda: Data(class_counts=(2, 2)), "without repetitions"),
        (lambda: MLP(hidden=(0,)), "model.hidden=0: must be >= 1"),
        (lambda: Training(steps=-1), "training.steps=-1"),
        (
            lambda: Training(learning_rate=0.0),
            "training.learning_rate=0.0: must be > 0",
        ),
        (
            lambda: Training(optimizer="sgd", momentum=1.0),
            r"training.momentum=1.0: must be in \[0, 1\)",
        ),
        (lambda: DPGaussian(strengths=(-1.0,)), "noise_std=-1.0"),
        (lambda: DPLaplace(strengths=()), r"strengths=\(\): must be not empty"),
        (lambda: Sparsification(strengths=(0.0,)), "keep_fraction=0.0"),
        (lambda: DiscreteSGD(strengths=(0,)), "bins=0"),
        (lambda: DPLaplace(strengths=(0.1, 0.1)), "without repetitions"),
        (lambda: GradientCompression(strengths=(0.0,)), "keep_fraction=0.0"),
        (lambda: GradientCompression(strengths=(1.5,)), "keep_fraction=1.5"),
        (lambda: GradientCompression(reading="zou"), "reading='zou'"),  # pyright: ignore
        (lambda: PPDL(strengths=(0.0,)), "release_fraction=0.0"),
        (lambda: PPDL(exhausted="half"), "exhausted='half'"),  # pyright: ignore
        (lambda: Marvell(strengths=(-1.0,)), "power=-1.0"),
        (lambda: MaxNorm(strengths=(-0.5,)), "share=-0.5"),
        (lambda: Isotropic(strengths=(-0.5,)), "ratio=-0.5"),
        (lambda: Isotropic(strengths=()), r"strengths=\(\): must be not empty"),
        (lambda: CAE(strengths=()), r"strengths=\(\): must be not empty"),
        (lambda: CAE(strengths=(-0.1,)), "strengths=-0.1: must be >= 0 and finite"),
        (lambda: CAE(strengths=(float("inf"),)), "strengths=inf: must be >= 0"),
        (lambda: CAE(strengths=(1.0, 1.0)), "without repetitions"),
        (lambda: CAE(seeds=()), r"seeds=\(\): must be not empty"),
        (lambda: CAE(seeds=(-1,)), "seeds=-1: must be >= 0"),
        (lambda: CAE(seeds=(2, 2)), "without repetitions"),
        (lambda: CAE(num_epochs=0), "num_epochs=0: must be >= 1"),
        (lambda: CAE(loss="mine"), "loss='mine': must be one of released, printed"),  # pyright: ignore
        (lambda: DCAE(bins=0), "bins=0"),
        (lambda: DCAE(bound=0.0), "bound=0.0"),
        (lambda: DCAE(num_epochs=0), "num_epochs=0"),
        (lambda: LinearRecovery(iterations=0), "iterations=0"),
        (lambda: LinearRecovery(tolerance=1.0), r"tolerance=1.0: must be in \[0, 1\)"),
        (lambda: LinearRecovery(solver="lu"), "solver='lu': must be one of auto"),  # pyright: ignore
        (lambda: NoiseAwareRecovery(reweightings=-1), "reweightings=-1"),
        (lambda: NoiseAwareRecovery(solver="lu"), "solver='lu'"),  # pyright: ignore
        (lambda: MessageSmoothing(view="all"), "view='all'"),  # pyright: ignore
        (lambda: OwnPrediction(view="all"), "view='all': must be one of sample"),  # pyright: ignore
        (lambda: KnownEncoder(view="all"), "view='all'"),  # pyright: ignore
        (lambda: KnownEncoder(iterations=0), "iterations=0"),
        (lambda: ClusterMatching(view="all"), "view='all'"),  # pyright: ignore
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


def repeating(**changes):
    """Two attacks that combine, of a sensible experiment but for the changes."""
    settings = {
        "name": "x",
        "same_samples": True,
        "training": Training(steps=4),
        "train_steps": (0, 4),
        "attacks": {
            "direct": DirectInference(),
            "repeated": RepeatedObservation(of="direct"),
        },
    }
    return Experiment(**{**settings, **changes})


def test_what_repeated_observation_sees_is_what_it_combines():
    assert repeating().view_of("repeated") == "sample_gradient"
    of_own = {"own": OwnPrediction(view="sample_gradient")}
    assert Experiment(name="x", attacks=of_own).view_of("own") == "sample_gradient"


ALL_BEFORE = {
    "direct": DirectInference(),
    "own": OwnPrediction(),
    "clusters": ClusterMatching(),
    "first": RepeatedObservation(of="direct"),
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"same_samples": False}, "same_samples=False: must be True for attacks.rep"),
        ({"train_steps": (4, 0)}, r"train_steps=\(4, 0\): must be in ascending order"),
        *(
            (
                {"attacks": {**before, "repeated": RepeatedObservation(of=of)}},
                f"attacks.repeated.of='{of}': must be the label of an attack before",
            )
            for of, before in [
                ("nobody", ALL_BEFORE),
                ("repeated", ALL_BEFORE),
                ("first", ALL_BEFORE),  # combined already
                ("own", ALL_BEFORE),  # has no messages, like the next
                ("clusters", ALL_BEFORE),
            ]
        ),
        (
            {
                "attacks": {
                    "repeated": RepeatedObservation(of="later"),
                    "later": DirectInference(),
                }
            },
            "attacks.repeated.of='later'",
        ),
    ],
)
def test_repeated_observation_needs_messages_to_combine(changes, message):
    with pytest.raises(ValueError, match=message):
        repeating(**changes)


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
    for spec, words in (naive | adaptive).items():
        assert spec.is_adaptive == (spec in adaptive), spec
        assert (spec.knowledge is None) if words is None else words in spec.knowledge


def test_trials_take_turns_with_prepared_encoders():
    """Strengths × seeds, the strength outermost: 2·1 + 3 mod 2 = 3."""
    spec = CAE(strengths=(0.0, 0.5), seeds=(7, 8))
    places = [spec.place(strength, 3) for strength in spec.strengths]
    assert places == [1, 3]
    assert spec.place(0.5, 2) == 2
    assert DPGaussian(strengths=(0.1, 0.2)).place(0.2, 5) == 0  # nothing prepared


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
