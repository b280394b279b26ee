"""Whether a party goes on with the inputs that it began with.

Hashes of private inputs stay in the party's own state: labels are so few that whoever
has their hash could try them out.
"""

import hashlib

import jax
import numpy as np

from vfljax.protocol.encrypted.inputs import ActiveInputs, PassiveInputs

_PREFIX = "inputs"


def input_hashes(inputs: PassiveInputs | ActiveInputs) -> dict[str, np.ndarray]:
    """SHA-256 of each input that is data, by name, as arrays for the party's state.

    Makers of optimizers and defenses aren't data: functions can't be compared.
    """
    data = {
        "activations": _content(inputs.activations),
        "params": b"".join(map(_content, jax.tree.leaves(inputs.params))),
    }
    if isinstance(inputs, ActiveInputs):
        data["labels"] = _content(inputs.labels)
        data["key"] = _content(jax.random.key_data(inputs.key))
    else:
        data["operations"] = repr(sorted(inputs.operations.items())).encode()
        data["observe"] = repr(sorted(map(int, inputs.observe))).encode()
    return {
        f"{_PREFIX}_{name}": np.asarray(hashlib.sha256(each).hexdigest())
        for name, each in data.items()
    }


def check_same_inputs(
    party: str, hashes: dict[str, np.ndarray], state: dict[str, np.ndarray]
) -> None:
    """Refuses other inputs than those of a party's state.

    Args:
        party: Its name.
        hashes: `input_hashes` of the inputs to go on with.
        state: What the party kept, with those of the inputs that it began with.

    Raises:
        ValueError: If one of them differs.
    """
    for name, digest in hashes.items():
        if state[name] != digest:
            raise ValueError(
                f"{party}: {name.removeprefix(f'{_PREFIX}_')}: not what it began the "
                "run with; the run can be resumed with the same inputs alone"
            )


def _content(array) -> bytes:
    """An array's shape and values, whatever its type was."""
    array = np.asarray(array, float)
    return repr(array.shape).encode() + array.tobytes()
