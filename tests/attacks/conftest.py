"""What attacks are shown in the common tests, and what there is to know besides."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import attacks, models, protocol
from vfljax.attacks import Known

NUM_AUXILIARY = 40
_RATE = 0.1  # of local steps
_WIDTH = 12  # of a sample
_NUM_OF_BOTH_KINDS = 400  # auxiliary samples, half of them with a property


class Sight(NamedTuple):
    """A view of undefended messages, all that there is to know, and what is behind.

    Attributes:
        view: Of one batch, or of one participant.
        known: All that there is to know.
        truth: Labels of the samples.
        features: Of the samples, where the view shows none.
    """

    view: Any
    known: Known
    truth: Any
    features: Any = None


@pytest.fixture(scope="session")
def make_sight(make_exchange):
    """Draws what an attack sees of a batch, with everything that may be known."""

    def make(attack, seed=0, batch=8, classes=3) -> Sight:
        if isinstance(attack.reader, attacks.TokensPresent):
            return see_tokens(attack, seed)
        if attack.reader is not None:
            return see_rounds(attack, seed, batch)
        if attack.sees is protocol.UpdateView:
            return see_update(seed, batch, classes)
        exchange = make_exchange(seed=seed, batch=batch, classes=classes)
        goes_by_rows = "rows" in attack.uses
        known = _known_of_exchange(exchange, goes_by_rows)
        return Sight(_view(attack.sees, exchange), known, exchange.truth)

    return make


def _view(kind, exchange):
    of_batch = exchange.batch
    if kind is protocol.TrainedModelView:
        return protocol.TrainedModelView(
            of_batch.model, of_batch.params, of_batch.features, of_batch.num_classes
        )
    if kind is protocol.PredictionView:
        logits = protocol.own_embedding(of_batch)
        return protocol.PredictionView(logits, of_batch.num_classes)
    return exchange.sample if kind is protocol.SampleGradientView else of_batch


def _known_of_exchange(exchange, goes_by_rows):
    """All that an adversary may know: labels of samples 0 to 3, no defense.

    Of a trained model `labels` are those of `rows`.
    """
    view, truth = exchange.sample, exchange.truth
    labels = jnp.where(jnp.arange(len(truth)) < 4, truth, -1)
    recovered = attacks.direct_inference(view).scores
    own = jax.nn.softmax(protocol.own_embedding(view))
    return Known(
        labels=labels[:4] if goes_by_rows else labels,
        rows=jnp.arange(4),
        other_features=view.features[:2] + 0.1,
        codebook=jnp.eye(view.num_classes),
        noise_std=jnp.array(0.0),
        keep_fraction=jnp.array(1.0),
        replaced_by=jnp.array(0.0),
        keeps_zero_sum=True,
        drops_entries=False,
        earlier=((recovered, own), (0.5 * recovered, own)),
    )


def see_update(seed=0, batch=8, classes=3, num_steps=1) -> Sight:
    """The update of an untrained network with 16 hidden units, none of it defended.

    Features are not negative, and a little larger in a column of each class.
    """
    params, features, truth, update, known = _draw(seed, batch, classes, num_steps)
    view = protocol.UpdateView(
        model=models.mlp((16,), embed=classes),
        params=params,
        update=update,
        learning_rate=_RATE,
        num_classes=classes,
        batch_size=batch,
        sample_shape=(_WIDTH,),
        num_steps=num_steps,
    )
    return Sight(view, known, truth.reshape(-1), features.reshape(-1, _WIDTH))


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _draw(seed, batch, classes, num_steps):
    model = models.mlp((16,), embed=classes)
    keys = jax.random.split(jax.random.key(seed), 5)
    truth = jax.random.randint(keys[0], (num_steps, batch), 0, classes)
    own = jnp.arange(NUM_AUXILIARY) % classes

    def features_of(key, labels):
        base = jax.random.uniform(key, (*labels.shape, _WIDTH))
        return base + 0.3 * jax.nn.one_hot(labels, _WIDTH)

    features = features_of(keys[1], truth)
    params = model.init(keys[2], features[0])
    simulate = jax.tree_util.Partial(_sender(model, classes), params, _RATE)
    update = simulate(keys[4], features, truth)
    known = Known(
        auxiliary_features=features_of(keys[3], own),
        auxiliary_labels=own,
        simulate=simulate,
    )
    return params, features, truth, update, known


@functools.cache
def _sender(model, classes):
    """One object for equal arguments, so that programs are found again."""

    def send(params, rate, key, features, labels):
        return protocol.local_update(
            model, params, features, labels, learning_rate=rate, num_classes=classes
        )

    return send


@pytest.fixture(scope="session")
def make_update():
    """Draws the update of a small network, with everything that may be known."""
    return see_update


def see_rounds(attack, seed=0, batch=8, participants=1, num_steps=1) -> Sight:
    """What an attack keeps of 12 rounds; every second batch has a property in full.

    A sample with it is larger in the last column. Of several participants it is the
    first. The truth is the number of its samples that have the property.
    """
    counts = jnp.arange(12) % 2 * batch * num_steps
    keys, views, known = _draw_rounds(seed, batch, participants, num_steps)
    return Sight(_kept(attack.reader, keys, views, known), known, counts)


@functools.cache
def _reading(reader):
    """One object for equal readers, so that programs are found again."""
    return jax.jit(functools.partial(attacks.read_rounds, reader))


def _kept(reader, keys, views, known):
    return _reading(reader)(keys, views, known)


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _draw_rounds(seed, batch, participants, num_steps):
    model, classes = models.mlp((16,), embed=2), 2
    keys = jax.random.split(jax.random.key(seed), 5)
    shape = (12, num_steps, participants * batch)
    is_target = jnp.arange(shape[2]) < batch
    rounds = (jnp.arange(12) % 2)[:, None, None]
    properties = jnp.broadcast_to(rounds * is_target[None, None], shape)
    own = jnp.arange(_NUM_OF_BOTH_KINDS)

    def features_of(key, labels, properties):
        base = jax.random.uniform(key, (*labels.shape, _WIDTH))
        base = base + 0.3 * jax.nn.one_hot(labels, _WIDTH)
        return base.at[..., -1].add(2.0 * properties)

    truth = jax.random.randint(keys[0], shape, 0, classes)
    features = features_of(keys[1], truth, properties)
    params = model.init(keys[2], features[0, 0])
    simulate = jax.tree_util.Partial(_sender(model, classes), params, _RATE)
    known = Known(
        auxiliary_features=features_of(keys[3], own % 2, own // 2 % 2),
        auxiliary_labels=own % 2,
        auxiliary_properties=own // 2 % 2 == 1,
        simulate=simulate,
    )

    def view(features, labels):
        return protocol.UpdateView(
            model=model,
            params=params,
            update=simulate(None, features, labels),
            learning_rate=jnp.array(_RATE),
            num_classes=classes,
            batch_size=shape[2],
            sample_shape=(_WIDTH,),
            num_steps=num_steps,
            num_participants=participants,
        )

    views = jax.vmap(view)(features, truth)
    return jax.random.split(keys[4], 12), views, known


_TOKENS, _LENGTH = 40, 5  # of the texts that members are


def see_tokens(attack, seed=0) -> Sight:
    """What is kept of 40 rounds with two texts each, and 60 texts, half of them there.

    Texts have up to five different tokens of 39; number 0 is padding. The truth is what
    the rule says, in plain Python.
    """
    key_texts, key_table, key_keys = jax.random.split(jax.random.key(seed), 3)
    texts = jax.random.randint(key_texts, (110, _LENGTH), 0, _TOKENS)
    batches = texts[:80].reshape(40, 1, 2, _LENGTH).astype(jnp.float32)
    params = {
        "words": {"embedding": jax.random.normal(key_table, (_TOKENS, 4))},
        "output": {"kernel": jnp.array([[1.0, -1], [2, 0], [0, 1], [1, 1]])},
    }
    views = _views_of_texts(params, batches)
    records = texts[50:110]
    sets = [set(np.asarray(batch, int).ravel().tolist()) | {0} for batch in batches]
    truth = [
        any(set(record) <= found for found in sets) and any(record)
        for record in np.asarray(records).tolist()
    ]
    keys = jax.random.split(key_keys, 40)
    kept = _kept(attack.reader, keys, views, Known())
    return Sight(kept, Known(records=records), jnp.array(truth, jnp.int32))


@jax.jit
def _views_of_texts(params, batches):
    def logits(params, tokens):
        tokens = tokens.astype(jnp.int32)
        found = params["words"]["embedding"][tokens] * (tokens != 0)[..., None]
        return jnp.sum(found, axis=1) @ params["output"]["kernel"]

    model = models.PartyModel(init=lambda key, x: params, apply=logits)

    def view(tokens):
        labels = jnp.array([[0, 1]])
        update = protocol.local_update(
            model, params, tokens, labels, learning_rate=_RATE, num_classes=2
        )
        return protocol.UpdateView(
            model, params, update, jnp.array(_RATE), 2, 2, (_LENGTH,)
        )

    return jax.vmap(view)(batches)


@pytest.fixture(scope="session")
def make_rounds():
    """Draws what an attack keeps of several rounds."""
    return see_rounds


@pytest.fixture(scope="session")
def make_views():
    """Draws keys and views of several rounds, and all that there is to know."""
    return _draw_rounds
