"""The order in which composed defenses act, and the orders that are refused."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax.defenses import (
    Autoencoder,
    Chain,
    Defense,
    NoDefense,
    cae,
    discrete_sgd,
    dp_gaussian,
    isotropic,
    marvell,
    max_norm,
)

# Two classes with each other's names; nothing here decodes.
SWAP = cae(Autoencoder(codebook=jnp.eye(2)[::-1], decoder={}))
# Heights of (t, −t) that are larger for the positive samples.
LABELS = jnp.array([0, 1, 1, 0, 1])
MESSAGE = jnp.array([[0.5], [-0.25], [-0.5], [0.125], [-0.75]]) * jnp.array([[1, -1]])


def perturb(defense, message, seed=0):
    state, rows = defense.init(), jnp.arange(len(message))
    labels = LABELS[: len(message)]
    return defense.perturb(jax.random.key(seed), state, message, labels, rows)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Double(Defense):
    def encode_labels(self, labels):
        return 2 * labels

    def perturb(self, key, state, gradients, labels, sample_ids):
        return 2 * gradients, state

    def decode_logits(self, logits):
        return 2 * logits

    def penalty(self, embeddings, targets):
        return jnp.sum(embeddings[0])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Add(Defense):
    covers_label_party: bool = True

    def encode_labels(self, labels):
        return labels + 1

    def perturb(self, key, state, gradients, labels, sample_ids):
        return gradients + 1, state

    def decode_logits(self, logits):
        return logits + 1

    def penalty(self, embeddings, targets):
        return 10 * jnp.sum(targets)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Flip(Defense):
    """Names each sample anew, once per training."""

    def prepare_targets(self, key, labels):
        return jax.random.permutation(key, labels)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counter(Defense):
    start: int

    def init(self):
        return self.start

    def perturb(self, key, state, gradients, labels, sample_ids):
        return gradients, state + 1


DOUBLE, ADD = Double(), Add()


def test_acts_in_order():
    """Encoding first to last, decoding last to first, perturbing first to last."""
    both = Chain(DOUBLE, ADD)
    one = jnp.ones((1, 1))
    assert both.encode_labels(one) == 3.0
    assert perturb(both, one)[0] == 3.0
    assert both.decode_logits(one) == 4.0


def test_each_part_has_a_key_and_a_state_of_its_own():
    """Two noises of length 1 are √2 together, and 2 if they are the same."""
    noisy = dp_gaussian(1.0, clip_norm=float("inf"))
    noise, _ = perturb(Chain(noisy, noisy), jnp.zeros((4, 500)))
    assert np.std(noise) == pytest.approx(2**0.5, rel=0.1)
    whole = Chain(Counter(start=0), DOUBLE, Counter(start=10))
    assert whole.init() == (0, (), 10)
    assert perturb(whole, MESSAGE)[1] == (1, (), 11)


@pytest.mark.parametrize(
    ("parts", "covers", "keeps", "needs", "encodes"),
    [
        ((DOUBLE, DOUBLE), False, True, False, False),
        ((DOUBLE, ADD), True, True, False, False),
        ((max_norm(), isotropic(0.1)), False, False, False, False),
        ((marvell(1.0), dp_gaussian(0.1)), False, False, True, False),
        ((SWAP, marvell(1.0)), False, True, True, True),
        ((SWAP, discrete_sgd(12)), True, False, False, True),
        ((NoDefense(),), False, True, False, False),
    ],
)
def test_facts_about_the_whole(parts, covers, keeps, needs, encodes):
    whole = Chain(*parts)
    assert whole.covers_label_party == covers
    assert whole.keeps_zero_sum == keeps
    assert whole.needs_zero_sum == needs
    assert whole.encodes_labels == encodes


def test_targets_are_prepared_in_order_with_a_key_each():
    """Shuffled, doubled, shuffled otherwise; the default is the code of each batch."""
    labels = jnp.eye(50)
    assert DOUBLE.prepare_targets(jax.random.key(0), labels)[3, 3] == 2
    whole = Chain(Flip(), DOUBLE, Flip())
    assert (
        whole.overrides("prepare_targets"),
        Chain(DOUBLE, ADD).overrides("prepare_targets"),
    ) == (
        True,
        False,
    )
    keys = jax.random.split(jax.random.key(1), 3)
    once = jax.random.permutation(keys[0], labels)
    twice = jax.random.permutation(keys[2], 2 * once)
    targets = whole.prepare_targets(jax.random.key(1), labels)
    np.testing.assert_array_equal(targets, twice)
    assert not np.array_equal(once[0], twice[0] / 2)


def test_penalties_add_up():
    """By hand: the sum 6 of the first embedding, and ten times that of the targets."""
    embeddings = (jnp.array([[1.0, 2.0, 3.0]]), jnp.ones((1, 2)))
    targets = jnp.array([[0.25, 0.75]])
    assert Chain(DOUBLE, ADD).penalty(embeddings, targets) == 16
    assert Chain(DOUBLE, NoDefense()).overrides("penalty")
    nothing = Chain(NoDefense(), max_norm())
    assert not nothing.overrides("penalty")
    assert nothing.penalty(embeddings, targets) == NoDefense().penalty((), targets) == 0


def test_chain_of_chains_is_one_chain():
    nested = Chain(Chain(DOUBLE, ADD), DOUBLE)
    flat = Chain(DOUBLE, ADD, DOUBLE)
    one = jnp.ones((1, 1))
    assert nested.encode_labels(one) == flat.encode_labels(one) == 6.0
    assert nested.decode_logits(one) == flat.decode_logits(one) == 6.0
    assert perturb(nested, one)[0] == perturb(flat, one)[0] == 6.0


def test_a_chain_that_only_encodes_sends_the_message_and_keeps_its_state():
    whole = Chain(NoDefense(), Chain(SWAP))
    sent, state = perturb(whole, MESSAGE)
    np.testing.assert_array_equal(sent, MESSAGE)
    assert state == whole.init() == ((), ((),))


def test_code_and_noise():
    """MARVELL goes by the true labels, whatever the model is trained on."""
    whole = Chain(SWAP, marvell(1.0))
    one_hot = jnp.eye(2)[LABELS]
    np.testing.assert_array_equal(whole.encode_labels(one_hot), one_hot[:, ::-1])
    sent = jax.jit(lambda: perturb(whole, MESSAGE)[0])()
    np.testing.assert_allclose(sent.sum(axis=1), 0.0, atol=1e-6)
    assert not np.allclose(sent, MESSAGE)


@pytest.mark.parametrize(
    "parts",
    [
        (SWAP, dp_gaussian(0.1), discrete_sgd(6)),
        (NoDefense(), SWAP),
        (max_norm(), marvell(1.0)),
        (SWAP, marvell(1.0), isotropic(0.1)),
        (dp_gaussian(0.1), marvell(1.0, zero_sum=False)),
        (Chain(SWAP, discrete_sgd(12)), dp_gaussian(0.1)),
        (Chain(NoDefense()), SWAP),
        (Chain(Chain(NoDefense()), NoDefense()), Chain(SWAP)),
    ],
)
def test_orders_that_make_sense(parts):
    Chain(*parts)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((), r"defenses=\(\): chain needs at least one defense"),
        ((SWAP, SWAP), r"numbers \[0, 1\] all encode the labels; allowed is one"),
        ((SWAP, max_norm(), Chain(SWAP)), r"numbers \[0, 2\] all encode"),
        ((dp_gaussian(0.1), SWAP), "number 1 encodes labels after .* put it first"),
        (
            (NoDefense(), max_norm(), Chain(SWAP, discrete_sgd(12))),
            "number 2 encodes labels after",
        ),
        ((isotropic(0.1), marvell(1.0)), "number 1 relies on rows that sum to zero"),
        (
            (max_norm(), discrete_sgd(12), Chain(max_norm(), marvell(1.0))),
            "number 2 relies on rows that sum to zero, which one before it breaks",
        ),
        (
            (Chain(marvell(1.0), dp_gaussian(0.1)), marvell(1.0)),
            "number 1 relies on rows",
        ),
    ],
)
def test_orders_that_make_none(parts, message):
    with pytest.raises(ValueError, match=message):
        Chain(*parts)
