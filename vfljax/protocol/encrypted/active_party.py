"""The active party: labels, a linear layer of its own, and the defense."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from vfljax import defenses, encryption, losses
from vfljax.defenses import Defense
from vfljax.encryption import Content, EncryptionError
from vfljax.protocol.encrypted.agreement import ACTIVE, THIRD_PARTY, Agreement
from vfljax.protocol.encrypted.gradient_product import (
    RowOperations,
    fixed_point_activations,
    random_residues,
    unmasked,
    with_ones,
)
from vfljax.protocol.encrypted.inputs import ActiveInputs
from vfljax.protocol.encrypted.roles import Party

_PROBE_TOLERANCE = 1e-4  # relative to the probe


class ActiveParty(Party):
    """The role of Algorithm 1, in both modes.

    Exact mode: it gets the *summed logits* of all parties, computes dL/dH in the clear
    and needs nobody for its own gradient. Taylor mode: it adds a fresh encryption of
    its own terms to the encrypted logits, and asks for its gradient as others do.

    Raises:
        ValueError: For a defense that penalizes embeddings or that the mode can't
            apply, or too large activations.
    """

    def __init__(self, agreement: Agreement, inputs: ActiveInputs):
        super().__init__(agreement, ACTIVE, inputs)
        self._defense = inputs.defense or defenses.NoDefense()
        if self._defense.overrides("penalty"):
            raise ValueError(
                "defense: adds a penalty to the loss, for which the active party would "
                "need each party's embeddings; allowed is one without, or no encryption"
            )
        self._key_data = np.asarray(jax.random.key_data(inputs.keys))
        self._key_type = jax.random.key_impl(inputs.keys)
        self._labels, targets = np.asarray(inputs.labels), inputs.targets
        if targets is None:
            one_hot = jax.nn.one_hot(self._labels, agreement.num_classes)
            targets = self._defense.encode_labels(one_hot)
        self._targets = np.asarray(targets, np.float32)
        self._activations = np.asarray(inputs.activations, float)
        compute = _exact_answer
        if agreement.mode == "taylor":
            compute = _taylor_terms
            _check_additive(self._defense, agreement.num_classes, agreement.batch_size)
            self._integers = fixed_point_activations(agreement, inputs.activations)
            bits = agreement.activation_bits
            self._activations = encryption.decode(self._integers, bits)
        self._compute = jax.jit(functools.partial(compute, self._defense))
        self._states["defense"] = self._defense.init()
        self._record |= {"losses": np.zeros(0), "unprotected": np.zeros(0, bool)}
        self._embeddings: dict[str, tuple[Content, ...]] = {}

    def _handlers(self):
        return {
            **super()._handlers(),
            "embeddings": (self._agreement.passive_names, self._collect),
            "decrypted_logits": ((THIRD_PARTY,), self._answer),
            "decrypted_gradient": ((THIRD_PARTY,), self._update_taylor),
        }

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
        is_exact = self._agreement.mode == "exact"
        return self._ask_for_logits() if is_exact else self._send_taylor()

    def _ask_for_logits(self):
        """Message 2: the sum of all logits under a fresh mask."""
        agreement, total = self._agreement, []
        self._masks = [random_residues(agreement) for _ in agreement.logit_sizes]
        polynomials = encryption.pack(self._own_logits(), agreement.logit_room)
        for place, polynomial in enumerate(polynomials):
            hidden = self._masks[place].copy()
            hidden[: len(polynomial)] += agreement.residues(polynomial)
            hidden = encryption.reduce_residues(hidden, agreement.plain_bits)
            total.append(self._added(place, hidden))
        return self._asked("masked_logits", total)

    def _answer(self, message):
        """Message 4: dL/dH, encrypted for each party in its layout."""
        agreement, sizes = self._agreement, self._agreement.logit_sizes
        summed = unmasked(agreement, message.parts, self._masks, sizes)
        logits = encryption.decode(np.concatenate(summed), agreement.logit_bits)
        shape = agreement.batch_size, agreement.num_classes
        logits = jnp.asarray(logits.reshape(shape), jnp.float32)
        sent, own, loss = self._computed(logits)
        integers = encryption.encode(
            "dL/dH times the batch size",
            agreement.batch_size * np.asarray(sent, float),
            agreement.gradient_bits,
            agreement.gradient_bound,
        )
        replies, by_form = [], {}
        for party in agreement.passive_names:
            layout = agreement.layout_of(party)
            if (form := layout.gradient_form) not in by_form:
                by_form[form] = [
                    self._encrypted(layout.gradient_polynomial(integers, place))
                    for place in range(layout.num_ciphertexts)
                ]
            rows = by_form[form]
            replies.append(self._sent(party, "logit_gradients", "encrypted", rows))
        columns = with_ones(self._activations[self._rows])
        self._end(columns.T @ np.asarray(own, float), float(loss))
        return replies

    def _send_taylor(self):
        """Message 4 in taylor mode, and 5 for the own gradient."""
        labels, self._noise = map(self._encoded_term, self._computed())
        own = self._own_logits() + labels + self._noise
        residues = self._agreement.residues(own)
        rows = [self._added(place, row) for place, row in enumerate(residues)]
        replies = [
            self._sent(party, "logit_gradients", "encrypted", rows)
            for party in self._agreement.passive_names
        ]
        batch = self._integers[self._rows]
        masked = self._product.request(tuple(rows), batch, RowOperations())
        return [*replies, *self._asked("masked_gradient", masked)]

    def _update_taylor(self, message):
        """Message 6; its own noise is known to it and can be taken off again."""
        integers = self._product.unmask(message.parts)
        if not self._defense.covers_label_party:
            one = 1 << self._agreement.activation_bits
            columns = with_ones(self._integers[self._rows], one)
            integers = integers - columns.T @ self._noise
        self._end(integers / self._agreement.gradient_scale, np.nan)
        return []

    def _computed(self, *logits):
        """What the mode sends; in a look, from a state that then stays as it is."""
        key, before = self._key_data[self._iteration], self._states["defense"]
        key = jax.random.wrap_key_data(key, impl=self._key_type)
        targets, labels = self._targets[self._rows], self._labels[self._rows]
        about = labels, self._rows.astype(np.int32)
        after, *computed = self._compute(key, before, targets, about, *logits)
        count = defenses.count_unprotected
        self._note("unprotected", bool(count(after) > count(before)))
        if not self._is_look:
            self._states["defense"] = after
        return computed

    def _end(self, gradient, loss):
        if not self._is_look:
            self._note("losses", loss)
        self._finish(gradient)

    def _note(self, name, value):
        self._record[name] = np.append(self._record[name], value)

    def _added(self, place, residues):
        """The passive parties' ciphertexts plus a fresh encryption of the own part.

        Not `add_plain`: their authors could subtract them and read what was added.
        """
        total = self._public.encrypt(residues)
        for parts in self._embeddings.values():
            total = self._public.add(total, self._public.from_bytes(parts[place]))
        return self._public.to_bytes(total)

    def _own_logits(self):
        activations = self._activations[self._rows]
        return self._integer_logits(activations, RowOperations())

    def _encoded_term(self, term):
        return encryption.encode(
            "labels and noise, times the batch size and the number of classes",
            np.asarray(term, float),
            self._agreement.gradient_bits,
            self._agreement.logit_bound / 2,  # two such terms
        )


def _exact_answer(defense: Defense, key, state, targets, about, logits):
    """The defense's state, dL/dH as sent and as used by the sender; loss in nats."""
    clean = losses.logit_gradient(logits, targets)
    sent, state = defense.perturb(key, state, clean, *about)
    own = sent if defense.covers_label_party else clean
    return state, sent, own, losses.cross_entropy(logits, targets)


def _taylor_terms(defense: Defense, key, state, targets, about):
    """The defense's state, and what is added to the encrypted logits: labels, noise.

    The softmax's first-order expansion at zero is (1 + H)/C for centered H, so that
    C·B·dL/dH = H + labels, where labels are 1 - C·y. The noise is the defense's, in the
    same units of 1/(C·B).
    """
    batch_size, num_classes = targets.shape
    noise, state = defense.perturb(key, state, jnp.zeros_like(targets), *about)
    return state, 1 - num_classes * targets, num_classes * batch_size * noise


def _check_additive(defense: Defense, num_classes: int, batch_size: int) -> None:
    """Refuses a defense that does more than encode labels and add noise.

    In taylor mode the active party has no dL/dH in the clear. Whether what `perturb`
    adds depends on the gradient is tried with gradients of very different size.
    """
    ids, shape = jnp.arange(batch_size), (batch_size, num_classes)
    gradient = np.random.default_rng(0).normal(size=shape).astype(np.float32)

    def added(scale):
        probe, key = jnp.asarray(scale * gradient), jax.random.key(0)
        sent, _ = defense.perturb(key, defense.init(), probe, ids % num_classes, ids)
        return np.asarray(sent - probe)

    noise = added(0.0)
    for scale in (1e-2, 100.0):
        if not np.abs(added(scale) - noise).max() <= _PROBE_TOLERANCE * scale:
            raise ValueError(
                "defense: what it sends depends on the gradient, which the active "
                "party doesn't know in mode 'taylor'; allowed are defenses that encode "
                "labels or add noise without clipping, or mode 'exact'"
            )
