"""What a passive party learns in an iteration, for attacks and for exact tests."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from vfljax import encryption, models
from vfljax.protocol.encrypted.agreement import Agreement
from vfljax.protocol.encrypted.linear_layer import gradient_tree, params_tree
from vfljax.protocol.views import BatchGradientView

_PREFIX = "observation"


class Observation(NamedTuple):
    """What the party has learned in one iteration.

    Attributes:
        view: For an attack. Its features are the activations *as rounded* to fixed
            point: the decrypted gradient belongs to those.
        integers: The decrypted gradient (M + 1, C) before division, the bias last.
    """

    view: BatchGradientView
    integers: Int64[np.ndarray, "columns classes"]


def observation_arrays(iteration: int, **fields: np.ndarray) -> dict[str, np.ndarray]:
    """Fields of an iteration's observation under names of their own."""
    return {f"{_PREFIX}_{iteration}_{name}": array for name, array in fields.items()}


def is_observed(name: str) -> bool:
    """Whether an array's name is one of `observation_arrays`."""
    return name.startswith(_PREFIX)


def read_observations(
    agreement: Agreement, arrays: dict[str, np.ndarray]
) -> dict[int, Observation]:
    """The observations in a passive party's state, by iteration."""
    by_iteration: dict[int, dict[str, np.ndarray]] = {}
    for name in filter(is_observed, arrays):
        _, iteration, field = name.split("_")
        by_iteration.setdefault(int(iteration), {})[field] = arrays[name]
    return {
        iteration: _observation(agreement, fields)
        for iteration, fields in by_iteration.items()
    }


def _observation(agreement, fields):
    features = encryption.decode(fields["features"], agreement.activation_bits)
    view = BatchGradientView(
        model=models.mlp((), embed=agreement.num_classes),
        params=params_tree(fields),
        features=features.astype(np.float32),
        gradient=gradient_tree(fields["integers"] / agreement.gradient_scale),
        num_classes=agreement.num_classes,
    )
    return Observation(view, fields["integers"])
