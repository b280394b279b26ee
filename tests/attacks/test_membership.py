"""Membership from embedding rows: bits against the plain rule, decay and momentum."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax.attacks import Known, MembershipFromEmbedding, TokensPresent, read_rounds
from vfljax.attacks.membership import held_by_a_round, pack_rounds
from vfljax.goals import MEMBERSHIP, Truth
from vfljax.models import GRUClassifier, PartyModel
from vfljax.protocol import UpdateView, batch_gradient

NOBODY = PartyModel(init=lambda key, x: None, apply=lambda params, x: x)


def plain_rule(present, records):
    """Some round has all tokens of the record that are not padding."""
    found = []
    for record in records:
        tokens = set(record.tolist()) - {0}
        is_known = all(0 <= token < present.shape[1] for token in tokens)
        found.append(
            bool(tokens)
            and is_known
            and any(row[sorted(tokens)].all() for row in present)
        )
    return np.array(found)


@pytest.mark.parametrize("rounds", [1, 31, 32, 33, 100])
def test_bits_are_the_plain_rule(rounds):
    """Padding within, none at all, tokens beyond the table and below zero."""
    generator = np.random.default_rng(rounds)
    present = generator.random((rounds, 20)) < 0.7
    records = generator.integers(0, 20, (300, 6))
    records[generator.random(records.shape) < 0.5] = 0
    records[:20] = 0
    records[20, 1], records[21, 2] = 20, -3
    found = jax.jit(held_by_a_round)(present, records.astype("f"))
    expected = plain_rule(present, records)
    np.testing.assert_array_equal(found, expected)
    assert 0 < expected.sum() < 300
    assert not expected[:22].any()


def test_packing_puts_round_t_into_bit_t():
    present = np.random.default_rng(0).random((70, 9)) < 0.5
    words = np.asarray(pack_rounds(jnp.asarray(present)))
    assert words.shape == (9, 3)
    for token, round_ in ((0, 0), (3, 31), (4, 32), (8, 69)):
        bit = words[token, round_ // 32] >> (round_ % 32) & 1
        assert bit == present[round_, token]


def views_of(updates, params, *, num_steps=1):
    """Views of rounds with given updates and weights of a table."""

    def view(update, table):
        return UpdateView(
            model=NOBODY,
            params={"words": {"embedding": table}},
            update={"words": {"embedding": update}},
            learning_rate=jnp.array(0.1),
            num_classes=2,
            batch_size=4,
            sample_shape=(5,),
            num_steps=num_steps,
        )

    return jax.vmap(view)(updates, params)


def training(seed=0, rounds=50, momentum=0.0, decay=0.0, rate=0.05):
    """Gradients of rows that are there, and updates with decay and momentum."""
    generator = np.random.default_rng(seed)
    present = generator.random((rounds, 30)) < 0.3
    gradients = generator.normal(size=(rounds, 30, 6)) * present[..., None]
    table = generator.normal(size=(30, 6)).astype("f")
    update = np.zeros((30, 6), "f")
    updates, tables = [], []
    for gradient in gradients.astype("f"):
        tables.append(table)
        update = np.float32(momentum) * update + gradient + np.float32(decay) * table
        updates.append(update)
        table = table - np.float32(rate) * update
    return present, jnp.array(updates), jnp.array(tables)


@pytest.mark.parametrize("decay", [0.0, 0.01])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_tokens_are_seen_through_decay_and_momentum(decay, momentum):
    """An observer that ignores them takes every token to be in every round."""
    present, updates, tables = training(momentum=momentum, decay=decay)
    keys = jax.random.split(jax.random.key(0), len(updates))
    reader = TokensPresent(momentum=momentum, weight_decay=decay)
    readings = read_rounds(reader, keys, views_of(updates, tables))
    tokens = reader.tokens(readings)
    np.testing.assert_array_equal(tokens, present[1:] if momentum else present)
    if momentum or decay:
        blind = read_rounds(TokensPresent(), keys, views_of(updates, tables))
        assert np.mean(blind) > 0.9


def test_a_threshold_is_for_noise():
    """Noise of norm about .02 on each row; gradients are larger."""
    present, updates, tables = training()
    noise = np.random.default_rng(1).normal(size=updates.shape).astype("f") * 0.01
    keys = jax.random.split(jax.random.key(0), len(updates))
    reader = TokensPresent(threshold=0.1)
    found = read_rounds(reader, keys, views_of(updates + noise, tables))
    np.testing.assert_array_equal(found, present)
    assert np.all(read_rounds(TokensPresent(), keys, views_of(updates + noise, tables)))


def test_every_member_is_found_and_larger_batches_hide_them():
    """Recall is 1 on any data; precision falls to chance as rounds have all tokens."""
    generator = np.random.default_rng(3)
    records = generator.integers(1, 60, (400, 8))
    is_member = np.arange(400) < 200
    precision = []
    for size in (2, 10, 40, 200):
        present = np.zeros((200 // size, 60), bool)
        for round_, batch in enumerate(records[:200].reshape(-1, size * 8)):
            present[round_, batch] = True
        answer = jax.jit(MembershipFromEmbedding())(
            jax.random.key(0), present, Known(records=jnp.asarray(records, jnp.float32))
        )
        truth = Truth(is_member.astype(int), is_member, is_member, 2)
        scored = MEMBERSHIP.score(jax.device_get(answer), truth, False)
        assert scored["recall"] == 1.0
        precision.append(scored["precision"])
    assert precision == sorted(precision, reverse=True)
    assert precision[0] == 1.0
    assert precision[-1] == scored["chance_precision"] == 0.5


def test_a_layer_that_is_no_table_is_refused():
    _, updates, tables = training(rounds=2)
    views = views_of(updates, tables)
    keys = jax.random.split(jax.random.key(0), 2)
    with pytest.raises(ValueError, match="table='other': must be the name of an embed"):
        read_rounds(TokensPresent(table="other"), keys, views)
    dense = {"words": {"kernel": updates, "bias": updates[..., 0]}}
    broken = dataclasses.replace(views, update=dense)
    with pytest.raises(ValueError, match="a layer whose one array is"):
        read_rounds(TokensPresent(), keys, broken)


def test_bad_options_are_refused():
    with pytest.raises(ValueError, match=r"momentum=1.0: must be in \[0, 1\)"):
        TokensPresent(momentum=1.0)


def test_a_long_text_is_told_by_its_last_tokens():
    """A recurrent network halves the gradient at each step back: 300 are too many."""
    texts = jnp.asarray(np.arange(1, 601).reshape(2, 300), jnp.float32)
    model = GRUClassifier(vocabulary_size=601, embedding=16, hidden=16).make(2)
    params = model.init(jax.random.key(0), texts)
    gradient: Any = batch_gradient(model, params, texts, jnp.array([0, 1]), 2)
    table = np.asarray(gradient["words"]["embedding"])
    moved = np.any(table != 0, axis=1)[1:].reshape(2, 300)
    assert not moved[:, 0].any()  # exactly zero, in float32
    assert moved[:, -60:].all()
    present = jnp.concatenate([jnp.zeros(1, bool), jnp.asarray(moved.ravel())])
    other = texts.at[:, -1].set(1)
    known = Known(records=jnp.concatenate([texts, other]))
    for last, expected in ((None, [0, 0, 0, 0]), (60, [1, 1, 0, 0])):
        attack = MembershipFromEmbedding(last_tokens=last)
        found = attack(jax.random.key(0), present[None], known).is_member
        assert found.tolist() == [bool(each) for each in expected]


def test_tokens_whose_gradient_is_tiny_are_seen():
    """Of 1e-30, whose square is no number of float32."""
    updates = jnp.zeros((2, 3, 4)).at[:, 1].set(1e-30)
    views = views_of(updates, jnp.zeros((2, 3, 4)))
    keys = jax.random.split(jax.random.key(0), 2)
    seen = read_rounds(TokensPresent(), keys, views)
    assert np.asarray(seen).tolist() == [[False, True, False]] * 2


def test_last_tokens_are_at_least_one():
    with pytest.raises(ValueError, match="last_tokens=0"):
        MembershipFromEmbedding(last_tokens=0)
