"""A passive party: features and no labels; the adversary of label inference."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from vfljax import encryption, models
from vfljax.protocol.encrypted.agreement import ACTIVE, THIRD_PARTY, Agreement
from vfljax.protocol.encrypted.gradient_product import (
    RowOperations,
    fixed_point_activations,
)
from vfljax.protocol.encrypted.inputs import PassiveInputs
from vfljax.protocol.encrypted.roles import (
    Party,
    gradient_tree,
    params_arrays,
    params_tree,
)
from vfljax.protocol.views import BatchGradientView

_OBSERVED = "observation"


class Observation(NamedTuple):
    """What the party has learned in one iteration, for attacks and for exact tests.

    Attributes:
        view: For an attack. Its features are the activations *as rounded* to fixed
            point: the decrypted gradient belongs to those.
        integers: The decrypted gradient (M + 1, C) before division, the bias last.
    """

    view: BatchGradientView
    integers: Int64[np.ndarray, "columns classes"]


class PassiveParty(Party):
    """The role of Algorithm 1; it sends messages 1 and 5 and gets 4 and 6.

    Raises:
        ValueError: If an activation is too large for its fixed point.
    """

    def __init__(self, agreement: Agreement, name: str, inputs: PassiveInputs):
        super().__init__(agreement, name, inputs)
        self._activations = fixed_point_activations(agreement, inputs.activations)
        self._by_iteration, self._observe = inputs.operations, inputs.observe

    def _handlers(self):
        return {
            **super()._handlers(),
            "logit_gradients": ((ACTIVE,), self._ask),
            "decrypted_gradient": ((THIRD_PARTY,), self._update),
        }

    def _begin(self, message):
        """Message 1: its logits."""
        super()._begin(message)
        self._operations = self._by_iteration.get(self._iteration, RowOperations())
        bits, room = self._agreement.activation_bits, self._agreement.logit_room
        rounded = encryption.decode(self._activations[self._rows], bits)
        integers = self._integer_logits(rounded, self._operations)
        ciphertexts = map(self._encrypted, encryption.pack(integers, room))
        return [self._sent(ACTIVE, "embeddings", "encrypted", ciphertexts)]

    def _ask(self, message):
        """Message 5: its batch gradient under a mask."""
        activations = self._activations[self._rows]
        masked = self._product.request(message.parts, activations, self._operations)
        return self._asked("masked_gradient", masked)

    def _update(self, message):
        integers, number = self._product.unmask(message.parts), self._iteration
        if number in self._observe:
            fields = {"features": self._activations[self._rows], "integers": integers}
            for name, array in (fields | params_arrays(self._params)).items():
                self._record[f"{_OBSERVED}_{number}_{name}"] = array
        self._finish(integers / self._agreement.gradient_scale)
        return []


def read_observations(
    agreement: Agreement, arrays: dict[str, np.ndarray]
) -> dict[int, Observation]:
    """The observations in a passive party's state, by iteration."""
    by_iteration: dict[int, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        if name.startswith(_OBSERVED):
            _, iteration, field = name.split("_")
            by_iteration.setdefault(int(iteration), {})[field] = array
    in_order = sorted(by_iteration.items())
    return {number: _observation(agreement, **fields) for number, fields in in_order}


def _observation(agreement, *, features, integers, **layer):
    features = encryption.decode(features, agreement.activation_bits)
    view = BatchGradientView(
        model=models.mlp((), embed=agreement.num_classes),
        params=params_tree(layer),
        features=features.astype(np.float32),
        gradient=gradient_tree(integers / agreement.gradient_scale),
        num_classes=agreement.num_classes,
    )
    return Observation(view, integers)
