"""Settings and inputs that don't fit are refused before anything is encrypted."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from vfljax.protocol import encrypted

_SETTINGS: dict[str, Any] = {"num_classes": 3, "batch_size": 4, "widths": (2, 3)}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"num_classes": 1}, r"num_classes=1: must be in \[2, 8192\]"),
        ({"batch_size": 0}, "batch_size=0: must be in"),
        ({"widths": (2,)}, r"widths=\(2,\): must be one number >= 1 for each passive"),
        ({"widths": (2, 0)}, r"widths=\(2, 0\): must be one number >= 1 for each"),
        ({"mode": "softmax"}, "mode='softmax': must be one of exact, taylor"),
        ({"layout": "column"}, "layout='column': must be one of row, compact"),
        ({"backend": "ckks"}, "backend='ckks': must be one of bfv, plain_int"),
        ({"preset": "toy"}, "preset='toy': must be one of default, flood, small"),
        ({"gradient_bits": 0}, r"gradient_bits=0: must be in \[1, 24\]"),
        ({"gradient_bound": 0.5}, r"gradient_bound=0.5: must be in \[1, inf\]"),
    ],
)
def test_agreements_that_make_no_sense_are_refused(change, reason, unchecked_types):
    with pytest.raises(ValueError, match=reason):
        encrypted.Agreement(**(_SETTINGS | change))


def test_agreement_names_everybody():
    agreement = encrypted.Agreement(num_classes=3, batch_size=4, widths=(2, 3, 5))
    assert agreement.party_names == ("passive_0", "passive_1", "active")
    assert agreement.layout_of("active").num_columns == 6


def changed(training, place):
    """The training with something wrong at `place`, and the reason."""
    passive, active = training.passive[0], training.active
    batches = training.batches
    if place == "number":
        return training._replace(passive=[]), "passive: 0 given, must be 1"
    if place == "activations":
        wrong = passive._replace(activations=passive.activations[:, 1:])
        reason = r"passive_0: activations: shape \(40, 3\), must be \(40, 4\)"
        return training._replace(passive=[wrong]), reason
    if place == "samples":
        wrong = active._replace(activations=active.activations[1:])
        reason = r"active: activations: shape \(39, 5\), must be \(40, 5\)"
        return training._replace(active=wrong), reason
    if place == "params":
        wrong = active._replace(params=passive.params)
        return training._replace(active=wrong), "active: params have shapes"
    if place == "labels":
        wrong = active._replace(labels=active.labels + 1)
        return training._replace(active=wrong), r"labels: contains 3, must be in \[0, 2"
    if place == "keys":
        wrong = active._replace(keys=active.keys[:1])
        return training._replace(active=wrong), r"active: keys: shape \(1,\), must be"
    if place == "key type":
        wrong = active._replace(keys=np.zeros(2, np.uint32))
        reason = "active: keys: uint32, must be typed JAX keys"
        return training._replace(active=wrong), reason
    if place == "targets":
        wrong = active._replace(targets=np.zeros((40, 2)))
        return training._replace(active=wrong), r"active: targets: shape \(40, 2\)"
    if place == "batches":
        return training._replace(batches=batches[:, 1:]), r"batches: shape \(2, 5\)"
    if place == "rows":
        return training._replace(batches=batches + 40), "batches: contains"
    wrong = passive._replace(observe=(2,))
    return training._replace(
        passive=[wrong]
    ), r"observe: iteration 2, must be in \[0, 1"


@pytest.mark.parametrize(
    "place",
    [
        "number",
        "activations",
        "samples",
        "params",
        "labels",
        "keys",
        "key type",
        "targets",
        "batches",
        "rows",
        "observe",
    ],
)
def test_inputs_that_do_not_fit_are_refused(make_training, place):
    training, reason = changed(make_training(backend="plain_int"), place)
    with pytest.raises(ValueError, match=reason):
        encrypted.run_here(*training)


def test_jax_arrays_are_inputs_too(make_training):
    training = make_training(backend="plain_int")
    passive, active = training.passive[0], training.active
    as_jax = training._replace(
        passive=[passive._replace(activations=jnp.asarray(passive.activations))],
        active=active._replace(
            activations=jnp.asarray(active.activations),
            labels=jnp.asarray(active.labels),
        ),
        batches=jnp.asarray(training.batches),
    )
    np.testing.assert_array_equal(
        encrypted.run_here(*as_jax).losses, encrypted.run_here(*training).losses
    )


def test_agreement_goes_to_json(make_training):
    agreement = make_training().agreement
    assert dataclasses.asdict(agreement)["widths"] == (4, 5)
