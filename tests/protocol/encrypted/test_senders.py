"""Each kind of message has one legitimate sender, and no role speaks for another."""

import pytest

from vfljax.encryption import EncryptionError
from vfljax.protocol import encrypted
from vfljax.protocol.encrypted import messages


@pytest.fixture
def wire(make_training, make_wire):
    """Three parties and the third one, after the setup."""
    return make_wire(make_training(widths=(4, 3, 5), backend="plain_int"))


def message(kind, sender, receiver, iteration=0, parts=(b"",)):
    return messages.Message(iteration, sender, receiver, kind, "public", parts)


@pytest.mark.parametrize("receiver", ["active", "passive_1"])
def test_a_key_of_another_party_is_refused(wire, receiver):
    """With its own key in place a passive party could read what is encrypted for it."""
    forged = encrypted.ThirdParty(wire.agreement)._secret.public_key
    for sender in ("passive_0", "network", receiver):
        key = message("public_key", sender, receiver, -1, (forged,))
        reason = f"sender='{sender}': {receiver} takes public_key from third_party only"
        with pytest.raises(EncryptionError, match=reason):
            wire.roles[receiver].receive(messages.to_bytes(key))


@pytest.mark.parametrize("receiver", ["active", "passive_1"])
def test_a_second_key_is_refused(wire, receiver):
    forged = encrypted.ThirdParty(wire.agreement)._secret.public_key
    key = message("public_key", "third_party", receiver, -1, (forged,))
    with pytest.raises(EncryptionError, match=f"public_key: {receiver} has one"):
        wire.roles[receiver].receive(messages.to_bytes(key))


def test_a_forged_batch_gives_no_second_answer(wire):
    """A passive party can't begin an iteration in which it may ask again."""
    request = next(each for each in wire.run(0) if each.kind == "masked_gradient")
    batch = message("batch", request.sender, "third_party", 1, ())
    with pytest.raises(EncryptionError, match="third_party takes batch from network"):
        wire.third_party.receive(messages.to_bytes(batch))
    with pytest.raises(EncryptionError, match="third_party is at iteration 0"):
        wire.third_party.receive(messages.to_bytes(request._replace(iteration=1)))


@pytest.mark.parametrize(
    ("receiver", "kind", "sender"),
    [
        ("passive_0", "batch", "passive_1"),
        ("passive_0", "logit_gradients", "passive_1"),
        ("passive_0", "decrypted_gradient", "active"),
        ("active", "batch", "passive_0"),
        ("active", "embeddings", "passive_2"),
        ("active", "embeddings", "third_party"),
        ("active", "decrypted_logits", "passive_0"),
        ("active", "decrypted_gradient", "passive_0"),
        ("third_party", "setup", "active"),
        ("third_party", "batch", "active"),
        ("third_party", "masked_logits", "passive_0"),
        ("third_party", "masked_gradient", "active"),
    ],
)
def test_other_senders_are_refused(wire, receiver, kind, sender):
    wire.begin(0, receiver)
    forged = messages.to_bytes(message(kind, sender, receiver))
    with pytest.raises(EncryptionError, match=f"sender='{sender}': .* takes {kind} fr"):
        wire.roles[receiver].receive(forged)


def test_masked_logits_are_no_request_of_taylor_mode(make_training, make_wire):
    wire = make_wire(make_training(backend="plain_int", mode="taylor"))
    wire.begin(0, "third_party")
    request = messages.to_bytes(message("masked_logits", "active", "third_party"))
    with pytest.raises(EncryptionError, match="kind='masked_logits': third_party und"):
        wire.third_party.receive(request)


def test_no_role_speaks_for_another(make_training, monkeypatch):
    """What a message says about its sender is compared with where it came from."""
    key = message("public_key", "third_party", "active", messages.SETUP_ITERATION)
    monkeypatch.setattr(
        encrypted.PassiveParty, "_take_key", lambda *_: [messages.to_bytes(key)]
    )
    reason = "sender='third_party': a public_key that came from passive_0, must be"
    with pytest.raises(EncryptionError, match=reason):
        encrypted.run_here(*make_training(backend="plain_int"))
