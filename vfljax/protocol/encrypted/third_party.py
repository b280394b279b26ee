"""The third party: makes the keys, decrypts masked values, and trains nothing.

It is a decryption oracle, since a masked request is opaque. So it releases only the
coefficients agreed at setup and answers each request once per iteration; against a
passive party that submits something else than its gradient that is all it can do.
"""

from vfljax import encryption
from vfljax.encryption import Content, EncryptionError
from vfljax.protocol.encrypted.agreement import ACTIVE, THIRD_PARTY, Agreement
from vfljax.protocol.encrypted.messages import (
    NETWORK,
    SETUP_ITERATION,
    Message,
    from_bytes,
    to_bytes,
)
from vfljax.protocol.encrypted.roles import check_expected

_ANSWERS = {
    "masked_logits": "decrypted_logits",
    "masked_gradient": "decrypted_gradient",
}


class ThirdParty:
    """Knows what is agreed, such as B, C and the numbers of columns, and no sample.

    It is told that an iteration begins, not with which samples. The secret key is in
    memory only.

    Args:
        agreement: The public settings.
    """

    name = THIRD_PARTY

    def __init__(self, agreement: Agreement):
        self.completed = -1
        self._agreement = agreement
        self._secret = agreement.make_backend().keygen()
        self._senders = {
            "setup": (NETWORK,),
            "batch": (NETWORK,),
            "masked_gradient": agreement.asking_parties,
        }
        if agreement.mode == "exact":
            self._senders["masked_logits"] = (ACTIVE,)
        self._iteration = -1
        self._unanswered: set[tuple[str, str]] = set()

    def receive(self, content: Content) -> list[bytes]:
        """Sends out the public key, begins an iteration, or decrypts once."""
        message = from_bytes(content)
        check_expected(message, self.name, self._iteration, self._senders)
        if message.kind == "setup":
            return [
                self._sent(SETUP_ITERATION, party, "public_key", "public", [key])
                for party in self._agreement.party_names
                for key in [self._secret.public_key]
            ]
        if message.kind == "batch":
            return self._begin(message.iteration)
        return [self._answer(message)]

    def state(self) -> bytes:
        """Empty: a third party that goes on makes new keys."""
        return b""

    def restore(self, content: bytes, completed: int) -> None:
        """Goes on after an iteration, with the keys it has just made."""
        self._iteration = self.completed = completed

    def _begin(self, iteration):
        if iteration <= self._iteration:
            raise EncryptionError(
                f"iteration={iteration}: must be above {self._iteration}, which has "
                "begun already"
            )
        self._iteration = iteration
        self._unanswered = {
            (sender, kind)
            for kind in _ANSWERS
            for sender in self._senders.get(kind, ())
        }
        return []

    def _answer(self, message: Message) -> bytes:
        request = message.sender, message.kind
        if request not in self._unanswered:
            raise EncryptionError(
                f"{message.kind} of {message.sender}: one answer per iteration to each "
                "agreed request, and this one was answered"
            )
        sizes = self._released(message)
        if len(message.parts) != len(sizes):
            raise EncryptionError(
                f"{message.kind} of {message.sender}: {len(message.parts)} "
                f"ciphertexts, must be {len(sizes)}"
            )
        released = [
            self._secret.decrypt(part)[:size].astype("<u8").tobytes()
            for part, size in zip(message.parts, sizes, strict=True)
        ]
        self._unanswered.remove(request)
        if not self._unanswered:
            self.completed = self._iteration
        kind = _ANSWERS[message.kind]
        return self._sent(
            message.iteration, message.sender, kind, "masked plain", released
        )

    def _released(self, message):
        """How many coefficients of each ciphertext were agreed on."""
        if message.kind == "masked_logits":
            return encryption.packed_sizes(
                self._agreement.batch_size,
                self._agreement.num_classes,
                self._agreement.num_coefficients,
            )
        layout = self._agreement.layout_of(message.sender)
        return [layout.num_released(answer) for answer in range(layout.num_answers)]

    def _sent(self, iteration, receiver, kind, form, parts):
        return to_bytes(
            Message(iteration, self.name, receiver, kind, form, tuple(parts))
        )
