"""Who is marked, how batches are made, and the same on ciphertexts."""

import dataclasses
import re
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import attacks, data, losses, protocol
from vfljax.protocol import encrypted

LABELS = np.arange(60) % 3
SMALL: Any = {"num_poisoned": 9, "num_poisoned_test": 5}
REPLACEMENT = attacks.LabelReplacement(**SMALL, num_targets=4)
TRIGGER = data.trigger_mask(data.TRIGGERS["mnist"], (28, 28))
CODES = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.2, 0.7, 0.1]], np.float32)


def make_scene(codes=None, wrong=(), passive=(0, 1)):
    """Sixty samples, twenty tests; two adversaries hold the rows of an image.

    What `infer` finds are the true labels, but for `wrong` positions, which it calls 0.
    """
    codes = np.eye(3, dtype=np.float32) if codes is None else codes
    halves = [np.split(part, [20]) for part in TRIGGER]
    asked = []

    def samples_of(key, target, number, excluded):
        is_eligible = (jnp.asarray(LABELS) == target) & ~excluded
        lots = jax.random.uniform(key, LABELS.shape) + is_eligible
        return jax.lax.top_k(lots, number)[1]

    def infer(key, attack, party, rows):
        asked.append((attack, party))
        true = jnp.asarray(LABELS)[rows]
        labels = jnp.where(jnp.isin(jnp.arange(len(rows)), jnp.array(wrong)), 0, true)
        return labels, jnp.asarray(codes)[true]

    scene = protocol.Scene(
        num_samples=60,
        num_test=20,
        num_classes=3,
        adversary=1,
        passive=passive,
        batch_size=8,
        prepared=tuple(zip(*halves, strict=True)),
        samples_of=samples_of,
        infer=infer,
    )
    return scene, asked


def interfere(attack, **options) -> Any:
    return attack.interferes(jax.random.key(0), make_scene(**options)[0])


def test_batches_have_one_poisoned_sample_and_one_target_more():
    found = interfere(dataclasses.replace(REPLACEMENT, target_class=2))
    poisoned = np.asarray(found.facts["poisoned"])
    assert len(set(poisoned.tolist())) == 9
    batches = np.asarray(found.batches(jax.random.key(1), 6, 40))
    assert batches.shape == (40, 6 + REPLACEMENT.extra_rows) == (40, 8)
    clean, marked, targets = batches[:, :6], batches[:, 6], batches[:, 7]
    assert not np.isin(clean, poisoned).any()
    assert set(marked) == set(poisoned)
    assert set(LABELS[targets]) == {2}
    assert len(set(targets)) == 4
    assert not np.isin(targets, poisoned).any()
    # 51 clean samples: eight batches of six are an epoch, without repetitions.
    assert len(set(clean[:8].reshape(-1))) == 48


def test_without_extended_batches_epochs_are_the_usual_ones():
    drawn = dataclasses.replace(REPLACEMENT, batches="as_drawn")
    nobody = dataclasses.replace(REPLACEMENT, num_poisoned=0)
    for attack in (drawn, nobody):
        assert attack.extra_rows == 0
        assert interfere(attack).batches is None
    assert interfere(drawn).manipulations
    assert interfere(nobody).manipulations == {}
    assert attacks.LabelFlip(**SMALL).extra_rows == 1


def test_the_draws_of_stored_rows():
    """Key by key as they were drawn when the rows of the papers' figures were made."""
    key_marked, key_pairs, _ = jax.random.split(jax.random.key(0), 3)
    key_class, key_poison, key_target, key_tried = jax.random.split(key_marked, 4)
    target = jax.random.randint(key_class, (), 0, 3)
    poisoned = jax.random.permutation(key_poison, 60)[:9]
    eligible = (int(target) == LABELS) & ~np.isin(np.arange(60), poisoned)
    lots = jax.random.uniform(key_target, (60,)) + eligible
    targets = np.argsort(-np.asarray(lots))[:4]
    found = interfere(REPLACEMENT)
    assert found.facts["target"] == target
    np.testing.assert_array_equal(found.facts["poisoned"], poisoned)
    np.testing.assert_array_equal(
        found.asks_about, jax.random.permutation(key_tried, 20)[:5]
    )
    clean = np.setdiff1d(np.arange(60), poisoned)
    key_of_poison, key_of_target = jax.random.split(key_pairs)
    expected = np.concatenate(
        [
            clean[np.asarray(protocol.epoch_batches(jax.random.key(1), 51, 6, 7))],
            jax.random.choice(key_of_poison, poisoned, (7, 1)),
            jax.random.choice(key_of_target, jnp.asarray(targets), (7, 1)),
        ],
        axis=1,
    )
    np.testing.assert_array_equal(found.batches(jax.random.key(1), 6, 7), expected)


@pytest.mark.parametrize(("adversaries", "cheats"), [("one", {1}), ("all", {0, 1})])
def test_only_those_that_cheat_have_the_trigger(adversaries, cheats):
    """It lies in the last rows of the image, with the second party of the two."""
    found = interfere(dataclasses.replace(REPLACEMENT, adversaries=adversaries))
    assert set(found.manipulations) == cheats
    asked = found.asks([np.zeros((5, 20, 28)), np.zeros((5, 8, 28)), np.zeros((5, 1))])
    assert [float(part.sum()) for part in asked] == [0, 20, 0]
    ids = np.arange(60)
    altered = found.manipulations[1].alter(jnp.zeros((60, 8, 28)), ids)
    is_altered = np.asarray(altered).any(axis=(1, 2))
    assert set(np.flatnonzero(is_altered)) == set(found.facts["poisoned"].tolist())
    np.testing.assert_array_equal(altered[is_altered], [TRIGGER[1][20:]] * 9)


def test_interference_may_be_jitted_and_amplification_traced():
    scene, _ = make_scene()

    def received(amplification):
        attack = dataclasses.replace(REPLACEMENT, amplification=amplification)
        found: Any = attack.interferes(jax.random.key(0), scene)
        batch = found.batches(jax.random.key(1), 6, 1)[0]
        return found.manipulations[1].receive(jnp.ones((8, 3)), batch)

    once, thrice = jax.jit(jax.vmap(received))(jnp.array([1.0, 3.0]))
    np.testing.assert_array_equal(once[6], [1, 1, 1])
    np.testing.assert_array_equal(thrice[6], [3, 3, 3])
    np.testing.assert_array_equal(thrice[:6], np.ones((6, 3)))


def test_a_party_that_flips_infers_on_its_own():
    of = attacks.ClusterMatching(of=attacks.DirectInference())
    attack = attacks.LabelFlip(**SMALL, of=of, adversaries="all")
    scene, asked = make_scene(wrong=(3,))
    found = attack.interferes(jax.random.key(0), scene)
    assert asked == [(of, 0), (of, 1)]
    assert found.facts["inferred"].shape == (2, 9)
    assert attack.knowledge == "labels inferred by cluster matching"
    true = LABELS[np.asarray(found.facts["poisoned"])]
    is_right = np.asarray(found.facts["inferred"]) == true
    assert is_right[:, np.arange(9) != 3].all()


def test_a_flip_adds_the_codes_that_messages_seem_to_be_trained_on():
    """With an encoder's codes in them, a message becomes that of the target's code."""
    attack = attacks.LabelFlip(**SMALL, target_class=1, amplification=1.0)
    found = interfere(attack, codes=CODES)
    poisoned = np.asarray(found.facts["poisoned"])
    logits = jax.random.normal(jax.random.key(5), (9, 3))
    before = losses.logit_gradient(logits, jnp.asarray(CODES[LABELS[poisoned]]))
    after = losses.logit_gradient(logits, jnp.asarray(CODES[[1] * 9]))
    flip = found.manipulations[1]
    np.testing.assert_allclose(flip.receive(before, poisoned), after, atol=1e-6)
    assert flip.on_ciphertexts is not None
    for row, change in flip.on_ciphertexts(poisoned, 3)["add"]:
        changed = np.asarray(before[row]) + np.array(change) / 9
        np.testing.assert_allclose(changed, after[row], atol=1e-6)


@pytest.mark.parametrize(
    "attack",
    [
        REPLACEMENT,
        dataclasses.replace(REPLACEMENT, uses_targets=True, amplification=2.0),
        attacks.LabelFlip(**SMALL, amplification=3.0),
    ],
    ids=["replacement", "uses_targets", "flip"],
)
def test_operations_on_ciphertexts_do_the_same(attack):
    """Rows by the rules of the encrypted protocol, in plain numbers."""
    cheat = interfere(attack).manipulations[1]
    rows = np.asarray(jax.random.normal(jax.random.key(7), (60, 3)))
    for ids in (np.arange(60), np.arange(59, -1, -1), np.arange(0, 60, 4)):
        operations = encrypted.RowOperations(**cheat.on_ciphertexts(ids, 3))
        assert operations.replace or operations.add or len(ids) < 60
        sent = rows[ids].copy()
        for poisoned, target in operations.replace:
            sent[target] = rows[ids][poisoned]
        np.testing.assert_array_equal(
            cheat.send(jax.random.key(0), jnp.asarray(rows[ids]), ids), sent
        )
        flipped = rows[ids].copy()
        for row, change in operations.add:
            flipped[row] += np.array(change) / len(ids)
        used = flipped.copy()
        for row, _ in operations.add:
            used[row] = operations.amplification * flipped[row]
        for poisoned, target in operations.replace:
            used[poisoned] = operations.amplification * flipped[target]
        used[list(operations.skip)] = 0
        received = cheat.receive(jnp.asarray(rows[ids]), ids)
        np.testing.assert_allclose(received, used, atol=1e-6)


def test_what_ciphertexts_can_not_do():
    hidden = dataclasses.replace(REPLACEMENT, is_stealthy=True)
    assert interfere(hidden).manipulations[1].on_ciphertexts is None
    for amplification in (0.5, 2.5):
        attack = dataclasses.replace(REPLACEMENT, amplification=amplification)
        cheat = interfere(attack).manipulations[1]
        with pytest.raises(
            ValueError, match=r"amplification=.*: must be a whole number"
        ):
            cheat.on_ciphertexts(np.arange(60), 3)


def make_task(encryption=None, **changes):
    """Two parties' rows of MNIST; the first one attacks unless it is said otherwise."""
    fields = {
        "experiment": SimpleNamespace(
            training=SimpleNamespace(batch_size=8, steps=5, optimizer="adam"),
            encryption=encryption,
            same_samples=True,
            train_steps=(0, 5),
        ),
        "num_classes": 3,
        "num_train": 60,
        "num_test": 20,
        "class_counts": np.array([25, 20, 15]),
        "num_parties": 3,
        "adversary": 1,
        "passive": (0, 1),
        "dataset_name": "mnist",
        "split": lambda part: (part[:, :20], part[:, 20:], part[:, :0]),
        "sample_shape": (28, 28),
    }
    return SimpleNamespace(**(fields | changes))


def test_what_fits():
    parts = REPLACEMENT.prepare(make_task())
    assert [bool(mask.any()) for mask, _ in parts] == [False, True, False]
    assert parts[1][0].shape == parts[1][1].shape == (8, 28)
    assert REPLACEMENT.fits(make_task()) is None
    assert REPLACEMENT.fits(make_task(encryption="real")) is None
    everybody = dataclasses.replace(REPLACEMENT, adversaries="all")
    assert everybody.fits(make_task(adversary=0)) is None


@pytest.mark.parametrize(
    ("changes", "of_task", "words"),
    [
        ({}, {"adversary": 0}, r"trigger='mnist': lies in .*\[1\], must be .*\[0\]"),
        ({"trigger": "nus_wide"}, {}, "trigger='nus_wide': trigger has"),
        ({"target_class": 3}, {}, "target_class=3: must be below 3"),
        ({"num_poisoned": 53}, {}, "num_poisoned=53: must be at most 52, as mnist has"),
        ({"num_poisoned_test": 21}, {}, "num_poisoned_test=21: must be at most 20"),
        ({"num_targets": 7}, {}, "num_targets=7: must be at most 6"),
        ({"amplification": 0.5}, {"encryption": 1}, "amplification=0.5: must be a who"),
        ({"is_stealthy": True}, {"encryption": 1}, "is_stealthy=True: must be False"),
    ],
)
def test_what_does_not_fit(changes, of_task, words):
    reason = dataclasses.replace(REPLACEMENT, **changes).fits(make_task(**of_task))
    assert reason is not None
    assert re.match(words, reason), reason


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trigger": "cross"}, "trigger='cross': must be one of mnist"),
        ({"adversaries": "two"}, "adversaries='two': must be one of one, all"),
        ({"batches": "few"}, "batches='few': must be one of"),
        ({"num_poisoned": -1}, r"num_poisoned=-1: must be in \[0"),
        ({"num_poisoned_test": 0}, r"num_poisoned_test=0: must be in \[1"),
        ({"target_class": -1}, r"target_class=-1: must be in \[0"),
        ({"amplification": -0.5}, r"amplification=-0.5: must be in \[0"),
        ({"num_targets": 0}, r"num_targets=0: must be in \[1"),
    ],
)
@pytest.mark.usefixtures("unchecked_types")
def test_bad_options(changes, message):
    with pytest.raises(ValueError, match=message):
        attacks.LabelReplacement(**changes)


def test_a_flip_needs_classes_inferred_from_messages():
    for of in (attacks.NormScoring(), attacks.OwnPrediction(), attacks.LabelFlip()):
        with pytest.raises(ValueError, match="must be an attack that infers classes"):
            attacks.LabelFlip(of=of)
