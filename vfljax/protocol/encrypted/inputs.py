"""What each party brings to an encrypted training, and keeps to itself.

Whether a party goes on with the inputs that it began with is seen by their hashes,
which stay in the party's own state: labels are so few that whoever has their hash could
try them out.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Key

from vfljax.defenses import Defense
from vfljax.models import Params
from vfljax.protocol.encrypted.agreement import ACTIVE, Agreement
from vfljax.protocol.encrypted.gradient_product import RowOperations, check_operations
from vfljax.protocol.step import check_labels

MakeOptimizer = Callable[[], optax.GradientTransformation]
_PREFIX = "inputs_"


class PassiveInputs(NamedTuple):
    """Of a party with features and no labels.

    Attributes:
        activations: What its trained layer is given (samples, M): features, or the
            output of a body that isn't trained.
        params: `{"output": {"kernel": (M, C), "bias": (C,)}}` to start from, the tree
            of `models.mlp((), embed=C)`.
        make_optimizer: Makes its optax optimizer. For separate processes it must be
            found by name, such as `functools.partial(optax.sgd, 0.1)`.
        operations: What it does to rows, for the iterations in which it does.
        observe: Iterations whose observation it keeps.
    """

    activations: Any
    params: Params
    make_optimizer: MakeOptimizer
    operations: Mapping[int, RowOperations] = {}
    observe: Sequence[int] = ()


class ActiveInputs(NamedTuple):
    """Of the party with the labels.

    Attributes:
        activations: As in `PassiveInputs`, of the same samples.
        params: As in `PassiveInputs`.
        make_optimizer: As in `PassiveInputs`.
        labels: Of all samples (samples,), in [0, C).
        keys: For the defense, one per iteration: those of `protocol.train` are
            `jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(iterations))`.
        defense: What it does; `None` for nothing. For separate processes a record of
            an importable class.
        targets: What the model is trained on (samples, C), if the defense prepared it
            beforehand; `None` for its `encode_labels`.
    """

    activations: Any
    params: Params
    make_optimizer: MakeOptimizer
    labels: Any
    keys: Key[Array, " iterations"]
    defense: Defense | None = None
    targets: Any = None


def check_inputs(
    agreement: Agreement,
    passive: Sequence[PassiveInputs],
    active: ActiveInputs,
    batches: Any,
) -> None:
    """Raises a `ValueError` for inputs that don't fit the agreement."""
    names, num_classes = agreement.party_names, agreement.num_classes
    if len(passive) != len(names) - 1:
        raise ValueError(
            f"passive: {len(passive)} given, must be {len(names) - 1}, one per entry "
            "of widths but the last"
        )
    num_samples, num_iterations = len(active.labels), len(batches)
    check_labels(jnp.asarray(active.labels), num_classes)
    parties = zip(names, (*passive, active), agreement.widths, strict=True)
    for name, inputs, width in parties:
        _check_shape(f"{name}: activations", inputs.activations, (num_samples, width))
        shapes = jax.tree.map(np.shape, inputs.params)
        wanted = {"output": {"kernel": (width, num_classes), "bias": (num_classes,)}}
        if shapes != wanted:
            raise ValueError(f"{name}: params have shapes {shapes}, must be {wanted}")
        if isinstance(inputs, PassiveInputs):
            _check_range(f"{name}: observe: iteration", inputs.observe, num_iterations)
            numbers = inputs.operations
            _check_range(f"{name}: operations: iteration", numbers, num_iterations)
            for operations in inputs.operations.values():
                check_operations(operations, agreement.batch_size, num_classes)
    _check_range("looks: iteration", agreement.looks, num_iterations)
    _check_shape(f"{ACTIVE}: keys", active.keys, (num_iterations,))
    if not jnp.issubdtype(active.keys.dtype, jax.dtypes.prng_key):
        raise ValueError(f"{ACTIVE}: keys: {active.keys.dtype}, must be typed JAX keys")
    if active.targets is not None:
        shape = num_samples, num_classes
        _check_shape(f"{ACTIVE}: targets", active.targets, shape)
    _check_shape("batches", batches, (num_iterations, agreement.batch_size))
    _check_range("batches: contains", np.ravel(batches).tolist(), num_samples)


def input_hashes(inputs: PassiveInputs | ActiveInputs) -> dict[str, np.ndarray]:
    """SHA-256 of each input that is data, by name, as arrays for the party's state.

    Makers of optimizers aren't data: functions can't be compared.
    """
    fields = inputs._asdict()
    del fields["make_optimizer"]
    if isinstance(inputs, ActiveInputs):
        fields["keys"] = jax.random.key_data(inputs.keys)
    else:
        fields["observe"] = sorted(map(int, inputs.observe))
    return {
        f"{_PREFIX}{name}": np.asarray(hashlib.sha256(_content(field)).hexdigest())
        for name, field in fields.items()
    }


def check_same_inputs(
    party: str, hashes: dict[str, np.ndarray], state: dict[str, np.ndarray]
) -> None:
    """Raises a `ValueError` for other `input_hashes` than those of a party's state."""
    for name, digest in hashes.items():
        if state[name] != digest:
            raise ValueError(
                f"{party}: {name.removeprefix(_PREFIX)}: not what it began the run "
                "with; the run can be resumed with the same inputs alone"
            )


def _content(value) -> bytes:
    """A record's or array's structure and values, whatever its numbers' type was."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [getattr(value, field.name) for field in dataclasses.fields(value)]
        return type(value).__qualname__.encode() + _content(fields)
    if isinstance(value, Mapping):
        return _content(sorted(value.items()))
    if isinstance(value, tuple | list):
        return b"(" + b",".join(map(_content, value)) + b")"
    if value is None or callable(value) or isinstance(value, str):
        return getattr(value, "__qualname__", repr(value)).encode()
    array = np.asarray(value, float)
    return repr(array.shape).encode() + array.tobytes()


def _check_shape(name, array, expected):
    if np.shape(array) != expected:
        raise ValueError(f"{name}: shape {np.shape(array)}, must be {expected}")


def _check_range(name, numbers, end):
    for number in numbers:
        if not 0 <= number < end:
            raise ValueError(f"{name} {number}, must be in [0, {end - 1}]")
