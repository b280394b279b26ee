"""The swap of Algorithm 3 by hand, in a protocol, and what it changes."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vfljax import attacks, models, protocol

# Samples 1 and 4 carry the trigger, 2 and 5 are known to be of the target class.
POISONED = jnp.array([False, True, False, False, True, False])
TARGET = jnp.array([False, False, True, False, False, True])
BATCH = jnp.array([5, 0, 4, 1, 3, 2])  # poisoned: slots 2, 3; targets: slots 0, 5
ROWS = jnp.arange(12.0).reshape(6, 2)


@pytest.fixture
def key():
    return jax.random.key(0)


def test_targets_speak_with_the_poisoned_samples_embeddings(key):
    sent = attacks.label_replacement(POISONED, TARGET).send(key, ROWS, BATCH)
    np.testing.assert_array_equal(sent, ROWS[jnp.array([2, 1, 2, 3, 4, 3])])


def test_poisoned_rows_are_amplified_answers_to_the_targets():
    swap = attacks.label_replacement(POISONED, TARGET, 3.0)
    scale = jnp.array([0.0, 1, 3, 3, 1, 0])[:, None]
    expected = scale * ROWS[jnp.array([0, 1, 0, 5, 4, 5])]
    np.testing.assert_array_equal(swap.receive(ROWS, BATCH), expected)
    keeping = attacks.label_replacement(POISONED, TARGET, 3.0, uses_targets=True)
    kept = expected.at[jnp.array([0, 5])].set(ROWS[jnp.array([0, 5])])
    np.testing.assert_array_equal(keeping.receive(ROWS, BATCH), kept)


@pytest.mark.parametrize(
    ("batch", "paired"),
    [
        ([0, 3], []),
        ([1, 0], []),  # no target
        ([2, 0], []),  # no poisoned sample
        ([1, 4, 2], [0, 2]),  # one target for two
        ([2, 4, 5], [0, 1]),  # two targets for one
    ],
)
def test_without_a_partner_nothing_changes(batch, paired, key):
    swap = attacks.label_replacement(POISONED, TARGET)
    rows = 1.0 + ROWS[: len(batch)]
    for new in (
        swap.send(key, rows, jnp.array(batch)),
        swap.receive(rows, jnp.array(batch)),
    ):
        changed = np.flatnonzero(np.any(new != rows, axis=1)).tolist()
        assert set(changed) <= set(paired)
        assert bool(changed) == bool(paired)


def test_stealth_sends_random_numbers_for_the_poisoned_sample_alone(key):
    swap = attacks.label_replacement(POISONED, TARGET, is_stealthy=True)
    plain = attacks.label_replacement(POISONED, TARGET).send(key, ROWS, BATCH)
    sent = swap.send(key, ROWS, BATCH)
    changed = np.any(np.asarray(sent != plain), axis=1)
    assert changed.tolist() == [False, False, True, True, False, False]
    other = swap.send(jax.random.key(1), ROWS, BATCH)
    assert np.all(np.asarray(other != sent)[changed])


def test_stealthy_rows_have_the_spread_of_the_batch(key):
    batch = jnp.arange(4000)
    is_poisoned = batch < 2000
    rows = jax.random.normal(jax.random.key(3), (4000, 2)) * jnp.array([[0.5, 4.0]])
    swap = attacks.label_replacement(is_poisoned, ~is_poisoned, is_stealthy=True)
    noise = np.asarray(swap.send(key, rows, batch))[:2000]
    np.testing.assert_allclose(noise.std(axis=0), [0.5, 4.0], rtol=0.1)
    np.testing.assert_allclose(noise.mean(axis=0) / [0.5, 4.0], 0, atol=0.1)


@pytest.fixture
def trained():
    """Trains two parties for a few steps, the first one with a manipulation."""
    labels = jnp.array([0, 1, 1, 0, 0, 1])
    batches = jnp.stack([BATCH, BATCH[::-1], jnp.roll(BATCH, 2)])

    def run(manipulation):
        first, second, key_init, key_train = jax.random.split(jax.random.key(5), 4)
        features = [jax.random.normal(key, (6, 3)) for key in (first, second)]
        model = models.mlp((4,), embed=2)
        made = protocol.sum_of_logits(
            (model, model),
            (optax.sgd(0.1), optax.sgd(0.1)),
            num_classes=2,
            manipulations={0: manipulation} if manipulation else None,
        )
        state = made.init(key_init, features)
        train = jax.jit(
            lambda state: protocol.train(
                made, key_train, state, features, labels, batches
            )
        )
        return train(state)

    return run


def test_no_poisoned_samples_is_clean_training_bit_for_bit(trained):
    nobody = jnp.zeros(6, bool)
    clean = trained(None)
    swapped = trained(attacks.label_replacement(nobody, TARGET))
    for expected, found in zip(
        jax.tree.leaves(clean), jax.tree.leaves(swapped), strict=True
    ):
        np.testing.assert_array_equal(expected, found)


def test_amplification_may_be_traced_and_mapped():
    def answer(amplification):
        swap = attacks.label_replacement(POISONED, TARGET, amplification)
        return swap.receive(ROWS, BATCH)

    mapped = jax.jit(jax.vmap(answer))(jnp.array([1.0, 10.0]))
    np.testing.assert_array_equal(mapped[1], answer(10.0))
    np.testing.assert_array_equal(mapped[0], answer(1.0))


def test_batch_gradient_is_that_of_the_swapped_messages():
    """One linear party by hand: gradient = Σ_b x_b ⊗ used message of b."""
    model = models.mlp((), embed=2)
    swap = attacks.label_replacement(POISONED, TARGET, 2.0)
    run = protocol.sum_of_logits(
        (model, model),
        (optax.sgd(0.1), optax.sgd(0.1)),
        num_classes=2,
        manipulations={0: swap},
    )
    first, second, key_init, key_step = jax.random.split(jax.random.key(1), 4)
    features = [jax.random.normal(key, (6, 3)) for key in (first, second)]
    labels = jnp.array([1, 0, 0, 1, 0, 1])
    state = run.init(key_init, features)
    transcript, _ = run.exchange(key_step, state, features, labels, BATCH)
    own = model.apply(state.params[0], features[0])
    other = model.apply(state.params[1], features[1])
    sent = own[jnp.array([2, 1, 2, 3, 4, 3])]
    np.testing.assert_allclose(transcript.embeddings[0], sent, rtol=1e-6)
    message = (jax.nn.softmax(sent + other) - jax.nn.one_hot(labels, 2)) / 6
    np.testing.assert_allclose(transcript.gradients[0], message, rtol=1e-5, atol=1e-7)
    used = swap.receive(message, BATCH)
    kernel = transcript.batch_gradients[0]["output"]["kernel"]
    np.testing.assert_allclose(kernel, features[0].T @ used, rtol=1e-4, atol=1e-6)
    kernel = transcript.batch_gradients[1]["output"]["kernel"]
    np.testing.assert_allclose(kernel, features[1].T @ message, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("party", [1, -1, 2])
def test_only_passive_parties_cheat(party):
    model = models.mlp((), embed=2)
    with pytest.raises(ValueError, match=f"manipulations: has party {party}, must be"):
        protocol.sum_of_logits(
            (model, model),
            (optax.sgd(0.1), optax.sgd(0.1)),
            num_classes=2,
            manipulations={party: protocol.Manipulation()},
        )
