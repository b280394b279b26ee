"""What passes between roles: sizes, forms, masks, and what the third party refuses."""

import functools
import hashlib
import json

import numpy as np
import optax
import pytest
from scipy import stats

from vfljax import encryption
from vfljax.encryption import EncryptionError
from vfljax.protocol import encrypted
from vfljax.protocol.encrypted import (
    active_party,
    gradient_product,
    messages,
    passive_party,
)


def of_kind(passed, kind, receiver=None):
    return next(
        message
        for message in passed
        if message.kind == kind and receiver in (None, message.receiver)
    )


def test_way_back_from_bytes():
    message = messages.Message(3, "a", "b", "kind", "encrypted", (b"", b"\x00xyz"))
    content = messages.to_bytes(message)
    assert messages.from_bytes(content) == message
    record = messages.record_of(message)
    assert (record.num_ciphertexts, record.num_bytes) == (2, 4)
    assert record.sha256 == hashlib.sha256(b"\x00xyz").hexdigest()
    with pytest.raises(ValueError, match="must be whole parts"):
        messages.from_bytes(content[:-1])


@pytest.mark.parametrize(
    ("layout", "gradient_ciphertexts"), [("row", 128), ("compact", 6)]
)
def test_bytes_of_an_iteration(make_training, layout, gradient_ciphertexts):
    """B = 128, M = 32, C = 10: plain messages exactly, ciphertexts of 262 KB to 1 %.

    Decrypted logits: 128 · 10 numbers of 8 bytes = 10,240. The decrypted gradient:
    33 · 10 numbers = 2,640 bytes. 24 samples per ciphertext: ⌈128 / 24⌉ = 6.
    """
    training = make_training(
        128, (32, 4), 10, 1, layout=layout, preset="default", num_samples=128
    )
    between_roles = [
        record
        for record in encrypted.run_here(*training).messages
        if record.sender != messages.NETWORK
    ]
    found = [
        (record.sender, record.receiver, record.form, record.num_ciphertexts)
        for record in between_roles
    ]
    masked = "encrypted, masked"
    assert found == [
        ("third_party", "passive_0", "public", 0),
        ("third_party", "active", "public", 0),
        ("passive_0", "active", "encrypted", 1),
        ("active", "third_party", masked, 1),
        ("third_party", "active", "masked plain", 0),
        ("active", "passive_0", "encrypted", gradient_ciphertexts),
        ("passive_0", "third_party", masked, 1),
        ("third_party", "passive_0", "masked plain", 0),
    ]
    sizes = [record.num_bytes for record in between_roles]
    one = 262_275
    expected = [366e3, 366e3, one, one, 10_240, gradient_ciphertexts * one, one, 2640]
    np.testing.assert_allclose(sizes, expected, rtol=0.01)
    assert (sizes[4], sizes[7]) == (10_240, 2640)


def test_several_passive_parties_and_their_messages(make_training):
    """Messages 1, 4, 5, 6 twice; 2 and 3 once."""
    run = encrypted.run_here(
        *make_training(widths=(2, 4, 3), num_iterations=1, backend="plain_int")
    )
    kinds = [record.kind for record in run.messages if record.iteration == 0]
    assert sorted(kinds) == sorted(
        4 * ["batch"]
        + ["masked_logits", "decrypted_logits"]
        + 2 * ["embeddings", "logit_gradients", "masked_gradient", "decrypted_gradient"]
    )


def test_messages_of_the_network_are_logged(make_training, tmp_path):
    """The third party learns that an iteration begins, and not with which samples."""
    training = make_training(num_iterations=2, backend="plain_int")
    run = encrypted.run_here(*training, folder=tmp_path)
    lines = (tmp_path / "messages.jsonl").read_text().splitlines()
    logged = [encrypted.MessageRecord(**json.loads(line)) for line in lines]
    assert logged == list(run.messages)
    own = [record for record in logged if record.sender == messages.NETWORK]
    found = [
        (record.iteration, record.receiver, record.kind, record.num_bytes)
        for record in own
    ]
    assert found == [
        (-1, "third_party", "setup", 0),
        *((0, party, "batch", 6 * 8) for party in ("passive_0", "active")),
        (0, "third_party", "batch", 0),
        *((1, party, "batch", 6 * 8) for party in ("passive_0", "active")),
        (1, "third_party", "batch", 0),
    ]
    rows = training.batches[1].astype("<i8").tobytes()
    assert own[-2].sha256 == hashlib.sha256(rows).hexdigest()
    assert {record.form for record in own} == {"public"}


def test_masked_values_are_uniform(make_training, make_wire):
    """All the third party ever decrypts: chi-square in 32 bins at 0.1 %.

    The same is far from uniform without masks, as small numbers fill two bins.
    """
    wire = make_wire(make_training(num_iterations=5, backend="plain_int"))
    seen, secret = [], encryption.plain_int(encryption.PRESETS["small"]).keygen()
    for iteration in range(5):
        passed = wire.run(iteration)
        for kind in ("masked_logits", "masked_gradient"):
            seen += [secret.decrypt(part) for part in of_kind(passed, kind).parts]
    counts = np.bincount((np.concatenate(seen) >> np.uint64(47)).astype(int))
    assert len(counts) == 32
    assert counts.sum() == 5 * 2 * 4096
    assert stats.chisquare(counts).pvalue > 1e-3


def test_same_batch_twice_looks_different(make_training, make_wire, monkeypatch):
    """One key and one gradient, as the rate is 0; fresh encryptions, fresh masks."""
    training = make_training()
    at_rest = functools.partial(optax.sgd, 0.0)
    passive = [training.passive[0]._replace(make_optimizer=at_rest)]
    active = training.active._replace(make_optimizer=at_rest)
    training.batches[1] = training.batches[0]
    masks = {name: note_masks(monkeypatch, name) for name in ("active", "passive_0")}
    wire = make_wire(training._replace(passive=passive, active=active))
    first, second = wire.run(0), wire.run(1)
    kept = messages.unpack_arrays(wire.passive[0].state())
    observed = passive_party.read_observations(wire.agreement, kept)
    np.testing.assert_array_equal(observed[0].integers, observed[1].integers)
    kinds = ["embeddings", "masked_logits", "decrypted_logits", "logit_gradients"]
    for kind in [*kinds, "masked_gradient", "decrypted_gradient"]:
        before, after = (of_kind(passed, kind).parts for passed in (first, second))
        for one, other in zip(before, after, strict=True):
            assert one != other, kind
    for drawn in masks.values():
        assert len(drawn) == 2
        assert (drawn[0] == drawn[1]).mean() < 0.01


def note_masks(monkeypatch, party):
    """A list to which every mask is added that the party draws from now on."""
    module = active_party if party == "active" else gradient_product
    drawn, draw = [], module.random_residues

    def noted(agreement):
        drawn.append(draw(agreement))
        return drawn[-1]

    monkeypatch.setattr(module, "random_residues", noted)
    return drawn


def test_parties_hold_no_decryptor_and_messages_no_secret_key(make_training, make_wire):
    """The decryptor is in the third party alone; the key has a size of its own.

    A secret key has N coefficients at each of the three primes, half a public key: a
    part that carried it would be as long as no other part is.
    """
    import tenseal.sealapi as seal

    wire = make_wire(make_training(preset="default"))
    passed = [messages.from_bytes(content) for content in wire.passed] + wire.run(0)
    secrets = (seal.SecretKey, seal.Decryptor, seal.KeyGenerator)
    for role in (wire.active, *wire.passive):
        assert not any(isinstance(each, secrets) for each in everything_in(role))
    held = list(everything_in(wire.third_party))
    assert sum(isinstance(each, secrets) for each in held) == 1
    lengths = {len(part) // 10_000 for message in passed for part in message.parts}
    assert lengths <= {36, 26, 0}


def everything_in(thing, depth=5):
    """Objects that can be reached by attributes and containers."""
    yield thing
    if depth == 0:
        return
    inside = list(vars(thing).values()) if hasattr(thing, "__dict__") else []
    if isinstance(thing, dict):
        inside += thing.values()
    elif isinstance(thing, list | tuple | set):
        inside += thing
    for each in inside:
        if not isinstance(each, type) and not hasattr(each, "__loader__"):
            yield from everything_in(each, depth - 1)


def test_only_the_agreed_coefficients_are_released(make_training, make_wire):
    """Compact layout: the others hold products of different samples."""
    training = make_training(6, (4, 5), 3, layout="compact", num_iterations=1)
    passed = make_wire(training).run(0)
    (part,) = of_kind(passed, "decrypted_gradient").parts
    assert len(part) == 8 * 3 * (4 + 1)
    (part,) = of_kind(passed, "decrypted_logits").parts
    assert len(part) == 8 * 6 * 3


@pytest.fixture
def asked(make_training, make_wire):
    """A wire after an iteration, and the request that the passive party made in it."""
    wire = make_wire(make_training())
    return wire, of_kind(wire.run(0), "masked_gradient")


def test_second_request_in_an_iteration_is_refused(asked):
    wire, request = asked
    with pytest.raises(EncryptionError, match="masked_gradient of passive_0: one answ"):
        wire.third_party.receive(messages.to_bytes(request))
    wire.begin(1, "third_party")
    wire.third_party.receive(messages.to_bytes(request._replace(iteration=1)))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sender": "active"}, "takes masked_gradient from passive_0 only"),
        ({"kind": "masked_logits"}, "takes masked_logits from active only"),
        ({"sender": "passive_7"}, "takes masked_gradient from passive_0 only"),
        ({"iteration": 0}, "iteration=0: third_party is at iteration 1"),
        ({"receiver": "active"}, "receiver='active': must be 'third_party'"),
        ({"kind": "embeddings"}, "third_party understands setup, batch"),
        ({"parts": ()}, "0 ciphertexts, must be 1"),
        ({"parts": (b"nonsense",)}, "content: 8 bytes"),
    ],
)
def test_requests_that_were_not_agreed_are_refused(asked, change, reason):
    wire, request = asked
    wire.begin(1, "third_party")
    changed = request._replace(**({"iteration": 1} | change))
    with pytest.raises(EncryptionError, match=reason):
        wire.third_party.receive(messages.to_bytes(changed))


def test_used_up_noise_is_refused(asked):
    """No zeros instead of a gradient."""
    wire, request = asked
    wire.begin(1, "third_party")
    public = wire.active._public
    ciphertext = public.from_bytes(request.parts[0])
    for _ in range(2):
        ciphertext = public.multiply_plain(ciphertext, np.full(64, 2**50, np.uint64))
    spoiled = request._replace(iteration=1, parts=(public.to_bytes(ciphertext),))
    with pytest.raises(EncryptionError, match="noise budget is 0 bits"):
        wire.third_party.receive(messages.to_bytes(spoiled))


def test_iteration_is_not_begun_twice(asked):
    wire, _ = asked
    with pytest.raises(EncryptionError, match="iteration=0: must be above 0"):
        wire.begin(0, "third_party")


def test_parties_check_what_they_are_sent(asked):
    wire, request = asked
    passive = wire.passive[0]
    few = request._replace(
        kind="logit_gradients", sender="active", receiver="passive_0", parts=(b"1",)
    )
    with pytest.raises(EncryptionError, match="rows: 1 ciphertexts, must be 6"):
        passive.receive(messages.to_bytes(few))
    few = request._replace(kind="embeddings", receiver="active", parts=())
    with pytest.raises(EncryptionError, match="passive_0: 0 ciphertexts, must be 1"):
        wire.active.receive(messages.to_bytes(few))
