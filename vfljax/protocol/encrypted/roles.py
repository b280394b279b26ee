"""What roles have in common: all of them, and those who train something.

Roles are told things as bytes, and answer in bytes.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, Int64

from vfljax import encryption
from vfljax.encryption import Content, EncryptionError
from vfljax.models import Params
from vfljax.protocol.encrypted.agreement import THIRD_PARTY, Agreement
from vfljax.protocol.encrypted.gradient_product import (
    GradientProduct,
    RowOperations,
    replaced_embeddings,
)
from vfljax.protocol.encrypted.inputs import (
    ActiveInputs,
    PassiveInputs,
    check_same_inputs,
    input_hashes,
)
from vfljax.protocol.encrypted.messages import (
    NETWORK,
    SETUP_ITERATION,
    Form,
    Message,
    from_bytes,
    pack_arrays,
    to_bytes,
    unpack_arrays,
)

Handlers = Mapping[str, tuple[Sequence[str], Callable[[Message], list[bytes]]]]
"""By kind of message that a role understands: who may send it, and what follows."""


class Role:
    """A party, or the third party.

    Attributes:
        name: In messages.
        completed: The last iteration that is over for this role; -1 before the first.
        folder: For its states; None for nowhere.
    """

    folder: Path | None = None

    def __init__(self, agreement: Agreement, name: str):
        self.name, self.completed = name, -1
        self._agreement, self._iteration = agreement, -1

    def receive(self, content: Content) -> list[bytes]:
        """Takes a message and returns the messages that follow from it.

        Who a message is from is what it says. That no role speaks for another is
        checked where messages are passed on, see `iterate`.

        Raises:
            EncryptionError: For a message that isn't for this role, of another sender
                than the one whose kind of message it is, not expected now, or not as
                agreed.
        """
        message, handlers, name = from_bytes(content), self._handlers(), self.name
        number, sender, receiver, kind, *_ = message
        iteration = SETUP_ITERATION if kind == "public_key" else self._iteration
        if receiver != name:
            raise EncryptionError(f"receiver={receiver!r}: must be {name!r}")
        if kind not in handlers:
            known = ", ".join(handlers)
            raise EncryptionError(f"kind={kind!r}: {name} understands {known}")
        senders, handler = handlers[kind]
        if sender not in senders:
            allowed = f"{name} takes {kind} from {', '.join(senders)} only"
            raise EncryptionError(f"sender={sender!r}: {allowed}")
        if kind not in ("setup", "batch") and number != iteration:
            allowed = f"{name} is at iteration {iteration}"
            raise EncryptionError(f"iteration={number}: {allowed}")
        return handler(message)

    def state(self) -> bytes:
        """What the role needs to go on after `completed`; empty if nothing."""
        return b""

    def restore(self, content: bytes, completed: int) -> None:
        """Goes on after iteration `completed` from what `state` gave then."""
        self._iteration = self.completed = completed

    def _handlers(self) -> Handlers:
        return {"batch": ((NETWORK,), self._begin)}

    def _begin(self, message: Message) -> list[bytes]:
        if message.iteration <= self._iteration:
            allowed = f"must be above {self._iteration}, which has begun already"
            raise EncryptionError(f"iteration={message.iteration}: {allowed}")
        self._iteration = message.iteration
        return []

    def _sent(self, receiver, kind, form: Form, parts) -> bytes:
        message = (self._iteration, self.name, receiver, kind, form, tuple(parts))
        return to_bytes(Message(*message))


class Party(Role):
    """What the active and the passive parties share: one key, one layer, its inputs.

    The part of a bottom model that is trained is a linear layer, with the parameters
    `{"output": {"kernel": (M, C), "bias": (C,)}}` of `models.mlp((), embed=C)`.
    """

    def __init__(
        self, agreement: Agreement, name: str, inputs: PassiveInputs | ActiveInputs
    ):
        super().__init__(agreement, name)
        self._optimizer = inputs.make_optimizer()
        self._params = jax.tree.map(jnp.asarray, inputs.params)
        self._states: dict[str, Any] = {"optimizer": self._optimizer.init(self._params)}
        self._record: dict[str, np.ndarray] = {}  # of losses or observations
        self._input_hashes = input_hashes(inputs)
        self._rows = np.zeros(0, np.int64)
        self._has_key = False

    def state(self) -> bytes:
        """Parameters, states, hashes of its inputs, losses or observations."""
        return pack_arrays(self._standing() | self._record)

    def restore(self, content: bytes, completed: int) -> None:
        """Goes on after iteration `completed`.

        Raises:
            ValueError: If the party's inputs aren't those that it began with.
        """
        arrays = unpack_arrays(content)
        check_same_inputs(self.name, self._input_hashes, arrays)
        names = set(arrays) - set(self._standing())
        self._record = {name: arrays[name] for name in names}
        self._params = params_tree(arrays)
        for name, tree in self._states.items():
            structure = jax.tree.structure(tree)
            places = range(structure.num_leaves)
            leaves = [jnp.asarray(arrays[f"{name}_{place}"]) for place in places]
            self._states[name] = jax.tree.unflatten(structure, leaves)
        super().restore(content, completed)

    def _standing(self) -> dict[str, np.ndarray]:
        """Arrays that every state has: parameters, states, hashes of inputs."""
        arrays = params_arrays(self._params) | self._input_hashes
        for name, tree in self._states.items():
            leaves = enumerate(jax.tree.leaves(tree))
            arrays |= {f"{name}_{i}": np.asarray(leaf) for i, leaf in leaves}
        return arrays

    def _handlers(self):
        return {"public_key": ((THIRD_PARTY,), self._take_key), **super()._handlers()}

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
        super()._begin(message)
        self._rows = np.frombuffer(message.parts[0], "<i8")
        return []

    def _finish(self, gradient: Float[np.ndarray, "columns classes"]) -> None:
        """Completes the iteration, with the optimizer's step unless it is a look."""
        if not self._is_look:
            updates, self._states["optimizer"] = self._optimizer.update(
                gradient_tree(gradient), self._states["optimizer"], self._params
            )
            self._params = optax.apply_updates(self._params, updates)
        self.completed = self._iteration

    @property
    def _is_look(self):
        return self._iteration in self._agreement.looks

    def _asked(self, kind, masked):
        """A request to the third party."""
        return [self._sent(THIRD_PARTY, kind, "encrypted, masked", masked)]

    def _encrypted(self, integers):
        """The bytes of a polynomial, encrypted."""
        residues = self._agreement.residues(integers)
        return self._public.to_bytes(self._public.encrypt(residues))

    def _integer_logits(
        self, activations: Float[np.ndarray, "batch width"], operations: RowOperations
    ) -> Int64[np.ndarray, "batch classes"]:
        """H of this party as it is sent: float64 in the mode's fixed point.

        In taylor mode it is centered over the classes first, which softmax doesn't
        notice, and which keeps the quadratic loss about it a good one.

        Raises:
            ValueError: If a logit is beyond `agreement.logit_bound`.
        """
        agreement, layer = self._agreement, params_arrays(self._params)
        kernel, bias = (layer[name].astype(float) for name in ("kernel", "bias"))
        logits = replaced_embeddings(operations, activations @ kernel + bias[None, :])
        bits = agreement.logit_bits
        if agreement.mode == "taylor":
            logits = logits - logits.mean(axis=1, keepdims=True)
            bits = agreement.gradient_bits
        return encryption.encode("logits", logits, bits, agreement.logit_bound)


def gradient_tree(gradient: Float[np.ndarray, "columns classes"]) -> Params:
    """The tree of a gradient whose last row is that of the bias."""
    return params_tree({"kernel": gradient[:-1], "bias": gradient[-1]})


def params_tree(arrays: Mapping[str, Any]) -> Params:
    """The layer's tree, from two entries of `arrays`, as float32."""
    names = ("kernel", "bias")
    return {"output": {name: jnp.asarray(arrays[name], jnp.float32) for name in names}}


def params_arrays(params: Params) -> dict[str, np.ndarray]:
    """The inverse of `params_tree`."""
    layer: Any = params
    return {name: np.asarray(leaf) for name, leaf in layer["output"].items()}
