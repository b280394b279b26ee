"""Label-DP accounting: hand-worked budgets, simulated mechanisms and best attacks."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, stats

from vfljax import defenses
from vfljax.label_dp import describe, label_budget

MECHANISMS = ("gaussian", "laplace")


def gaussian_delta(epsilon, distance):
    """Balle & Wang (2018), Eq. 6, for unit noise."""
    half, ratio = distance / 2, epsilon / distance
    return stats.norm.cdf(half - ratio) - math.exp(epsilon) * stats.norm.cdf(
        -half - ratio
    )


def gaussian_epsilon(distance, delta):
    return optimize.root_scalar(
        lambda epsilon: gaussian_delta(epsilon, distance) - delta, bracket=(0.0, 60.0)
    ).root


def test_laplace_epsilon_by_hand():
    """Two entries move by 1/B = 1/4 each: 1-norm 1/2, and 1/2 over b = .1 is 5."""
    budget = label_budget("laplace", 0.1, batch_size=4, num_classes=7)
    assert budget.epsilon == pytest.approx(5.0)
    # Pure: e^5/(e^5 + 6), without a share of delta.
    assert budget.bound_from_epsilon == pytest.approx(math.exp(5) / (math.exp(5) + 6))


def test_gaussian_epsilon_matches_the_analytic_mechanism():
    """Distance √2/B = √2/8 over σ = 1/8 is √2; 25 messages are five times as far."""
    budget = label_budget(
        "gaussian", 1 / 8, batch_size=8, num_classes=3, num_releases=25, delta=1e-3
    )
    epsilon = gaussian_epsilon(math.sqrt(2), 1e-3)
    assert budget.epsilon == pytest.approx(epsilon, rel=1e-8)
    assert budget.epsilon_training == pytest.approx(
        gaussian_epsilon(5 * math.sqrt(2), 1e-3), rel=1e-8
    )
    assert budget.bound_from_epsilon == pytest.approx(
        (math.exp(epsilon) + 2 * 1e-3) / (math.exp(epsilon) + 2)
    )


def test_laplace_composition_matches_simulated_privacy_loss():
    """δ = E[max(0, 1 − e^(ε − L))], L the loss of 2 entries in each of 30 messages."""
    budget = label_budget(
        "laplace", 5 / 8, batch_size=8, num_classes=3, num_releases=30, delta=0.01
    )
    noise = np.random.default_rng(0).laplace(size=(100_000, 60))
    loss = (np.abs(noise + 1 / 5) - np.abs(noise)).sum(axis=1)
    excess = np.maximum(0.0, -np.expm1(budget.epsilon_training - loss))
    error = excess.std() / math.sqrt(len(excess))
    assert abs(excess.mean() - 0.01) < 4 * error < 0.001
    assert budget.epsilon_training < 0.4 * 30 * budget.epsilon


def test_a_message_is_part_of_the_training():
    for mechanism in MECHANISMS:
        budgets = [
            label_budget(
                mechanism, 0.5, batch_size=8, num_classes=3, num_releases=count
            )
            for count in (1, 2, 30)
        ]
        training = [budget.epsilon_training for budget in budgets]
        assert budgets[0].epsilon < training[1] < training[2]
        assert training[0] == pytest.approx(budgets[0].epsilon, rel=1e-3)
        assert training[2] < 30 * budgets[0].epsilon


def test_allowed_accuracy_of_two_classes_by_hand():
    """Gaussian: signals √2/B apart are told apart with Φ((√2/B)/(2σ)) = Φ(1/(√2 Bσ)).

    Laplace: 1 − e^(−s)(2 + s)/4 with s = 1/(B b). Here Bσ = B b = .8, s = 1.25.
    """
    gaussian = label_budget("gaussian", 0.1, batch_size=8, num_classes=2)
    assert gaussian.allowed_accuracy == pytest.approx(
        stats.norm.cdf(1 / (math.sqrt(2) * 0.8))
    )
    laplace = label_budget("laplace", 0.1, batch_size=8, num_classes=2)
    assert laplace.allowed_accuracy == pytest.approx(1 - math.exp(-1.25) * 3.25 / 4)


@pytest.mark.parametrize("num_classes", [2, 10])
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_best_attack_on_the_defense_reaches_the_allowed_accuracy(
    mechanism, num_classes
):
    """Maximum likelihood, knowing the logits, on 60,000 rows that a defense noised."""
    rows, noise = 60_000, 0.7 / 60_000
    rng = np.random.default_rng(num_classes)
    labels = rng.integers(num_classes, size=rows)
    shares = rng.dirichlet(np.ones(num_classes), size=rows)
    clean = (shares - np.eye(num_classes)[labels]) / rows
    defense = (
        defenses.dp_gaussian(noise)
        if mechanism == "gaussian"
        else defenses.dp_laplace(noise, reading="released")
    )
    message, ids = jnp.asarray(clean, jnp.float32), jnp.asarray(labels)
    sent, _ = defense.perturb(jax.random.key(3), (), message, ids, ids)
    # In units of 1/B, entry c of `moved` is its noise, less 1 if c is the label.
    moved = np.asarray(sent, np.float64) * rows - shares
    if mechanism == "gaussian":
        likelihood = -moved
    else:  # exact ties where |x| − |x + 1| is ±1, broken at random
        likelihood = np.clip(-2 * moved - 1, -1, 1)
        likelihood += 1e-9 * rng.uniform(size=likelihood.shape)
    found = np.mean(np.argmax(likelihood, axis=1) == labels)
    allowed = label_budget(
        mechanism, noise, batch_size=rows, num_classes=num_classes
    ).allowed_accuracy
    assert abs(found - allowed) < 4 * math.sqrt(allowed * (1 - allowed) / rows)
    wrong = label_budget(
        mechanism, 1.1 * noise, batch_size=rows, num_classes=num_classes
    ).allowed_accuracy
    assert abs(found - wrong) > 4 * math.sqrt(wrong * (1 - wrong) / rows)


@pytest.mark.parametrize("clip_norm", [math.inf, 0.1])
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_more_noise_leaves_less(mechanism, clip_norm):
    """From hardly any noise to hardly any signal, B = 8; 0.1 is a clip that acts."""
    for num_classes in (2, 10, 100):
        budgets = [
            label_budget(
                mechanism,
                noise / 8,
                batch_size=8,
                num_classes=num_classes,
                clip_norm=clip_norm,
                num_releases=3,
            )
            for noise in (1e-9, 1e-3, 0.03, 0.1, 0.3, 1.0, 10.0, 1e3, 1e7)
        ]
        for name in ("epsilon", "epsilon_training"):
            values = [getattr(budget, name) for budget in budgets]
            assert all(np.diff(values) < 0)
            assert values[-1] < 1e-4
        for name in ("allowed_accuracy", "bound_from_epsilon"):
            values = [getattr(budget, name) for budget in budgets]
            assert all(np.diff(values) <= 0)
            assert values[0] == pytest.approx(1.0)
            assert values[-1] == pytest.approx(1 / num_classes, abs=2e-5)
        for budget in budgets:
            assert budget.allowed_accuracy <= budget.bound_from_epsilon


def test_epsilon_does_not_depend_on_the_batch_at_equal_noise_times_batch():
    small = label_budget("gaussian", 0.4 / 8, batch_size=8, num_classes=5)
    large = label_budget("gaussian", 0.4 / 512, batch_size=512, num_classes=5)
    assert small.epsilon == pytest.approx(large.epsilon)
    assert small.allowed_accuracy == pytest.approx(large.allowed_accuracy)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_without_noise_everything_is_allowed(mechanism):
    budget = label_budget(mechanism, 0, batch_size=8, num_classes=5)
    assert budget.epsilon == budget.epsilon_training == math.inf
    assert budget.allowed_accuracy == budget.bound_from_epsilon == 1.0


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_so_much_noise_that_delta_covers_it(mechanism):
    budget = label_budget(mechanism, 1e9, batch_size=8, num_classes=5)
    assert budget.epsilon_training == 0.0
    assert budget.allowed_accuracy == pytest.approx(0.2)


def test_training_epsilon_near_the_overflow_of_the_library():
    """dp_accounting's own inverse is infinite here.

    With s = 1/2.635 the mean loss is s − (1 − e^(−s)) = .0637 per entry, 675.6 for
    10,600 entries; as ε is a bit less than 1.28 standard deviations above, it is near.
    """
    budget = label_budget(
        "laplace", 2.635, batch_size=1, num_classes=3, num_releases=5300, delta=0.1
    )
    assert 675.6 < budget.epsilon_training < 740


def test_published_clip_acts_up_to_seven_samples_only():
    """√2/7 = .202 and √2/8 = .177."""
    for reading in ("paper", "released"):
        clipped = label_budget(
            "gaussian",
            0.01,
            batch_size=8,
            num_classes=5,
            clip_norm=0.2,
            clip_reading=reading,
        )
        assert clipped == label_budget("gaussian", 0.01, batch_size=8, num_classes=5)
        assert not clipped.clip_acts
    assert label_budget(
        "gaussian", 0.01, batch_size=7, num_classes=5, clip_norm=0.2
    ).clip_acts


def test_clip_that_acts_by_hand():
    """c = .1, B = 2: 2-norm min(√2/2, .2) = .2, 1-norm min(1, .4·√(3/4)) = .3464.

    Four signals .2 apart are as easily found as with B = √2/.2 and no clip.
    """
    gaussian = label_budget(
        "gaussian", 0.1, batch_size=2, num_classes=4, clip_norm=0.1, delta=1e-3
    )
    assert gaussian.epsilon == pytest.approx(gaussian_epsilon(2.0, 1e-3), rel=1e-8)
    noise = 0.1 * math.sqrt(2) / 0.2
    assert gaussian.allowed_accuracy == pytest.approx(
        label_budget("gaussian", noise, batch_size=1, num_classes=4).allowed_accuracy
    )
    laplace = label_budget("laplace", 0.1, batch_size=2, num_classes=4, clip_norm=0.1)
    assert laplace.epsilon == pytest.approx(math.sqrt(12))
    assert laplace.allowed_accuracy == laplace.bound_from_epsilon


@pytest.mark.parametrize("num_classes", [2, 3, 10])
@pytest.mark.parametrize("clip_norm", [0.05, 0.3, 0.8, 1.2])
def test_sensitivities_hold_for_random_rows(num_classes, clip_norm):
    """Rows of B = 1 under two labels, clipped; the noise of 1 shows the sensitivity."""
    rng = np.random.default_rng(0)
    shares = np.concatenate(
        [
            rng.dirichlet(np.full(num_classes, spread), size=4000)
            for spread in (0.05, 0.3, 1.0)
        ]
    )
    rows = [shares - np.eye(num_classes)[label] for label in (0, 1)]
    first, second = (
        row / np.maximum(1, np.linalg.norm(row, axis=1, keepdims=True) / clip_norm)
        for row in rows
    )
    laplace, gaussian = (
        label_budget(
            mechanism, 1.0, batch_size=1, num_classes=num_classes, clip_norm=clip_norm
        )
        for mechanism in ("laplace", "gaussian")
    )
    assert np.abs(first - second).sum(axis=1).max() <= laplace.epsilon + 1e-12
    longest = np.linalg.norm(first - second, axis=1).max()
    assert gaussian_epsilon(longest, 1e-5) <= gaussian.epsilon + 1e-6
    if num_classes == 2:  # where the bound is attained
        assert gaussian_epsilon(longest, 1e-5) == pytest.approx(
            gaussian.epsilon, rel=1e-3
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mechanism": "uniform"}, "mechanism='uniform': must be one of gaussian"),
        ({"clip_reading": "mine"}, "clip_reading='mine': must be one of paper"),
        ({"noise": -0.1}, r"noise=-0.1: must be in \[0, inf\]"),
        ({"noise": math.nan}, "noise=nan"),
        ({"batch_size": 0}, r"batch_size=0: must be in \[1, inf\]"),
        ({"num_classes": 1}, r"num_classes=1: must be in \[2, inf\]"),
        ({"clip_norm": 0.0}, r"clip_norm=0.0: must be in \(0, inf\]"),
        ({"num_releases": 0}, r"num_releases=0: must be in \[1, inf\]"),
        ({"delta": 0.0}, r"delta=0.0: must be in \(0, 1\]"),
        ({"delta": 1.5}, r"delta=1.5: must be in \(0, 1\]"),
        (
            {"clip_norm": 0.1, "clip_reading": "released"},
            "clip_norm=0.1: must be >= √2/batch_size = 0.177",
        ),
    ],
)
def test_bad_arguments(change, message, unchecked_types):
    arguments = {
        "mechanism": "gaussian",
        "noise": 0.1,
        "batch_size": 8,
        "num_classes": 3,
    }
    with pytest.raises(ValueError, match=message):
        label_budget(**(arguments | change))


def test_sentence():
    budget = label_budget(
        "laplace", 0.1, batch_size=4, num_classes=2, clip_norm=0.2, num_releases=30
    )._replace(epsilon=0.9312, epsilon_training=27.04, allowed_accuracy=0.2407)
    assert describe(budget, batch_size=4, clip_norm=0.2, num_releases=30) == (
        "ε = 0.931 per message, 27 over 30 messages about the same sample (δ = 1e-05); "
        "an attacker may still find 24.1 % of the labels from a sample's own message; "
        "the clip at 0.2 acts on some rows (rows are at most √2/B = 0.35 long)."
    )
    budget = label_budget("gaussian", 0, batch_size=4, num_classes=2)
    assert describe(budget, batch_size=4) == (
        "ε = ∞ per message (δ = 1e-05); an attacker may still find 100.0 % of the "
        "labels from a sample's own message."
    )
