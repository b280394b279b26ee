"""The third party: makes the keys, decrypts masked values, and trains nothing.

It is a decryption oracle, since a masked request is opaque. So it releases only the
coefficients agreed at setup and answers each request once per iteration; against a
passive party that submits something else than its gradient that is all it can do.
"""

from vfljax.encryption import EncryptionError
from vfljax.protocol.encrypted.agreement import THIRD_PARTY, Agreement
from vfljax.protocol.encrypted.messages import NETWORK, Message, to_bytes
from vfljax.protocol.encrypted.roles import Role


class ThirdParty(Role):
    """Knows what is agreed, such as B, C and the numbers of columns, and no sample.

    It is told that an iteration begins, not with which samples. The secret key is in
    memory only; a third party that goes on with a run makes new ones.
    """

    def __init__(self, agreement: Agreement):
        super().__init__(agreement, THIRD_PARTY)
        self._secret = agreement.make_backend().keygen()
        self._unanswered: set[tuple[str, str]] = set()

    def _handlers(self):
        requests = self._agreement.requests.items()
        return {
            "setup": ((NETWORK,), self._send_key),
            **super()._handlers(),
            **{kind: (senders, self._answer) for kind, senders in requests},
        }

    def _send_key(self, message):
        key = (self._secret.public_key,)
        route = message.iteration, self.name
        return [
            to_bytes(Message(*route, party, "public_key", "public", key))
            for party in self._agreement.party_names
        ]

    def _begin(self, message):
        requests = self._agreement.requests.items()
        begun = super()._begin(message)
        self._unanswered = {
            (sender, kind) for kind, senders in requests for sender in senders
        }
        return begun

    def _answer(self, message):
        """Of each ciphertext no more coefficients than were agreed on."""
        request = message.sender, message.kind
        name = f"{message.kind} of {message.sender}"
        if request not in self._unanswered:
            raise EncryptionError(
                f"{name}: one answer per iteration to each agreed request, and this "
                "one was answered"
            )
        if message.kind == "masked_logits":
            sizes = self._agreement.logit_sizes
        else:
            layout = self._agreement.layout_of(message.sender)
            sizes = [*map(layout.num_released, range(layout.num_answers))]
        if (found := len(message.parts)) != len(sizes):
            raise EncryptionError(f"{name}: {found} ciphertexts, must be {len(sizes)}")
        released = [
            self._secret.decrypt(part)[:size].astype("<u8").tobytes()
            for part, size in zip(message.parts, sizes, strict=True)
        ]
        self._unanswered.remove(request)
        if not self._unanswered:
            self.completed = self._iteration
        kind = message.kind.replace("masked", "decrypted")
        return [self._sent(message.sender, kind, "masked plain", released)]
