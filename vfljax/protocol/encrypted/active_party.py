"""The active party: labels, a linear layer of its own, and the defense."""

import jax
import jax.numpy as jnp
import numpy as np

from vfljax import encryption
from vfljax.encryption import Content, EncryptionError
from vfljax.protocol.encrypted import arrays
from vfljax.protocol.encrypted.agreement import ACTIVE, THIRD_PARTY, Agreement
from vfljax.protocol.encrypted.gradient_product import (
    GradientProduct,
    fixed_point_activations,
)
from vfljax.protocol.encrypted.inputs import ActiveInputs
from vfljax.protocol.encrypted.label_code import (
    check_additive,
    exact_answer,
    taylor_terms,
)
from vfljax.protocol.encrypted.linear_layer import LinearLayer
from vfljax.protocol.encrypted.logit_code import (
    encoded_logits,
    logit_polynomials,
    num_logit_polynomials,
)
from vfljax.protocol.encrypted.masks import random_residues, read_residues
from vfljax.protocol.encrypted.messages import NETWORK, Message, from_bytes, to_bytes
from vfljax.protocol.encrypted.roles import check_expected
from vfljax.protocol.encrypted.row_operations import RowOperations
from vfljax.protocol.encrypted.same_inputs import check_same_inputs, input_hashes


class ActiveParty:
    """The role of Algorithm 1, in both modes.

    Exact mode: it gets the *summed logits* of all parties, computes dL/dH in the clear
    and needs nobody for its own gradient. Taylor mode: it adds a fresh encryption of
    its own terms to the encrypted logits, and asks for its gradient as others do.

    Args:
        agreement: The public settings.
        inputs: Its own.

    Raises:
        ValueError: For a defense that the mode can't apply, or too large activations.
    """

    name = ACTIVE

    def __init__(self, agreement: Agreement, inputs: ActiveInputs):
        self.completed = -1
        self._agreement, self._inputs = agreement, inputs
        self._defense = inputs.make_defense()
        if agreement.mode == "taylor":
            check_additive(self._defense, agreement.num_classes, agreement.batch_size)
            rounded = fixed_point_activations(agreement, inputs.activations)
            self._integers = rounded
            self._activations = encryption.decode(rounded, agreement.activation_bits)
        else:
            self._activations = np.asarray(inputs.activations, float)
        self._labels = np.asarray(inputs.labels)
        self._defense_state = self._defense.init()
        self._layer = LinearLayer(inputs.params, inputs.make_optimizer)
        self._losses: list[float] = []
        self._has_key = False
        self._input_hashes = input_hashes(inputs)
        self._iteration = -1
        self._rows = np.zeros(0, np.int64)
        self._embeddings: dict[str, tuple[Content, ...]] = {}

    def receive(self, content: Content) -> list[bytes]:
        """Collects logits; when all are there, asks or answers, and takes a step."""
        message = from_bytes(content)
        handlers = {
            "public_key": self._take_key,
            "batch": self._begin,
            "embeddings": self._collect,
            "decrypted_logits": self._answer,
            "decrypted_gradient": self._update_taylor,
        }
        senders = {
            "public_key": (THIRD_PARTY,),
            "batch": (NETWORK,),
            "embeddings": self._agreement.passive_names,
            "decrypted_logits": (THIRD_PARTY,),
            "decrypted_gradient": (THIRD_PARTY,),
        }
        check_expected(message, self.name, self._iteration, senders)
        return handlers[message.kind](message)

    def state(self) -> bytes:
        """Parameters, optimizer and defense state, losses, hashes of its inputs."""
        leaves = jax.tree.leaves(self._defense_state)
        kept = {f"defense_{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
        kept["losses"] = np.asarray(self._losses)
        kept |= self._input_hashes
        return arrays.to_bytes(self._layer.arrays() | kept)

    def restore(self, content: bytes, completed: int) -> None:
        """Goes on after iteration `completed`.

        Raises:
            ValueError: If its inputs aren't those that it began with.
        """
        kept = arrays.from_bytes(content)
        check_same_inputs(self.name, self._input_hashes, kept)
        self._layer.restore(kept)
        self._losses = kept["losses"].tolist()
        leaves, tree = jax.tree.flatten(self._defense_state)
        self._defense_state = jax.tree.unflatten(
            tree, [jnp.asarray(kept[f"defense_{i}"]) for i in range(len(leaves))]
        )
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

    def _begin(self, message):
        self._iteration = message.iteration
        self._rows = np.frombuffer(message.parts[0], "<i8")
        self._embeddings = {}
        return []

    def _collect(self, message):
        expected = num_logit_polynomials(self._agreement)
        if len(message.parts) != expected:
            raise EncryptionError(
                f"embeddings of {message.sender}: {len(message.parts)} ciphertexts, "
                f"must be {expected}"
            )
        self._embeddings[message.sender] = message.parts
        if set(self._embeddings) != set(self._agreement.passive_names):
            return []
        if self._agreement.mode == "taylor":
            return self._send_taylor()
        return self._ask_for_logits()

    def _ask_for_logits(self):
        """Message 2: the sum of all logits under a fresh mask."""
        own = logit_polynomials(self._agreement, self._own_logits())
        self._masks = [random_residues(self._agreement) for _ in own]
        total = []
        for place, (polynomial, mask) in enumerate(zip(own, self._masks, strict=True)):
            hidden = mask.copy()
            hidden[: len(polynomial)] += self._residues(polynomial)
            total.append(
                self._added(
                    place,
                    encryption.reduce_residues(hidden, self._agreement.plain_bits),
                )
            )
        form = "encrypted, masked"
        return [self._sent(THIRD_PARTY, "masked_logits", form, total)]

    def _answer(self, message):
        """Message 4: dL/dH, encrypted for each party in its layout."""
        answer = exact_answer(
            self._defense,
            self._key(),
            self._defense_state,
            jnp.asarray(self._unmasked(message.parts), jnp.float32),
            self._labels[self._rows],
            self._rows.astype(np.int32),
        )
        self._defense_state = answer.state
        batch_size, bits = self._agreement.batch_size, self._agreement.gradient_bits
        integers = encryption.encode(
            "dL/dH times the batch size",
            batch_size * np.asarray(answer.sent, float),
            bits,
            self._agreement.gradient_bound,
        )
        replies, by_form = [], {}
        for party in self._agreement.passive_names:
            layout = self._agreement.layout_of(party)
            if layout.gradient_form not in by_form:
                by_form[layout.gradient_form] = [
                    self._encrypted(layout.gradient_polynomial(integers, place))
                    for place in range(layout.num_ciphertexts)
                ]
            rows = by_form[layout.gradient_form]
            replies.append(self._sent(party, "logit_gradients", "encrypted", rows))
        own = np.asarray(answer.own, float)
        self._finish(_with_ones(self._batch).T @ own, float(answer.loss))
        return replies

    def _send_taylor(self):
        """Message 4 in taylor mode, and 5 for the own gradient."""
        terms = taylor_terms(
            self._defense,
            self._agreement.num_classes,
            self._key(),
            self._defense_state,
            self._labels[self._rows],
            self._rows.astype(np.int32),
        )
        self._defense_state = terms.state
        self._noise = self._encoded_term(terms.noise)
        own = self._own_logits() + self._encoded_term(terms.labels) + self._noise
        rows = [self._added(i, self._residues(row)) for i, row in enumerate(own)]
        masked = self._product.request(
            tuple(rows), self._integers[self._rows], RowOperations()
        )
        form = "encrypted, masked"
        return [
            *(
                self._sent(party, "logit_gradients", "encrypted", rows)
                for party in self._agreement.passive_names
            ),
            self._sent(THIRD_PARTY, "masked_gradient", form, masked),
        ]

    def _update_taylor(self, message):
        """Message 6; its own noise is known to it and can be taken off again."""
        integers = self._product.unmask(message.parts)
        if not self._defense.covers_label_party:
            one = 1 << self._agreement.activation_bits
            columns = _with_ones(self._integers[self._rows], one)
            integers = integers - columns.T @ self._noise
        self._finish(integers / self._agreement.gradient_scale, np.nan)
        return []

    def _finish(self, gradient, loss):
        self._layer.update(gradient)
        self._losses.append(loss)
        self.completed = self._iteration

    def _added(self, place, residues):
        """The passive parties' ciphertexts plus a fresh encryption of the own part.

        Not `add_plain`: their authors could subtract them and read what was added.
        """
        total = self._public.encrypt(residues)
        for parts in self._embeddings.values():
            total = self._public.add(total, self._public.from_bytes(parts[place]))
        return self._public.to_bytes(total)

    def _unmasked(self, parts):
        """The summed logits (batch, classes)."""
        residues = [
            read_residues(part) - mask[: len(part) // 8]
            for part, mask in zip(parts, self._masks, strict=True)
        ]
        integers = encryption.from_residues(
            np.concatenate(residues), self._agreement.plain_bits
        )
        logits = encryption.decode(integers, self._agreement.logit_bits)
        return logits.reshape(self._agreement.batch_size, self._agreement.num_classes)

    @property
    def _batch(self):
        return self._activations[self._rows]

    def _own_logits(self):
        return encoded_logits(self._agreement, self._layer.logits(self._batch))

    def _encoded_term(self, term):
        return encryption.encode(
            "labels and noise, times the batch size and the number of classes",
            np.asarray(term, float),
            self._agreement.gradient_bits,
            self._agreement.logit_bound / 2,  # two such terms
        )

    def _encrypted(self, integers):
        return self._public.to_bytes(self._public.encrypt(self._residues(integers)))

    def _residues(self, integers):
        return encryption.to_residues(integers, self._agreement.plain_bits)

    def _key(self):
        return jax.random.fold_in(self._inputs.key, self._iteration)

    def _sent(self, receiver, kind, form, parts):
        parts = tuple(parts)
        return to_bytes(
            Message(self._iteration, self.name, receiver, kind, form, parts)
        )


def _with_ones(activations, one=1):
    """A column for the bias."""
    ones = np.full((len(activations), 1), one, activations.dtype)
    return np.concatenate([activations, ones], axis=1)
