"""Encrypted training is the plain one: same integers, gradients, weights, losses."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vfljax import attacks, defenses, models, protocol
from vfljax.protocol import encrypted

_ROUNDING_OF_GRADIENTS = 2.0**-21
_ROUNDING_OF_ACTIVATIONS = 2.0**-15


def plain_training(training, is_rounded=True):
    """`protocol.train` on the same numbers, with the same noise."""
    model = models.mlp((), embed=training.agreement.num_classes)
    inputs = [*training.passive, training.active]
    run = protocol.sum_of_logits(
        [model] * len(inputs),
        [of_party.make_optimizer() for of_party in inputs],
        num_classes=training.agreement.num_classes,
        defense=training.active.defense,
    )
    features = [jnp.asarray(of_party.activations) for of_party in inputs]
    if is_rounded:  # as passive parties use them
        features[:-1] = [jnp.round(each * 2**14) / 2**14 for each in features[:-1]]
    params = tuple(of_party.params for of_party in inputs)
    state = run.init(jax.random.key(0), features)._replace(params=params)
    return protocol.train(
        run,
        jax.random.key(7),
        state,
        features,
        jnp.asarray(training.active.labels),
        jnp.asarray(training.batches),
    )


def largest_difference(left, right):
    differences = jax.tree.map(lambda a, b: np.abs(a - b).max(), left, right)
    return max(jax.tree.leaves(differences))


def test_ten_iterations_give_the_weights_of_the_plain_protocol(make_training):
    """To 1e-5; what remains is the rounding of activations to 14 bits."""
    training = make_training(num_iterations=10, preset="default")
    run = encrypted.run_here(*training)
    state, losses = plain_training(training, is_rounded=False)
    assert largest_difference(run.params, state.params) < 1e-5
    np.testing.assert_allclose(run.losses, losses, rtol=0, atol=1e-5)
    moved = largest_difference(run.params[0], training.passive[0].params)
    assert moved > 0.05  # the comparison is about something


@pytest.mark.parametrize("layout", ["row", "compact"])
@pytest.mark.parametrize(
    ("batch_size", "widths", "num_classes"),
    [(1, (1, 1), 2), (7, (3, 2), 5), (5, (2, 6, 3), 3)],
)
def test_integers_are_those_without_encryption(
    make_training, layout, batch_size, widths, num_classes
):
    sizes = {"widths": widths, "num_classes": num_classes, "layout": layout}
    make = functools.partial(make_training, batch_size, **sizes)
    real = encrypted.run_here(*make())
    plain = encrypted.run_here(*make(backend="plain_int"))
    assert largest_difference(real.params, plain.params) == 0
    for observed, expected in zip(real.observations, plain.observations, strict=True):
        assert set(observed) == {0, 1}
        for iteration, observation in observed.items():
            integers = expected[iteration].integers
            np.testing.assert_array_equal(observation.integers, integers)
            assert observation.integers.any()


@pytest.mark.parametrize("seed", range(4))
def test_drawn_sizes(make_training, seed):
    """Integers as without encryption, and as close to float64 as rounding allows."""
    random = np.random.default_rng(seed)
    batch_size, width, num_classes = random.integers([1, 1, 2], [130, 50, 12]).tolist()
    layout = ("row", "compact")[seed % 2]
    make = functools.partial(
        make_training,
        *(batch_size, (width, 3), num_classes, 1),
        num_samples=batch_size,
        layout=layout,
        seed=seed,
    )
    (found,), (expected,) = (
        encrypted.run_here(*make(backend=backend)).observations
        for backend in ("bfv", "plain_int")
    )
    np.testing.assert_array_equal(found[0].integers, expected[0].integers)
    assert_close_to_float64(make(), found[0])


def test_layouts_give_the_same_integers(make_training):
    row, compact = (
        encrypted.run_here(*make_training(layout=layout, backend="plain_int"))
        for layout in ("row", "compact")
    )
    np.testing.assert_array_equal(
        row.observations[0][1].integers, compact.observations[0][1].integers
    )


def test_gradient_of_a_usual_batch_is_within_2e_6(make_training):
    """Against float64 with activations and logits that aren't rounded."""
    training = make_training(
        128, (32, 8), 10, 1, backend="plain_int", preset="default", num_samples=128
    )
    observation = encrypted.run_here(*training).observations[0][0]
    expected = float64_gradient(training)
    gradient = observation.integers / training.agreement.gradient_scale
    assert np.abs(gradient - expected).max() < 2e-6


def test_rounding_error_stays_below_its_bound(make_training):
    training = make_training(backend="plain_int", num_iterations=1)
    assert_close_to_float64(training, encrypted.run_here(*training).observations[0][0])


def assert_close_to_float64(training, observation):
    """2^-21 · mean|A| + 2^-15 · mean|B·U|, and 3e-7 for float32 softmax."""
    gradient = observation.integers / training.agreement.gradient_scale
    rows = training.batches[0]
    activations = np.abs(training.passive[0].activations[rows]).mean(axis=0).max()
    bound = _ROUNDING_OF_GRADIENTS * max(activations, 1) + _ROUNDING_OF_ACTIVATIONS
    assert np.abs(gradient - float64_gradient(training)).max() < bound + 3e-7


def test_messages_come_back_from_the_decrypted_integers(make_training):
    """2^-21 = 4.8e-7, half a unit of U's 20 bits, and 3e-7 for float32 softmax.

    Although A, of as many samples as columns, has a condition number above 10^4: the
    integers are exact, and they belong to the activations as rounded.
    """
    training = make_training(24, (24, 5), 10, 1, num_samples=24)
    left, values, right = np.linalg.svd(training.passive[0].activations.astype(float))
    values[-1] = values[0] / 2e4
    exact = left @ np.diag(values) @ right
    run = encrypted.run_here(*with_activations(training, exact))
    observation = run.observations[0][0]
    integers = observation.integers[:-1]
    rounded = np.rint(exact * 2.0**14) / 2.0**14
    message = 24 * float64_message(with_activations(training, rounded))
    rows = training.batches[0]
    features = np.asarray(observation.view.features, float)
    np.testing.assert_array_equal(features, rounded[rows])
    assert np.linalg.cond(features) > 1e4
    found = np.linalg.solve(features.T, integers / 2.0 ** (14 + 20))
    assert np.abs(found - message).max() < _ROUNDING_OF_GRADIENTS + 3e-7
    found = np.linalg.solve(exact[rows].T, integers / 2.0 ** (14 + 20))
    assert np.abs(found - message).max() > 1e-3  # before rounding


def with_activations(training, activations):
    passive = training.passive[0]._replace(activations=activations)
    return training._replace(passive=[passive])


def float64_gradient(training):
    """(softmax(H) - Y)ᵀ [A, 1] / B of the first batch in NumPy."""
    message = float64_message(training)
    own = training.passive[0].activations[training.batches[0]].astype(float)
    return np.concatenate([own, np.ones((len(own), 1))], axis=1).T @ message


def float64_message(training):
    """(softmax(H) - Y) / B of the first batch in NumPy."""
    rows = training.batches[0]
    logits = 0
    for inputs in (*training.passive, training.active):
        layer = jax.tree.map(lambda leaf: np.asarray(leaf, float), inputs.params)
        activations = inputs.activations[rows].astype(float)
        logits = logits + activations @ layer["output"]["kernel"]
        logits = logits + layer["output"]["bias"][None]
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.eye(training.agreement.num_classes)[training.active.labels[rows]]
    return (softmax - labels) / len(rows)


@pytest.mark.parametrize("covers_label_party", [False, True])
def test_defense_acts_as_in_the_plain_protocol(make_training, covers_label_party):
    """The same noise from the same keys; the own gradient is noised on request."""
    noise = defenses.dp_laplace(0.1, covers_label_party=covers_label_party)
    training = make_training(backend="plain_int", defense=noise)
    run = encrypted.run_here(*training)
    state, _ = plain_training(training)
    assert largest_difference(run.params, state.params) < 2e-6


def test_prepared_targets_stand_in_for_encoded_labels(make_training):
    """One row per sample of the training set, found by its number."""
    training = make_training(backend="plain_int")
    codes = np.array([[0.1, 0.7, 0.2], [0.3, 0.1, 0.6], [0.8, 0.1, 0.1]], np.float32)
    autoencoder = defenses.Autoencoder(jnp.asarray(codes), None)
    encoding = training.active._replace(defense=defenses.cae(autoencoder))
    prepared = training.active._replace(targets=codes[training.active.labels])
    found, expected, plain = (
        encrypted.run_here(*training._replace(active=active))
        for active in (prepared, encoding, training.active)
    )
    assert largest_difference(found.params, expected.params) == 0
    assert largest_difference(found.params, plain.params) > 0.01
    np.testing.assert_array_equal(found.losses, expected.losses)


class Penalty(defenses.Defense):
    """Adds the size of embeddings to the loss."""

    def penalty(self, embeddings, targets):
        return sum(jnp.square(each).mean() for each in embeddings)


@pytest.mark.parametrize("mode", ["exact", "taylor"])
def test_a_defense_with_a_penalty_is_refused(make_training, mode):
    """Of embeddings the active party has ciphertexts or the sum."""
    training = make_training(backend="plain_int", mode=mode, defense=Penalty())
    with pytest.raises(ValueError, match="defense: adds a penalty to the loss"):
        encrypted.run_here(*training)


def test_states_of_defense_and_optimizer_and_several_passive_parties(make_training):
    """Sparsification accumulates what it doesn't send; Adam counts its steps."""
    sparsified = defenses.sparsification(
        0.5, residual="by_sample", memory_shape=(40, 3)
    )
    training = make_training(
        widths=(2, 4, 3),
        backend="plain_int",
        num_iterations=3,
        defense=sparsified,
    )
    adam = functools.partial(optax.adam, optax.exponential_decay(0.1, 1, 0.5))
    training.passive[1] = training.passive[1]._replace(make_optimizer=adam)
    run = encrypted.run_here(*training)
    state, _ = plain_training(training)
    assert largest_difference(run.params, state.params) < 2e-6


def test_view_is_what_an_attack_needs(make_training):
    """Theorem 1 of Zou et al.: as many independent activations as samples."""
    training = make_training(6, (9, 5), num_iterations=2)
    run = encrypted.run_here(*training)
    view = run.observations[0][1].view
    protocol.check_view(view)
    inference = jax.jit(attacks.linear_recovery)(view)
    truth = training.active.labels[training.batches[1]]
    np.testing.assert_array_equal(inference.labels, truth)
    rounded = np.asarray(view.features) * 2**14
    np.testing.assert_array_equal(rounded, np.rint(rounded))


@pytest.mark.parametrize("preset", ["default", "flood"])
def test_full_size_presets(make_training, preset):
    real, plain = (
        encrypted.run_here(*make_training(3, preset=preset, backend=backend))
        for backend in ("bfv", "plain_int")
    )
    assert largest_difference(real.params, plain.params) == 0


def test_activations_that_are_all_zero(make_training):
    """SEAL refuses products with zero: kernel rows get none, the bias gets its own."""
    training = make_training()
    nothing = np.zeros_like(training.passive[0].activations)
    passive = [training.passive[0]._replace(activations=nothing)]
    run = encrypted.run_here(*training._replace(passive=passive))
    integers = run.observations[0][0].integers
    assert not integers[:-1].any()
    assert integers[-1].any()


def test_activations_beyond_the_fixed_point_are_refused(make_training):
    training = make_training(backend="plain_int")
    activations = training.passive[0].activations.copy()
    activations[3, 1] = 1e6
    passive = [training.passive[0]._replace(activations=activations)]
    with pytest.raises(ValueError, match=r"activations: contains 1e\+06, must be in"):
        encrypted.run_here(*training._replace(passive=passive))


def test_sums_beyond_the_fixed_point_are_refused(make_training):
    """2^51 / (64 · 2^20) / 2^14 = 2048 in the small preset; six samples of 400."""
    training = make_training(backend="plain_int")
    activations = np.full_like(training.passive[0].activations, 400)
    passive = [training.passive[0]._replace(activations=activations)]
    with pytest.raises(
        ValueError, match="add up to 2400 in a batch, must be below 2048 "
    ):
        encrypted.run_here(*training._replace(passive=passive))


def test_noise_beyond_the_bound_is_refused(make_training):
    noise = defenses.dp_gaussian(1e4)
    training = make_training(backend="plain_int", defense=noise)
    with pytest.raises(ValueError, match=r"dL/dH times the batch size: contains"):
        encrypted.run_here(*training)


def test_logits_beyond_the_bound_are_refused(make_training):
    training = make_training(backend="plain_int")
    kernel = training.passive[0].params["output"]["kernel"]
    params = {"output": {"kernel": kernel + 1e9, "bias": np.zeros(3, np.float32)}}
    passive = [training.passive[0]._replace(params=params)]
    with pytest.raises(ValueError, match="logits: contains"):
        encrypted.run_here(*training._replace(passive=passive))


def test_description_says_what_was_run(make_training):
    run = encrypted.run_here(*make_training(preset="small", num_iterations=1))
    description = run.description
    assert json.loads(json.dumps(description)) == description
    assert description["mode"] == "exact"
    assert description["layout"] == "row"
    assert description["num_coefficients"] == 4096
    assert description["prime_bits"] == [45, 44, 20]
    assert description["plain_bits"] == 52
    assert (description["gradient_bits"], description["activation_bits"]) == (20, 14)
    assert description["library"].startswith("tenseal 0.3")
    assert "128" in description["security_check"]
    assert description["threat_model"] == "honest-but-curious"
    assert "logits of all parties added up" in description["active_party_sees"]
    assert "last layer" in description["layers_encrypted"]
