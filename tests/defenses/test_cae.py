"""Confusional autoencoders: the losses in NumPy, and what training makes of labels."""

import functools
from typing import Any, Literal

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.stats
from jax.sharding import AxisType, PartitionSpec

from vfljax import defenses
from vfljax.defenses import Autoencoder, AutoencoderTraining, cae, load_autoencoder

WEIGHTS = (0.0, 1.0)
NUM_EPOCHS = 3
BATCH = 128

# Networks and autoencoders made by hand, in NumPy, as each eager operation of JAX is
# compiled once per shape.


def network(answers, scale, hidden=None) -> Any:
    """Input c gives the logits `scale` · row c of answers, by one hidden unit."""
    num_classes = len(answers)
    idle = (hidden or num_classes) - num_classes
    kernels = np.eye(num_classes), scale * np.asarray(answers)
    return {
        "hidden": {
            "kernel": np.pad(kernels[0], [(0, 0), (0, idle)]).astype(np.float32),
            "bias": np.zeros((1, num_classes + idle), np.float32),
        },
        "output": {
            "kernel": np.pad(kernels[1], [(0, idle), (0, 0)]).astype(np.float32),
            "bias": np.zeros((1, num_classes), np.float32),
        },
    }


def random_network(rng, num_classes, hidden, scale) -> Any:
    def normal(*shape):
        return rng.normal(size=shape).astype(np.float32)

    return {
        "hidden": {
            "kernel": scale * normal(num_classes, hidden),
            "bias": normal(1, hidden),
        },
        "output": {
            "kernel": scale * normal(hidden, num_classes),
            "bias": normal(1, num_classes),
        },
    }


def shift(num_classes):
    """Class c is called c + 1, the last one 0."""
    return np.roll(np.eye(num_classes), 1, axis=1).astype(np.float32)


SHIFTED = Autoencoder(jnp.asarray(shift(3)), network(shift(3).T, 9.0))


def test_encodes_and_decodes_by_hand():
    """Class c has the code one-hot(c + 1), and code c + 1 is decoded as c."""
    defense = cae(SHIFTED)
    labels = jnp.array([[1.0, 0, 0], [0, 0, 1], [0.25, 0.75, 0]])
    codes = [[0, 1.0, 0], [1, 0, 0], [0, 0.25, 0.75]]
    np.testing.assert_array_equal(defense.encode_labels(labels), codes)
    logits = jnp.array([[0.0, 8.0, -8.0], [8.0, 0.0, 0.0]])
    np.testing.assert_array_equal(defense.decode_logits(logits).argmax(axis=1), [0, 2])
    assert defense.encodes_labels
    assert defense.keeps_zero_sum


def test_decoder_sees_probabilities():
    """Softmax(0, ln 3) is (1/4, 3/4), times 4 and swapped: (3, 1)."""
    autoencoder = Autoencoder(jnp.eye(2), network(shift(2), 4.0))
    logits = cae(autoencoder).decode_logits(jnp.array([[0.0, np.log(3.0)]]))
    np.testing.assert_allclose(logits, [[3.0, 1.0]], rtol=1e-6)


def test_autoencoders_can_be_mapped():
    turned = SHIFTED._replace(codebook=SHIFTED.codebook.T)
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), SHIFTED, turned)
    values = jax.random.normal(jax.random.key(0), (5, 3))

    def both(autoencoder):
        defense = cae(autoencoder)
        return defense.encode_labels(values), defense.decode_logits(values)

    mapped = jax.jit(jax.vmap(both))(stacked)
    for place, autoencoder in enumerate((SHIFTED, turned)):
        for in_map, alone in zip(mapped, both(autoencoder), strict=True):
            np.testing.assert_allclose(in_map[place], alone, rtol=1e-6)


def test_codebook_entropy_by_hand():
    """Rows (1, 0, 0, 0), uniform over 2 and over 4: 0, 1/2, 1 of log 4; 1/2."""
    rows = [[1.0, 0, 0, 0], [0.5, 0, 0.5, 0], [0.25] * 4, [0, 0.5, 0.5, 0]]
    entropy = defenses.codebook_entropy(jnp.array(rows))
    assert float(entropy) == pytest.approx((0 + 0.5 + 1 + 0.5) / 4)


# The losses, seen through the first step of an epoch.


@functools.cache
def epoch_of(loss: Literal["released", "printed"], num_classes):
    return jax.jit(AutoencoderTraining(num_classes=num_classes, loss=loss).epoch)


def first_loss(loss, params, labels, entropy_weight, key=0):
    """Of the given networks, on the first rows of a permutation of the labels."""
    state = params, optax.adam(5e-4).init(params), np.float32(labels)
    epoch = epoch_of(loss, labels.shape[1])
    return float(epoch(jax.random.key(key), state, entropy_weight)[1][0])


def probabilities(params, inputs):
    params = jax.tree.map(np.float64, params)
    hidden = inputs @ params["hidden"]["kernel"] + params["hidden"]["bias"]
    hidden = np.where(hidden > 0, hidden, 0)
    powers = np.exp(hidden @ params["output"]["kernel"] + params["output"]["bias"])
    return powers / powers.sum(axis=1, keepdims=True)


def reference_loss(loss, params, labels, entropy_weight):
    """In float64 from the description: Eq. 15, or what the released code makes of it.

    There, cross-entropies are torch's, of "logits" that are probabilities already.
    """
    code = probabilities(params["encoder"], labels)
    decoded = probabilities(params["decoder"], code)
    if loss == "printed":
        reconstruction = -np.sum(labels * np.log(decoded)) / len(labels)
        contrast = -np.sum(labels * np.log(np.maximum(code, 1e-6))) / len(labels)
        entropy = -np.sum(code * np.log(code)) / len(labels)
        return reconstruction - contrast - entropy_weight * entropy

    def torch_cross_entropy(given):
        normalizers = np.log(np.exp(given).sum(axis=1))
        return np.mean(normalizers - np.sum(labels * given, axis=1))

    entropy = -(code * np.log(code + 1e-6)).sum() / code.size
    return (
        10 * torch_cross_entropy(decoded)
        - torch_cross_entropy(code)
        - entropy_weight * entropy
    )


@pytest.mark.parametrize(
    ("loss", "num_classes", "hidden"), [("released", 10, 10), ("printed", 3, 400)]
)
def test_losses_are_those_of_an_independent_version(loss, num_classes, hidden):
    rng = np.random.default_rng(0)
    labels = rng.dirichlet(np.full(num_classes, 0.2), 30_000).astype(np.float32)
    rows = np.asarray(jax.random.permutation(jax.random.key(5), len(labels)))[:BATCH]
    for weight in (0.0, 0.5, 2.0):
        params = {
            name: random_network(rng, num_classes, hidden, scale=2 / hidden**0.5)
            for name in ("encoder", "decoder")
        }
        expected = reference_loss(loss, params, np.float64(labels[rows]), weight)
        value = first_loss(loss, params, labels, weight, key=5)
        assert value == pytest.approx(expected, rel=1e-5, abs=1e-5)


# Ten one-hot labels in turn; a network that is right, and one that never is.
ONE_HOT = np.eye(10)[np.arange(30_000) % 10]
RIGHT, WRONG = network(np.eye(10), 200.0), network(shift(10), 200.0)


@pytest.mark.parametrize(
    ("encoder", "decoder", "expected"),
    [
        (RIGHT, RIGHT, 10 * 1.4612 - 1.4612),
        (RIGHT, WRONG, 10 * 2.4612 - 1.4612),
        (WRONG, WRONG, 10 * 2.4612 - 2.4612),
        (WRONG, network(shift(10).T, 200.0), 10 * 1.4612 - 2.4612),
    ],
)
def test_released_cross_entropies_are_bounded(encoder, decoder, expected):
    """A log-softmax of one-hot probabilities: log(e + 9) − 1 = 1.4612 if right.

    And log(e + 9) = 2.4612 if wrong. Ten times the one less the other.
    """
    loss = first_loss("released", {"encoder": encoder, "decoder": decoder}, ONE_HOT, 0)
    assert loss == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_released_loss_stays_within_its_bounds(scale):
    """10 · 1.4612 − 2.4612 = 12.151 to 10 · 2.4612 − 1.4612 = 23.151."""
    rng = np.random.default_rng(3)
    params = {
        name: random_network(rng, 10, 10, scale) for name in ("encoder", "decoder")
    }
    assert 12.15 < first_loss("released", params, ONE_HOT, 0) < 23.152


@pytest.mark.parametrize(
    ("loss", "num_classes", "hidden", "entropy"),
    [("released", 10, 10, np.log(10) / 10), ("printed", 3, 400, np.log(3))],
)
def test_entropy_of_a_uniform_code(loss, num_classes, hidden, entropy):
    """log C, of which the released code takes the mean over entries, a Cth."""
    uniform = network(np.eye(num_classes), 0.0, hidden)
    params = {"encoder": uniform, "decoder": uniform}
    labels = np.eye(num_classes)[np.arange(30_000) % num_classes]
    values = [first_loss(loss, params, labels, weight) for weight in (0.0, 3.0)]
    assert values[0] - values[1] == pytest.approx(3 * entropy, rel=1e-3)


def test_printed_loss_has_a_floor():
    """The true class has probability e⁻²⁰⁰, decoded right: 0 + log 1e-6 = −13.816."""
    params = {
        "encoder": network(shift(3), 200.0, 400),
        "decoder": network(shift(3).T, 200.0, 400),
    }
    value = first_loss("printed", params, np.eye(3)[np.arange(30_000) % 3], 0.0)
    assert value == pytest.approx(np.log(1e-6), rel=1e-5)


# The training's labels, shapes and numbers.


@functools.cache
def initial_state(loss: Literal["released", "printed"], num_classes):
    return jax.jit(AutoencoderTraining(num_classes=num_classes, loss=loss).init)(
        jax.random.key(8)
    )


@pytest.mark.parametrize(
    ("num_classes", "temperature"), [(3, 0.025), (20, 0.028), (100, 0.05)]
)
def test_released_labels_are_sharpened_probabilities(num_classes, temperature):
    """p^(1/T) / Σ p^(1/T), p = softmax(U), U uniform."""
    key_labels = jax.random.split(jax.random.key(8), 3)[0]
    uniform = jax.random.uniform(key_labels, (30_000, num_classes))
    powers = np.exp(np.float64(uniform))
    probability = powers / powers.sum(axis=1, keepdims=True)
    sharp = probability ** (1 / temperature)
    sharp /= sharp.sum(axis=1, keepdims=True)
    init = AutoencoderTraining(num_classes=num_classes).init
    labels = jax.jit(lambda key: init(key)[2])(jax.random.key(8))
    np.testing.assert_allclose(labels, sharp, rtol=1e-4, atol=1e-6)


def test_printed_labels_are_one_hot_and_balanced():
    """10,000 of each of three, standard deviation 82."""
    labels = np.asarray(initial_state("printed", 3)[2])
    np.testing.assert_array_equal(np.sort(labels, axis=1), [[0, 0, 1]] * 30_000)
    assert np.all(np.abs(labels.sum(axis=0) - 10_000) < 5 * 82)


@pytest.mark.parametrize(
    ("num_classes", "hidden"),
    [(2, 14**2), (5, 32**2), (10, 62**2), (20, 122**2), (100, 202**2)],
)
def test_network_shapes(num_classes, hidden):
    """(6C + 2)² hidden units, and (2C + 2)² for 100 classes."""
    training = AutoencoderTraining(num_classes=num_classes)
    state = jax.eval_shape(training.init, jax.random.key(0))
    for name in ("encoder", "decoder"):
        params = state[0][name]
        assert params["hidden"]["kernel"].shape == (num_classes, hidden)
        assert params["hidden"]["bias"].shape == (1, hidden)
        assert params["output"]["kernel"].shape == (hidden, num_classes)
        assert params["output"]["bias"].shape == (1, num_classes)
    autoencoder = jax.eval_shape(training.finish, state)
    assert autoencoder.codebook.shape == (num_classes, num_classes)


def test_initial_weights_have_the_released_scale():
    """N(0, .01²): 4800 draws, so that the scale is known to 1 %."""
    params = initial_state("printed", 3)[0]
    layers = [params[name][layer] for name in params for layer in params[name]]
    kernels = np.concatenate([np.ravel(layer["kernel"]) for layer in layers])
    assert len(kernels) == 2 * 2 * 3 * 20**2
    assert kernels.std() == pytest.approx(0.01, rel=0.04)
    assert abs(kernels.mean()) < 5 * 0.01 / len(kernels) ** 0.5
    assert len(np.unique(kernels)) > 0.99 * len(kernels)
    assert not any(np.any(layer["bias"]) for layer in layers)


@pytest.mark.parametrize(
    ("num_classes", "num_epochs"),
    [(2, 50), (5, 20), (10, 50), (20, 30), (100, 50), (3, 50), (7, 20), (1000, 50)],
)
def test_number_of_epochs_is_that_of_the_nearest_published_count(
    num_classes, num_epochs
):
    released = AutoencoderTraining(num_classes=num_classes, num_epochs=None)
    assert released.epochs == num_epochs
    assert AutoencoderTraining(num_classes=num_classes, num_epochs=3).epochs == 3


# What training achieves. One compiled program per number of classes serves all tests.


@functools.cache
def trainer(num_classes):
    """Maps over entropy weights, hence traces them."""
    training = AutoencoderTraining(num_classes=num_classes, num_epochs=NUM_EPOCHS)

    def train(key, entropy_weight):
        key_init, key_epochs = jax.random.split(key)
        state, _ = jax.lax.scan(
            lambda state, epoch_key: training.epoch(epoch_key, state, entropy_weight),
            training.init(key_init),
            jax.random.split(key_epochs, NUM_EPOCHS),
        )
        return training.finish(state)

    return jax.jit(jax.vmap(train, in_axes=(None, 0)))


@functools.cache
def trained(num_classes):
    """By entropy weight."""
    stacked = trainer(num_classes)(jax.random.key(1), jnp.array(WEIGHTS))
    stacked = jax.tree.map(np.asarray, stacked)
    return [
        jax.tree.map(lambda leaf, i=i: jnp.asarray(leaf[i]), stacked)
        for i in range(len(WEIGHTS))
    ]


SMALL = (
    3,
    pytest.param(2, marks=pytest.mark.slow),
    pytest.param(4, marks=pytest.mark.slow),
    pytest.param(5, marks=pytest.mark.slow),
)


@pytest.mark.parametrize("num_classes", SMALL)
def test_codes_are_decoded_and_never_name_the_class(num_classes):
    for autoencoder in trained(num_classes):
        defense, classes = cae(autoencoder), np.arange(num_classes)
        codebook = defense.encode_labels(jnp.eye(num_classes))
        np.testing.assert_allclose(codebook.sum(axis=1), 1.0, rtol=1e-5)
        assert np.all(codebook.argmax(axis=1) != classes)
        decoded = defense.decode_logits(jnp.log(codebook))
        np.testing.assert_array_equal(decoded.argmax(axis=1), classes)


@pytest.mark.parametrize("num_classes", SMALL)
def test_imperfect_predictions_are_decoded_too(num_classes):
    """A model that is a tenth unsure."""
    for autoencoder in trained(num_classes):
        unsure = 0.9 * autoencoder.codebook + 0.1 / num_classes
        decoded = cae(autoencoder).decode_logits(jnp.log(unsure))
        np.testing.assert_array_equal(decoded.argmax(axis=1), np.arange(num_classes))


@pytest.mark.slow
def test_two_classes_can_only_be_swapped():
    for autoencoder in trained(2):
        np.testing.assert_array_equal(autoencoder.codebook.argmax(axis=1), [1, 0])


@pytest.mark.parametrize("num_classes", SMALL)
def test_entropy_grows_with_its_weight(num_classes):
    little, much = (
        np.mean(scipy.stats.entropy(autoencoder.codebook, axis=1))
        for autoencoder in trained(num_classes)
    )
    assert 0 <= little < much - 0.1 < np.log(num_classes - 1) + 0.1


def test_same_key_gives_the_same_autoencoder_and_another_key_another():
    again = trainer(3)(jax.random.key(1), jnp.array(WEIGHTS))
    other = trainer(3)(jax.random.key(2), jnp.array(WEIGHTS))
    for place, autoencoder in enumerate(trained(3)):
        np.testing.assert_array_equal(again.codebook[place], autoencoder.codebook)
        assert np.all(other.codebook[place] != autoencoder.codebook)


@pytest.mark.parametrize(("num_classes", "num_epochs"), [(3, 3), (10, 1)])
def test_printed_loss_stays_finite(num_classes, num_epochs):
    """It can't fall below log 1e-6 − λ2 log C, and soon falls most of the way."""
    state = initial_state("printed", num_classes)
    for seed in range(num_epochs):
        epoch = epoch_of("printed", num_classes)
        state, losses = epoch(jax.random.key(seed), state, 0.5)
        assert np.all(losses > np.log(1e-6) - 0.5 * np.log(num_classes))
    assert np.all(losses[-10:] < -12)
    autoencoder = AutoencoderTraining(num_classes=num_classes, loss="printed").finish(
        state
    )
    chex.assert_tree_all_finite(autoencoder)
    assert np.all(np.diag(autoencoder.codebook) < 1e-6)
    decoded = cae(autoencoder).decode_logits(jnp.log(autoencoder.codebook))
    np.testing.assert_array_equal(decoded.argmax(axis=1), np.arange(num_classes))


@pytest.mark.slow
def test_ten_classes_are_always_decoded():
    """After ten epochs, the default of experiments, for each of four seeds."""
    training = AutoencoderTraining(num_classes=10, num_epochs=10)

    def decodes(seed):
        key_init, key_epochs = jax.random.split(jax.random.key(seed))
        state, _ = jax.lax.scan(
            lambda state, key: training.epoch(key, state, 1.0),
            training.init(key_init),
            jax.random.split(key_epochs, training.epochs),
        )
        codebook = training.finish(state).codebook
        decoded = cae(training.finish(state)).decode_logits(jnp.log(codebook))
        is_hidden = jnp.argmax(codebook, axis=1) != jnp.arange(10)
        is_decoded = jnp.argmax(decoded, axis=1) == jnp.arange(10)
        return jnp.all(is_decoded), jnp.all(is_hidden)

    mesh = jax.make_mesh((jax.device_count(),), ("seeds",), axis_types=(AxisType.Auto,))
    spread = jax.shard_map(
        lambda seeds: jax.lax.map(decodes, seeds),
        mesh=mesh,
        in_specs=PartitionSpec("seeds"),
        out_specs=PartitionSpec("seeds"),
        check_vma=False,
    )
    is_decoded, is_hidden = jax.jit(spread)(jnp.arange(4))
    assert jnp.all(is_decoded)
    assert jnp.all(is_hidden)


# Mistakes.


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: AutoencoderTraining(num_classes=1),
            r"num_classes=1: must be in \[2, inf\]",
        ),
        (
            lambda: AutoencoderTraining(num_classes=3, num_epochs=0),
            r"num_epochs=0: must be",
        ),
        (
            lambda: AutoencoderTraining(num_classes=3, contrast_weight=-1.0),
            r"contrast_weight=-1.0: must be in \[0, inf\]",
        ),
        (
            lambda: AutoencoderTraining(num_classes=3, loss="fate"),  # pyright: ignore
            "loss='fate': must be one of released, printed",
        ),
        (
            lambda: load_autoencoder(3, -0.5),
            r"entropy_weight=-0.5: must be in \[0, inf\]",
        ),
        (
            lambda: load_autoencoder(3, float("nan")),
            "entropy_weight=nan",
        ),
        (
            lambda: cae(Autoencoder(jnp.ones((3, 2)), {})),
            r"codebook has shape \(3, 2\), must be \(C, C\)",
        ),
        (lambda: cae(Autoencoder(jnp.ones(3), {})), r"codebook has shape \(3,\)"),
        (lambda: defenses.CAE().encode_labels(jnp.eye(4)), "autoencoder=None: must be"),
        (lambda: defenses.CAE(seeds=()), r"seeds=\(\): must be not empty"),
        (lambda: defenses.CAE(seeds=(0, -1)), "seeds=-1: must be >= 0"),
        (lambda: defenses.CAE(num_epochs=0), "num_epochs=0: must be >= 1"),
        (lambda: defenses.CAE(contrast_weight=-1.0), "contrast_weight=-1.0: must be"),
        (lambda: defenses.CAE(entropy_weight=(-1.0,)), "entropy_weight=-1.0: must be"),
        (
            lambda: cae(SHIFTED).encode_labels(jnp.eye(4)),
            "autoencoder: made for 3 classes, the protocol has 4",
        ),
    ],
)
@pytest.mark.usefixtures("unchecked_types")
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
