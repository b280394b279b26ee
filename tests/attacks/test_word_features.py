"""Bags of words from the table of an update, and the words that tell a property."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import attacks, goals
from vfljax.attacks.property_features import update_features
from vfljax.attacks.property_inference import PropertyReadings
from vfljax.models import GRUClassifier
from vfljax.protocol import batch_gradient


def test_a_gradient_tells_the_words_of_its_batch():
    model = GRUClassifier(vocabulary_size=12, embedding=3, hidden=3).make(2)
    texts = jnp.array([[3.0, 5, 5, 0], [7, 3, 11, 2]])
    params = model.init(jax.random.key(0), texts)
    gradient = batch_gradient(model, params, texts, jnp.array([0, 1]), 2)
    bag = update_features(gradient, "words", width=1)
    assert np.flatnonzero(bag).tolist() == [2, 3, 5, 7, 11]
    assert set(np.asarray(bag).tolist()) == {0.0, 1.0}


def test_an_update_without_words_is_refused():
    with pytest.raises(ValueError, match="table='words'"):
        update_features({"output": {"kernel": jnp.ones((2, 2))}}, "words", width=1)


@pytest.mark.parametrize("classifier", ["ridge", "logistic"])
def test_the_words_that_tell_come_first(classifier):
    """Words 4 and 1 are in batches with the property alone, word 6 in all others."""
    generator = np.random.default_rng(0)
    has_it = np.tile([True, False], 40).reshape(20, 4)
    bags = generator.random((20, 4, 15)) < 0.5
    bags[..., 4], bags[..., 6] = has_it, ~has_it
    bags[..., 1] = has_it & (generator.random((20, 4)) < 0.8)
    readings = PropertyReadings(
        observed=jnp.asarray(bags[:, 0], jnp.float32),
        simulated=jnp.asarray(bags, jnp.float32),
        shares=jnp.asarray(has_it, jnp.float32),
        num_samples=jnp.full(20, 8),
    )
    attack = attacks.PropertyInference(classifier=classifier)
    found = jax.device_get(attack(jax.random.key(0), readings))
    first, second, *others = telling(found, with_confusion=True)
    assert (first, second) == (4, 1)
    assert 6 not in others
    assert telling(found, with_confusion=False) == []


def telling(answer, *, with_confusion):
    """The telling features of an answer's row, none if it has none."""
    nothing = np.zeros(0, int)
    truth = goals.Truth(
        np.full(20, 8), nothing, nothing > 0, 2, {"batch_size": np.array(8)}
    )
    row = goals.PROPERTY.score(answer, truth, with_confusion)
    return row.get("telling_features", [])
