"""The active party: labels, a linear layer of its own, and the defense."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PyTree

from vfljax import defenses, encryption, losses
from vfljax.defenses import Defense
from vfljax.encryption import Content, EncryptionError
from vfljax.protocol.encrypted.agreement import ACTIVE, THIRD_PARTY, Agreement
from vfljax.protocol.encrypted.gradient_product import (
    fixed_point_activations,
    random_residues,
    unmasked,
)
from vfljax.protocol.encrypted.inputs import ActiveInputs
from vfljax.protocol.encrypted.roles import Party, leaves_by_name, with_leaves
from vfljax.protocol.encrypted.row_operations import RowOperations

_PROBE_TOLERANCE = 1e-4  # relative to the probe


class ActiveParty(Party):
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

    def __init__(self, agreement: Agreement, inputs: ActiveInputs):
        super().__init__(agreement, ACTIVE, inputs)
        self._defense = inputs.defense or defenses.no_defense()
        self._labels = np.asarray(inputs.labels)
        self._key_data = np.asarray(jax.random.key_data(inputs.keys))
        self._key_type = jax.random.key_impl(inputs.keys)
        self._activations = np.asarray(inputs.activations, float)
        if agreement.mode == "taylor":
            check_additive(self._defense, agreement.num_classes, agreement.batch_size)
            self._integers = fixed_point_activations(agreement, inputs.activations)
            self._activations = encryption.decode(
                self._integers, agreement.activation_bits
            )
        answer = exact_answer if agreement.mode == "exact" else taylor_terms
        self._compute = jax.jit(
            functools.partial(answer, self._defense, agreement.num_classes)
        )
        self._defense_state = self._defense.init()
        self._losses: list[float] = []
        self._embeddings: dict[str, tuple[Content, ...]] = {}

    def _handlers(self):
        return {
            **super()._handlers(),
            "embeddings": (self._agreement.passive_names, self._collect),
            "decrypted_logits": ((THIRD_PARTY,), self._answer),
            "decrypted_gradient": ((THIRD_PARTY,), self._update_taylor),
        }

    def _kept(self):
        losses_so_far = {"losses": np.asarray(self._losses)}
        return leaves_by_name("defense", self._defense_state) | losses_so_far

    def _take_back(self, arrays):
        self._losses = arrays["losses"].tolist()
        self._defense_state = with_leaves("defense", self._defense_state, arrays)

    def _begin(self, message):
        self._embeddings = {}
        return super()._begin(message)

    def _collect(self, message):
        """Logits of a passive party; when all are there, it asks or answers."""
        expected = len(self._agreement.logit_sizes)
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
        own = self._logit_polynomials(self._own_logits())
        self._masks = [random_residues(self._agreement) for _ in own]
        total = []
        for place, (polynomial, mask) in enumerate(zip(own, self._masks, strict=True)):
            hidden = mask.copy()
            hidden[: len(polynomial)] += self._agreement.residues(polynomial)
            bits = self._agreement.plain_bits
            total.append(self._added(place, encryption.reduce_residues(hidden, bits)))
        form = "encrypted, masked"
        return [self._sent(THIRD_PARTY, "masked_logits", form, total)]

    def _answer(self, message):
        """Message 4: dL/dH, encrypted for each party in its layout."""
        agreement, sizes = self._agreement, self._agreement.logit_sizes
        summed = unmasked(agreement, message.parts, self._masks, sizes)
        logits = encryption.decode(np.concatenate(summed), agreement.logit_bits)
        shape = agreement.batch_size, agreement.num_classes
        answer = self._computed(jnp.asarray(logits.reshape(shape), jnp.float32))
        integers = encryption.encode(
            "dL/dH times the batch size",
            agreement.batch_size * np.asarray(answer.sent, float),
            agreement.gradient_bits,
            agreement.gradient_bound,
        )
        replies, by_form = [], {}
        for party in agreement.passive_names:
            layout = agreement.layout_of(party)
            if layout.gradient_form not in by_form:
                by_form[layout.gradient_form] = [
                    self._encrypted(layout.gradient_polynomial(integers, place))
                    for place in range(layout.num_ciphertexts)
                ]
            rows = by_form[layout.gradient_form]
            replies.append(self._sent(party, "logit_gradients", "encrypted", rows))
        own = np.asarray(answer.own, float)
        self._end(_with_ones(self._batch).T @ own, float(answer.loss))
        return replies

    def _send_taylor(self):
        """Message 4 in taylor mode, and 5 for the own gradient."""
        terms = self._computed()
        self._noise = self._encoded_term(terms.noise)
        own = self._own_logits() + self._encoded_term(terms.labels) + self._noise
        residues = self._agreement.residues(own)
        rows = [self._added(place, row) for place, row in enumerate(residues)]
        replies = [
            self._sent(party, "logit_gradients", "encrypted", rows)
            for party in self._agreement.passive_names
        ]
        batch = self._integers[self._rows]
        masked = self._product.request(tuple(rows), batch, RowOperations())
        form = "encrypted, masked"
        return [*replies, self._sent(THIRD_PARTY, "masked_gradient", form, masked)]

    def _update_taylor(self, message):
        """Message 6; its own noise is known to it and can be taken off again."""
        integers = self._product.unmask(message.parts)
        if not self._defense.covers_label_party:
            one = 1 << self._agreement.activation_bits
            columns = _with_ones(self._integers[self._rows], one)
            integers = integers - columns.T @ self._noise
        self._end(integers / self._agreement.gradient_scale, np.nan)
        return []

    def _computed(self, *logits):
        """What the mode sends; in a look, from a state that then stays as it is."""
        key = self._key_data[self._iteration]
        answer = self._compute(
            jax.random.wrap_key_data(key, impl=self._key_type),
            self._defense_state,
            *logits,
            self._labels[self._rows],
            self._rows.astype(np.int32),
        )
        if not self._is_look:
            self._defense_state = answer.state
        return answer

    def _end(self, gradient, loss):
        if not self._is_look:
            self._losses.append(loss)
        self._finish(gradient)

    def _added(self, place, residues):
        """The passive parties' ciphertexts plus a fresh encryption of the own part.

        Not `add_plain`: their authors could subtract them and read what was added.
        """
        total = self._public.encrypt(residues)
        for parts in self._embeddings.values():
            total = self._public.add(total, self._public.from_bytes(parts[place]))
        return self._public.to_bytes(total)

    @property
    def _batch(self):
        return self._activations[self._rows]

    def _own_logits(self):
        return self._encoded_logits(self._layer.logits(self._batch))

    def _encoded_term(self, term):
        return encryption.encode(
            "labels and noise, times the batch size and the number of classes",
            np.asarray(term, float),
            self._agreement.gradient_bits,
            self._agreement.logit_bound / 2,  # two such terms
        )


class ExactAnswer(NamedTuple):
    """dL/dH of a batch, in the clear.

    Attributes:
        sent: As sent to passive parties, after the defense.
        own: As the active party uses it.
        loss: Mean cross-entropy in nats.
        state: The defense's, afterwards.
    """

    sent: Float[Array, "batch classes"]
    own: Float[Array, "batch classes"]
    loss: Float[Array, ""]
    state: PyTree[Any]


def exact_answer(
    defense: Defense,
    num_classes: int,
    key: Key[Array, ""],
    state: PyTree[Any],
    logits: Float[Array, "batch {num_classes}"],
    labels: Int[Array, " batch"],
    sample_ids: Int[Array, " batch"],
) -> ExactAnswer:
    """The plain protocol's softmax - y, and the defense on it."""
    targets = defense.encode_labels(jax.nn.one_hot(labels, num_classes))
    clean = losses.logit_gradient(logits, targets)
    sent, state = defense.perturb(key, state, clean, labels, sample_ids)
    own = sent if defense.covers_label_party else clean
    return ExactAnswer(sent, own, losses.cross_entropy(logits, targets), state)


class TaylorTerms(NamedTuple):
    """What is added to the encrypted logits, in units of 1/(C·B).

    The softmax's first-order expansion at zero is (1 + H)/C for centered H, so that
    C·B·dL/dH = H + 1 - C·y.

    Attributes:
        labels: 1 - C·y.
        noise: The defense's.
        state: The defense's, afterwards.
    """

    labels: Float[Array, "batch classes"]
    noise: Float[Array, "batch classes"]
    state: PyTree[Any]


def taylor_terms(
    defense: Defense,
    num_classes: int,
    key: Key[Array, ""],
    state: PyTree[Any],
    labels: Int[Array, " batch"],
    sample_ids: Int[Array, " batch"],
) -> TaylorTerms:
    """Of a batch, for a defense that `check_additive` lets pass."""
    targets = defense.encode_labels(jax.nn.one_hot(labels, num_classes))
    nothing = jnp.zeros_like(targets)
    noise, state = defense.perturb(key, state, nothing, labels, sample_ids)
    factor = num_classes * len(labels)
    return TaylorTerms(1 - num_classes * targets, factor * noise, state)


def check_additive(defense: Defense, num_classes: int, batch_size: int) -> None:
    """Refuses a defense that does more than encode labels and add noise.

    In taylor mode the active party has no dL/dH in the clear. Whether what `perturb`
    adds depends on the gradient is tried with gradients of very different size.

    Raises:
        ValueError: If it does.
    """
    labels = jnp.arange(batch_size) % num_classes
    shape = (batch_size, num_classes)
    gradient = np.random.default_rng(0).normal(size=shape).astype(np.float32)

    def added(scale):
        probe = jnp.asarray(scale * gradient)
        key, ids = jax.random.key(0), jnp.arange(batch_size)
        sent, _ = defense.perturb(key, defense.init(), probe, labels, ids)
        return np.asarray(sent - probe)

    noise = added(0.0)
    for scale in (1e-2, 100.0):
        if not np.abs(added(scale) - noise).max() <= _PROBE_TOLERANCE * scale:
            raise ValueError(
                "defense: what it sends depends on the gradient, which the active "
                "party doesn't know in mode 'taylor'; allowed are defenses that encode "
                "labels or add noise without clipping, or mode 'exact'"
            )


def _with_ones(activations, one=1):
    """A column for the bias."""
    ones = np.full((len(activations), 1), one, activations.dtype)
    return np.concatenate([activations, ones], axis=1)
