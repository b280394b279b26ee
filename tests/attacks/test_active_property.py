"""The active attack: what is uploaded, against a gradient by hand, and its readings."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import attacks, models
from vfljax.attacks import ActivePropertyInference
from vfljax.models import EVALUATION
from vfljax.protocol import Scene, batch_gradient

MODEL = models.mlp((5,), embed=3)
FEATURES = jax.random.normal(jax.random.key(0), (1, 8, 4))
LABELS = (jnp.arange(8) % 3)[None]
PROPERTIES = jnp.array([[1, 0, 0, 1, 2, 0, 1, 0]])
SCENE = Scene(
    num_samples=8,
    num_test=8,
    num_classes=3,
    adversary=1,
    passive=(0, 1),
    batch_size=8,
    prepared=(),
    samples_of=lambda *_: jnp.arange(1),
    infer=lambda *_: None,
)


def uploaded(rounds=1, **options):
    """The update that is sent in a round, the honest one, and what is kept then."""
    attack = ActivePropertyInference(**options)
    upload = attack.interferes(jax.random.key(9), SCENE).upload
    assert upload is not None
    params = MODEL.init(jax.random.key(1), FEATURES[0])
    honest = batch_gradient(MODEL, params, FEATURES[0], LABELS[0], 3)
    kept = upload.init(jax.random.key(2), params)
    given: Any = MODEL, params, EVALUATION, FEATURES, LABELS, PROPERTIES
    first = kept
    for _ in range(rounds):
        sent, kept = upload.send(kept, honest, *given)
    return sent, honest, params, first, kept


def joint_loss(params, head, weight):
    """Written out: both heads on the same hidden units."""
    hidden = params["hidden_0"]
    units = jnp.maximum(FEATURES[0] @ hidden["kernel"] + hidden["bias"][None], 0.0)
    losses = []
    for layer, truth in ((params["output"], LABELS[0]), (head, PROPERTIES[0] == 1)):
        logits = units @ layer["kernel"] + layer["bias"][None]
        logs = jax.nn.log_softmax(logits)
        losses.append(-jnp.mean(logs[jnp.arange(8), truth.astype(int)]))
    return (1 - weight) * losses[0] + weight * losses[1]


def check_equal(one, other, **tolerance):
    """Leaf by leaf."""
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, **tolerance)


@pytest.mark.parametrize("weight", [0.2, 0.7])
def test_the_gradient_of_the_joint_loss_is_sent(weight):
    sent, _, params, head, _ = uploaded(property_weight=weight)
    check_equal(sent, jax.grad(joint_loss)(params, head, weight), atol=1e-6)


def test_without_weight_the_honest_update_is_sent_bit_for_bit():
    sent, honest, *_ = uploaded(property_weight=0.0)
    check_equal(sent, honest, rtol=0, atol=0)


def test_printed_the_weight_is_that_of_the_main_task():
    printed, *_ = uploaded(property_weight=0.3, loss="printed")
    figures, *_ = uploaded(property_weight=0.7)
    check_equal(printed, figures, atol=1e-6)


def test_the_head_is_trained_or_stays_as_it_starts():
    _, _, params, head, kept = uploaded(property_weight=0.5, head_learning_rate=0.5)
    slope = jax.grad(joint_loss, argnums=1)(params, head, 1.0)
    expected = jax.tree.map(lambda a, b: a - 0.5 * b, head, slope)
    check_equal(kept, expected, atol=1e-6)
    *_, head, kept = uploaded(rounds=3, property_weight=0.5, head="frozen")
    check_equal(kept, head, rtol=0, atol=0)


def test_it_answers_as_the_attack_that_it_stands_on():
    of = attacks.PropertyInference(classifier="forest")
    attack = ActivePropertyInference(of=of)
    assert attack.reader == of.reader
    assert attack.runs_on_host
    assert attack.is_adaptive
    assert attack.victim is attack
    assert of.victim is None


@pytest.mark.parametrize(
    ("option", "value"), [("property_weight", 1.5), ("head_learning_rate", 0.0)]
)
def test_ranges(option, value):
    with pytest.raises(ValueError, match=f"{option}={value}"):
        ActivePropertyInference(**{option: value})
