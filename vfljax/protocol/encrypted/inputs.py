"""What each party brings to an encrypted training, and keeps to itself."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vfljax import defenses
from vfljax.defenses import Defense
from vfljax.models import Params
from vfljax.protocol.encrypted.agreement import ACTIVE, Agreement
from vfljax.protocol.encrypted.linear_layer import MakeOptimizer
from vfljax.protocol.encrypted.row_operations import RowOperations, check_operations
from vfljax.protocol.step import check_labels


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
        key: For the defense; iteration t uses `fold_in(key, t)`, as `protocol.train`.
        make_defense: Makes the defense; for separate processes as `make_optimizer`.
    """

    activations: Any
    params: Params
    make_optimizer: MakeOptimizer
    labels: Any
    key: Any
    make_defense: Callable[[], Defense] = defenses.no_defense


def check_inputs(
    agreement: Agreement,
    passive: Sequence[PassiveInputs],
    active: ActiveInputs,
    batches: Any,
) -> None:
    """Raises a `ValueError` for inputs that don't fit the agreement."""
    if len(passive) != len(agreement.passive_names):
        raise ValueError(
            f"passive: {len(passive)} given, must be {len(agreement.passive_names)}, "
            "one per entry of widths but the last"
        )
    num_samples = len(active.labels)
    check_labels(jnp.asarray(active.labels), agreement.num_classes)
    for name, inputs, width in zip(
        (*agreement.passive_names, ACTIVE),
        (*passive, active),
        agreement.widths,
        strict=True,
    ):
        _check_shape(f"{name}: activations", inputs.activations, (num_samples, width))
        _check_params(name, inputs.params, width, agreement.num_classes)
    for name, inputs in zip(agreement.passive_names, passive, strict=True):
        for iteration, operations in inputs.operations.items():
            _check_iteration(f"{name}: operations", iteration, len(batches))
            check_operations(operations, agreement.batch_size, agreement.num_classes)
        for iteration in inputs.observe:
            _check_iteration(f"{name}: observe", iteration, len(batches))
    _check_shape("batches", batches, (len(batches), agreement.batch_size))
    rows = np.ravel(np.asarray(batches))
    outside = rows[(rows < 0) | (rows >= num_samples)]
    if outside.size:
        raise ValueError(
            f"batches: contains {outside[0]}, must be in [0, {num_samples - 1}]"
        )


def _check_params(name, params, width, num_classes):
    shapes = jax.tree.map(np.shape, params)
    expected = {"output": {"kernel": (width, num_classes), "bias": (num_classes,)}}
    if shapes != expected:
        raise ValueError(f"{name}: params have shapes {shapes}, must be {expected}")


def _check_shape(name, array, expected):
    if np.shape(array) != expected:
        raise ValueError(f"{name}: shape {np.shape(array)}, must be {expected}")


def _check_iteration(name, iteration, num_iterations):
    if not 0 <= iteration < num_iterations:
        raise ValueError(
            f"{name}: iteration {iteration}, must be in [0, {num_iterations - 1}]"
        )
