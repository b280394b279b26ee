"""Knowing the noise: its limits, Bayes by brute force, ridge and sparse messages."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import attacks, defenses, models, protocol
from vfljax.gradient_map import gradient_map

recover = jax.jit(
    attacks.noise_aware_recovery,
    static_argnames=("reweightings", "solver", "iterations"),
)
linear_recovery = jax.jit(
    attacks.linear_recovery, static_argnames=("solver", "zero_sum")
)
by_cg = {"solver": "cg", "iterations": 100}
linear = protocol.PartyModel(
    init=lambda key, x: jnp.zeros((x.shape[1], 3)), apply=lambda params, x: x @ params
)


def undefended(hidden, batch, width):
    """The view of an untrained party whose labels and other parties are random."""
    model = models.mlp(hidden, embed=3)
    keys = jax.random.split(jax.random.key(0), 4)
    features = jax.random.uniform(keys[0], (batch, width))
    params = model.init(keys[1], features)
    jacobian = gradient_map(model, params, features)
    message = jax.nn.softmax(jax.random.normal(keys[2], (batch, 3))) - jax.nn.one_hot(
        jax.random.randint(keys[3], (batch,), 0, 3), 3
    )
    return protocol.BatchGradientView(
        model, params, features, jacobian.pull(message / batch), 3
    )


@pytest.fixture(scope="module")
def short():
    """More entries, 60, than parameters, 27."""
    return undefended((3,), batch=20, width=4)


@pytest.fixture(scope="module")
def full():
    """8·2 zero-sum unknowns, 9·2 zero-sum equations, one linear layer."""
    return undefended((), batch=8, width=8)


@pytest.mark.parametrize("solver", ["cg", "exact"])
def test_without_noise_rows_sum_to_zero(solver, short):
    """As close as two solutions of a system without full rank are in float64."""
    known = recover(short, noise_std=0.0, solver=solver)
    expected = linear_recovery(short, solver=solver)
    np.testing.assert_allclose(known.scores, expected.scores, atol=2e-2)
    free = linear_recovery(short, solver=solver, zero_sum=False)
    assert jnp.max(jnp.abs(known.scores - free.scores)) > 0.1


@pytest.mark.parametrize("solver", ["cg", "exact"])
def test_under_much_noise_row_sums_are_free(solver, short):
    """The prior, σ²·log p of size 1e4, is taken out; float32 leaves errors of 1e-3."""
    known = recover(short, noise_std=100.0, solver=solver)
    expected = linear_recovery(short, solver=solver, zero_sum=False).scores
    message = known.scores - 1e4 * own_log_softmax(short)
    np.testing.assert_allclose(message, expected, atol=2e-2)
    restricted = linear_recovery(short, solver=solver).scores
    assert jnp.max(jnp.abs(message - restricted)) > 0.1
    assert recover(short, noise_std=1e30, solver=solver).info.residual < 1e-3


def test_solvers_agree(full):
    by_cg, exact = (
        recover(full, noise_std=0.3, solver=solver) for solver in ("cg", "exact")
    )
    np.testing.assert_allclose(by_cg.scores, exact.scores, atol=1e-2)


def test_without_noise_the_bound_is_that_of_zero_sum_rows(full, short):
    """Row sums of weight 0 are no unknowns: they do not count as undetermined."""
    for view, held in ((full, 1), (short, 0)):
        for noise_std in (0.0, 0.3):
            info = recover(view, noise_std=noise_std, solver="exact").info
            assert info.bound_held == held


def test_scores_are_bayes_for_a_flat_softmax():
    """P(c | B·u) ∝ p_c·N(B·u; S − e_c, σ²), S = (1/3, 1/3, 1/3), summed up by force.

    One sample with the feature 1: the gradient is the message, whatever its row sum.
    """
    own, noise_std = np.array([0.3, -0.4, 1.1]), 0.7
    message = np.array([0.9, -0.6, 0.45])
    view = protocol.BatchGradientView(
        linear, as_float32([own]), jnp.ones((1, 1)), as_float32([message]), 3
    )
    scores = recover(view, noise_std=noise_std, solver="cg").scores[0]
    prior = np.exp(own) / np.exp(own).sum()
    misfit = message - (1 / 3 - np.eye(3))
    joint = prior * np.exp(-np.sum(misfit**2, axis=1) / (2 * noise_std**2))
    np.testing.assert_allclose(
        jax.nn.softmax(scores / noise_std**2), joint / joint.sum(), rtol=1e-4
    )


def test_the_own_logits_help():
    """Labels drawn from softmax(H^p) as of a trained party, messages with σ = 1.

    600 labels: the standard error of each accuracy is .02.
    """

    def trial(key):
        key_x, key_own, key_y, key_noise = jax.random.split(key, 4)
        features = jax.random.normal(key_x, (12, 16))
        params = 0.5 * jax.random.normal(key_own, (16, 3))
        logits = features @ params
        truth = jax.random.categorical(key_y, logits)
        message = jax.nn.softmax(logits) - jax.nn.one_hot(truth, 3)
        message += jax.random.normal(key_noise, (12, 3))
        view = protocol.BatchGradientView(
            linear, params, features, features.T @ message / 12, 3
        )
        guesses = (
            attacks.noise_aware_recovery(view, noise_std=1.0, **by_cg).labels,
            attacks.linear_recovery(view, zero_sum=False, **by_cg).labels,
            attacks.own_prediction(view).labels,
        )
        return jnp.array([jnp.mean(labels == truth) for labels in guesses])

    keys = jax.random.split(jax.random.key(0), 50)
    both, message_only, own_only = jax.jit(jax.vmap(trial))(keys).mean(axis=0)
    assert both > message_only + 0.05
    assert both > own_only + 0.05


def test_knowing_the_rounding_helps():
    """12 bins after training: rows of fitted samples are all level 0, ties elsewhere.

    Labels are drawn from the softmax of both parties' logits. 720 labels: the standard
    error of each accuracy is below .02. Without rounding both would find all.
    """
    rounding = defenses.discrete_sgd(12)

    def trial(key):
        key_x, key_own, key_other, key_y, key_unused = jax.random.split(key, 5)
        features = jax.random.normal(key_x, (24, 28))
        params = 0.8 * jax.random.normal(key_own, (28, 5))
        logits = features @ params + 2.0 * jax.random.normal(key_other, (24, 5))
        truth = jax.random.categorical(key_y, logits)
        message = (jax.nn.softmax(logits) - jax.nn.one_hot(truth, 5)) / 24
        interval = 24 * 4 * jnp.std(message) / 12
        sent, _ = rounding.perturb(key_unused, (), message, truth, truth)
        view = protocol.BatchGradientView(
            linear, params, features, features.T @ sent, 5
        )
        guesses = (
            attacks.noise_aware_recovery(view, noise_std=interval / 12**0.5, **by_cg),
            attacks.linear_recovery(view, zero_sum=False, **by_cg),
            attacks.own_prediction(view),
        )
        return jnp.array([jnp.mean(guess.labels == truth) for guess in guesses])

    keys = jax.random.split(jax.random.key(0), 30)
    both, message_only, own_only = jax.jit(jax.vmap(trial))(keys).mean(axis=0)
    assert both > message_only + 0.05
    assert both > own_only + 0.05


def test_the_ridge_on_row_sums_is_the_best_of_three(short):
    """Messages as assumed, one label in three plus noise, beyond the rank of J.

    Mean squared error over 200 draws, by four standard errors of the difference: less
    than with row sums of zero, and than with any row sums.
    """
    view = short
    jacobian = gradient_map(view.model, view.params, view.features)
    noise_std = 0.3

    def errors(key):
        key_label, key_noise = jax.random.split(key)
        truth = jax.random.randint(key_label, (20,), 0, 3)
        message = 1 / 3 - jax.nn.one_hot(truth, 3)
        message += noise_std * jax.random.normal(key_noise, (20, 3))
        seen = protocol.BatchGradientView(
            view.model, view.params, view.features, jacobian.pull(message / 20), 3
        )
        scores = (
            attacks.noise_aware_recovery(seen, noise_std=noise_std, **by_cg).scores
            - noise_std**2 * own_log_softmax(view),
            attacks.linear_recovery(seen, **by_cg).scores,
            attacks.linear_recovery(seen, zero_sum=False, **by_cg).scores,
        )
        return jnp.array([jnp.mean((each + message) ** 2) for each in scores])

    keys = jax.random.split(jax.random.key(0), 200)
    of_three = np.asarray(jax.jit(jax.vmap(errors))(keys))
    gains = of_three[:, 1:] - of_three[:, :1]
    assert np.all(gains.mean(axis=0) > 4 * gains.std(axis=0) / np.sqrt(200))


def sparse_views(num_trials=5):
    """20 samples, 10 classes, 10 features: 200 entries, 10 of them sent, 100 equations.

    Each class is one system of 10 equations for 20 unknowns, one of which is not zero.
    """
    rng = np.random.default_rng(0)
    messages = np.zeros((num_trials, 20, 10), np.float32)
    for message in messages:
        message[rng.permutation(20)[:10], np.arange(10)] = -rng.uniform(0.3, 1.0, 10)
    features = as_float32(rng.normal(size=(num_trials, 20, 10)))
    gradients = jnp.einsum("tbf,tbc->tfc", features, messages) / 20
    views = protocol.BatchGradientView(
        linear, jnp.zeros((num_trials, 10, 10)), features, gradients, 10
    )
    return views, messages


def test_a_sparse_message_is_found_beyond_the_rank():
    """The solution of least norm is off by two thirds, reweighted by under a fifth.

    The own logits are all equal: the prior shifts all scores alike, and is taken out.
    """
    views, messages = sparse_views()

    def attack(view):
        plain = attacks.linear_recovery(view, zero_sum=False)
        aware = attacks.noise_aware_recovery(
            view, keep_fraction=0.05, reweightings=5, iterations=100
        )
        return plain, aware

    plain, aware = jax.jit(jax.vmap(attack))(views)
    assert jnp.all(aware.info.iterations > 0)  # "auto" chose conjugate gradients
    norm = np.linalg.norm(messages)
    assert np.linalg.norm(plain.scores + messages) > 0.5 * norm
    found = aware.scores - np.median(aware.scores, axis=(1, 2), keepdims=True)
    assert np.linalg.norm(found + messages) < 0.2 * norm
    is_sent = np.any(messages < 0, axis=2)
    truth = np.argmin(messages, axis=2)
    assert np.all((aware.labels == truth)[is_sent])
    assert not np.all((plain.labels == truth)[is_sent])


def test_the_own_logits_say_what_dropped_rows_do_not():
    """Three quarters of 80 rows are zeros, labels are drawn from softmax(H^p).

    Exact messages, so that without the logits they are blind guesses. A label that was
    sent overrules them: its entry is −1 + S, and only it is negative.
    """

    def trial(key):
        key_x, key_own, key_y, key_sent = jax.random.split(key, 4)
        features = jax.random.normal(key_x, (8, 12))
        params = 0.5 * jax.random.normal(key_own, (12, 3))
        logits = features @ params
        truth = jax.random.categorical(key_y, logits)
        is_sent = jnp.zeros(8, bool).at[jax.random.choice(key_sent, 8, (2,), False)]
        is_sent = is_sent.set(True)
        message = -0.6 * is_sent[:, None] * jax.nn.one_hot(truth, 3)
        view = protocol.BatchGradientView(
            linear, params, features, features.T @ message / 8, 3
        )
        inference = attacks.noise_aware_recovery(view, keep_fraction=2 / 24, **by_cg)
        own = attacks.own_prediction(view)
        expected = jnp.where(is_sent, truth, own.labels)
        return inference.labels == expected

    keys = jax.random.split(jax.random.key(0), 10)
    assert jnp.mean(jax.jit(jax.vmap(trial))(keys)) > 0.98


def test_reweighting_needs_entries_that_were_dropped():
    """`keep_fraction=1` is no sparse message: the same with and without reweighting."""
    view = jax.tree.map(lambda leaf: leaf[0], sparse_views(1)[0])
    once, thrice = (
        recover(view, noise_std=0.2, keep_fraction=1.0, solver="cg", reweightings=times)
        for times in (0, 3)
    )
    np.testing.assert_allclose(once.scores, thrice.scores, atol=1e-4)


def test_no_message_at_all_is_finite():
    view = jax.tree.map(lambda leaf: leaf[0], sparse_views(1)[0])
    silent = protocol.BatchGradientView(
        linear, view.params, view.features, jnp.zeros_like(view.gradient), 10
    )
    inference = recover(silent, keep_fraction=0.1, reweightings=3, solver="cg")
    assert inference.finite
    np.testing.assert_array_equal(inference.scores, 0.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"solver": "newton"}, "solver='newton': must be one of"),
        ({"iterations": 0}, r"iterations=0: must be in \[1, inf\]"),
        ({"reweightings": -1}, r"reweightings=-1: must be in \[0, inf\]"),
        ({"tolerance": 1.0}, r"tolerance=1.0: must be in \[0, 1\)"),
        ({"noise_std": -0.1}, "noise_std=-0.1: must be >= 0 and finite"),
        ({"noise_std": float("inf")}, "noise_std=inf: must be >= 0 and finite"),
        ({"keep_fraction": 0.0}, r"keep_fraction=0.0: must be in \(0, 1\]"),
        ({"keep_fraction": 1.5}, r"keep_fraction=1.5: must be in \(0, 1\]"),
        ({"layers": ("outptu",)}, "outptu"),
    ],
)
@pytest.mark.usefixtures("unchecked_types")
def test_bad_arguments(changes, message, full):
    with pytest.raises(ValueError, match=message):
        attacks.noise_aware_recovery(full, **changes)


def own_log_softmax(view):
    return jax.nn.log_softmax(view.model.apply(view.params, view.features))


def as_float32(values):
    return jnp.asarray(values, jnp.float32)
