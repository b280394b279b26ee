"""A passive party: features and no labels; the adversary of label inference."""

import numpy as np

from vfljax import encryption
from vfljax.encryption import Content, EncryptionError
from vfljax.protocol.encrypted import arrays
from vfljax.protocol.encrypted.agreement import ACTIVE, THIRD_PARTY, Agreement
from vfljax.protocol.encrypted.gradient_product import (
    GradientProduct,
    fixed_point_activations,
)
from vfljax.protocol.encrypted.inputs import PassiveInputs
from vfljax.protocol.encrypted.linear_layer import LinearLayer, params_arrays
from vfljax.protocol.encrypted.logit_code import encoded_logits, logit_polynomials
from vfljax.protocol.encrypted.messages import NETWORK, Message, from_bytes, to_bytes
from vfljax.protocol.encrypted.observation import is_observed, observation_arrays
from vfljax.protocol.encrypted.roles import check_expected
from vfljax.protocol.encrypted.row_operations import (
    RowOperations,
    replaced_embeddings,
)
from vfljax.protocol.encrypted.same_inputs import check_same_inputs, input_hashes


class PassiveParty:
    """The role of Algorithm 1; it sends messages 1 and 5 and gets 4 and 6.

    Args:
        agreement: The public settings.
        name: One of `agreement.passive_names`.
        inputs: Its own.

    Raises:
        ValueError: If an activation is too large for its fixed point.
    """

    def __init__(self, agreement: Agreement, name: str, inputs: PassiveInputs):
        self.name, self.completed = name, -1
        self._agreement, self._inputs = agreement, inputs
        self._activations = fixed_point_activations(agreement, inputs.activations)
        self._layer = LinearLayer(inputs.params, inputs.make_optimizer)
        self._observed: dict[str, np.ndarray] = {}
        self._has_key = False
        self._input_hashes = input_hashes(inputs)
        self._iteration = -1
        self._rows = np.zeros(0, np.int64)

    def receive(self, content: Content) -> list[bytes]:
        """Sends its logits, asks for its gradient, or takes the step that follows."""
        message = from_bytes(content)
        handlers = {
            "public_key": self._take_key,
            "batch": self._send_embeddings,
            "logit_gradients": self._ask,
            "decrypted_gradient": self._update,
        }
        senders = {
            "public_key": (THIRD_PARTY,),
            "batch": (NETWORK,),
            "logit_gradients": (ACTIVE,),
            "decrypted_gradient": (THIRD_PARTY,),
        }
        check_expected(message, self.name, self._iteration, senders)
        return handlers[message.kind](message)

    def state(self) -> bytes:
        """Parameters, optimizer state, observations, hashes of its inputs."""
        kept = self._observed | self._input_hashes
        return arrays.to_bytes(self._layer.arrays() | kept)

    def restore(self, content: bytes, completed: int) -> None:
        """Goes on after iteration `completed`.

        Raises:
            ValueError: If its inputs aren't those that it began with.
        """
        kept = arrays.from_bytes(content)
        check_same_inputs(self.name, self._input_hashes, kept)
        self._layer.restore(kept)
        self._observed = {name: kept[name] for name in filter(is_observed, kept)}
        self._iteration = self.completed = completed

    def _take_key(self, message):
        if self._has_key:
            raise EncryptionError(
                f"public_key: {self.name} has one, and takes no other in its place"
            )
        self._has_key = True
        self._public = self._agreement.make_backend().public_side(message.parts[0])
        self._product = GradientProduct(self._agreement, self.name, self._public)
        return []

    def _send_embeddings(self, message):
        self._iteration = message.iteration
        self._rows = np.frombuffer(message.parts[0], "<i8")
        rounded = encryption.decode(
            self._activations[self._rows], self._agreement.activation_bits
        )
        logits = replaced_embeddings(self._operations, self._layer.logits(rounded))
        integers = encoded_logits(self._agreement, logits)
        ciphertexts = [
            self._public.to_bytes(self._public.encrypt(self._residues(polynomial)))
            for polynomial in logit_polynomials(self._agreement, integers)
        ]
        return [self._sent(ACTIVE, "embeddings", "encrypted", ciphertexts)]

    def _ask(self, message):
        masked = self._product.request(
            message.parts, self._activations[self._rows], self._operations
        )
        form = "encrypted, masked"
        return [self._sent(THIRD_PARTY, "masked_gradient", form, masked)]

    def _update(self, message):
        integers = self._product.unmask(message.parts)
        if self._iteration in self._inputs.observe:
            self._observed |= observation_arrays(
                self._iteration,
                features=self._activations[self._rows],
                integers=integers,
                **params_arrays(self._layer.params),
            )
        self._layer.update(integers / self._agreement.gradient_scale)
        self.completed = self._iteration
        return []

    @property
    def _operations(self):
        return self._inputs.operations.get(self._iteration, RowOperations())

    def _residues(self, integers):
        return encryption.to_residues(integers, self._agreement.plain_bits)

    def _sent(self, receiver, kind, form, parts):
        parts = tuple(parts)
        return to_bytes(
            Message(self._iteration, self.name, receiver, kind, form, parts)
        )
