"""The protocol step against NumPy written from the paper, and its training scan."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vfljax import defenses, losses, models, protocol

CLASSES = 3


def two_parties(defense=None, label_party=-1, optimizers=None):
    model = models.mlp((5,), embed=CLASSES)
    return protocol.sum_of_logits(
        (model, model),
        optimizers or (optax.sgd(0.1), optax.sgd(0.2)),
        num_classes=CLASSES,
        defense=defense,
        label_party=label_party,
    )


@pytest.fixture
def batch():
    key_first, key_second, key_labels = jax.random.split(jax.random.key(1), 3)
    features = [
        jax.random.normal(key_first, (6, 4)),
        jax.random.normal(key_second, (6, 7)),
    ]
    return features, jax.random.randint(key_labels, (6,), 0, CLASSES)


def numpy_forward(params, features):
    hidden = np.asarray(features) @ params["hidden_0"]["kernel"]
    hidden = np.maximum(hidden + params["hidden_0"]["bias"], 0)
    return hidden, hidden @ params["output"]["kernel"] + params["output"]["bias"]


def test_step_equals_numpy(batch):
    """Eqs. 1-8: sum, softmax, U = (S − Y)/B, each party's chain rule, its own rate."""
    features, labels = batch
    run = two_parties()
    state = run.init(jax.random.key(0), features)
    new_state, transcript = run.step(
        jax.random.key(2), state, features, labels, jnp.arange(6)
    )
    params = jax.tree.map(np.asarray, state.params)
    hidden, logits = zip(
        *(numpy_forward(p, x) for p, x in zip(params, features, strict=True)),
        strict=True,
    )
    exponentials = np.exp(logits[0] + logits[1])
    softmax = exponentials / exponentials.sum(axis=1, keepdims=True)
    messages = (softmax - np.eye(CLASSES)[labels]) / 6
    np.testing.assert_allclose(
        transcript.loss, -np.log(softmax[np.arange(6), labels]).mean(), rtol=1e-5
    )
    for party, rate in enumerate((0.1, 0.2)):
        np.testing.assert_allclose(transcript.gradients[party], messages, atol=1e-6)
        back = messages @ params[party]["output"]["kernel"].T * (hidden[party] > 0)
        expected = {
            "hidden_0": {"kernel": features[party].T @ back, "bias": back.sum(axis=0)},
            "output": {
                "kernel": hidden[party].T @ messages,
                "bias": messages.sum(axis=0),
            },
        }
        for layer, parts in expected.items():
            for name, gradient in parts.items():
                np.testing.assert_allclose(
                    transcript.batch_gradients[party][layer][name], gradient, atol=1e-6
                )
                np.testing.assert_allclose(
                    new_state.params[party][layer][name],
                    params[party][layer][name] - rate * gradient,
                    atol=1e-6,
                )


def test_messages_have_one_negative_entry_and_sum_to_zero(batch):
    features, labels = batch
    run = two_parties()
    state = run.init(jax.random.key(0), features)
    transcript, _ = run.exchange(
        jax.random.key(2), state, features, labels, jnp.arange(6)
    )
    message = np.asarray(transcript.gradients[0])
    np.testing.assert_allclose(message.sum(axis=1), 0.0, atol=1e-7)
    np.testing.assert_array_equal((message < 0).sum(axis=1), 1)
    np.testing.assert_array_equal(message.argmin(axis=1), labels)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shift(defenses.Defense):
    """One is added to every entry."""

    covers_label_party: bool

    def perturb(self, key, state, gradients, labels, sample_ids):
        return gradients + 1.0, state


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rotate(defenses.Defense):
    """Each class goes by the name of the next."""

    encodes_labels = True

    def encode_labels(self, labels):
        return jnp.roll(labels, 1, axis=1)

    def decode_logits(self, logits):
        return jnp.roll(logits, -1, axis=1)


@pytest.mark.parametrize("covers", [False, True])
@pytest.mark.parametrize("label_party", [0, 1])
def test_who_gets_the_perturbed_gradient(covers, label_party, batch):
    features, labels = batch
    run = two_parties(defense=Shift(covers_label_party=covers), label_party=label_party)
    state = run.init(jax.random.key(0), features)
    transcript, _ = run.exchange(
        jax.random.key(2), state, features, labels, jnp.arange(6)
    )
    clean = losses.logit_gradient(
        transcript.embeddings[0] + transcript.embeddings[1],
        jax.nn.one_hot(labels, CLASSES),
    )
    for party in range(2):
        added = 0.0 if party == label_party and not covers else 1.0
        np.testing.assert_allclose(
            transcript.gradients[party], clean + added, atol=1e-6
        )


def test_labels_are_encoded_and_logits_decoded(batch):
    features, labels = batch
    plain, rotated = two_parties(), two_parties(defense=Rotate())
    state = plain.init(jax.random.key(0), features)
    transcript, _ = rotated.exchange(
        jax.random.key(2), state, features, labels, jnp.arange(6)
    )
    np.testing.assert_array_equal(
        transcript.gradients[0].argmin(axis=1), (labels + 1) % CLASSES
    )
    np.testing.assert_array_equal(
        rotated.predict(state, features),
        jnp.roll(plain.predict(state, features), -1, axis=1),
    )


def test_predictions_of_many_samples_are_made_in_parts():
    """1,201 rows, hidden layers of five: never all rows of a hidden layer at once."""
    keys = jax.random.split(jax.random.key(3), 2)
    features = [
        jax.random.normal(key, (1201, width))
        for key, width in zip(keys, (4, 7), strict=True)
    ]
    run = two_parties()
    state = run.init(jax.random.key(0), [part[:1] for part in features])
    expected = sum(map(models.embed, run.models, state.params, features))
    np.testing.assert_allclose(run.predict(state, features), expected, atol=1e-5)
    program = str(jax.make_jaxpr(run.predict)(state, features))
    assert "f32[500,5]" in program
    assert "f32[1201,5]" not in program


def test_predictions_from_numpy_arrays_are_the_same(unchecked_types):
    features = [np.random.default_rng(0).normal(size=(501, 4)).astype(np.float32)] * 2
    run = two_parties()
    state = run.init(jax.random.key(0), [jnp.asarray(part[:1]) for part in features])
    expected = run.predict(state, [jnp.asarray(part) for part in features])
    np.testing.assert_array_equal(run.predict(state, features), expected)


def test_training_equals_a_loop_of_steps_and_learns(batch):
    features, labels = batch
    run = two_parties(optimizers=(optax.adam(0.05), optax.sgd(0.5)))
    state = run.init(jax.random.key(0), features)
    rows = jnp.array([[0, 1, 2], [3, 4, 5], [5, 0, 3]] * 20)
    trained, history = protocol.train(
        run, jax.random.key(3), state, features, labels, rows
    )
    step = jax.jit(run.step)
    looped = state
    for number, ids in enumerate(rows):
        key = jax.random.fold_in(jax.random.key(3), number)
        looped, transcript = step(
            key, looped, [party[ids] for party in features], labels[ids], ids
        )
        np.testing.assert_allclose(history[number], transcript.loss, rtol=1e-4)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4),
        trained.params,
        looped.params,
    )
    assert history[-3:].mean() < 0.5 * history[:3].mean()


def test_defense_state_travels_through_training(batch):
    features, labels = batch
    defense = defenses.sparsification(0.2, residual="by_sample", memory_shape=(6, 3))
    run = two_parties(defense=defense)
    state = run.init(jax.random.key(0), features)
    rows = jnp.array([[0, 1, 2], [1, 2, 3]])
    trained, _ = protocol.train(run, jax.random.key(3), state, features, labels, rows)
    touched = jnp.any(trained.defense_state != 0, axis=1)
    np.testing.assert_array_equal(touched, [True, True, True, True, False, False])


@pytest.mark.parametrize("wrong", [-1, CLASSES])
def test_labels_out_of_range(wrong, batch):
    features, labels = batch
    run = two_parties()
    state = run.init(jax.random.key(0), features)
    labels = labels.at[2].set(wrong)
    message = rf"labels: contains {wrong}, must be in \[0, 2\]"
    with pytest.raises(ValueError, match=message):
        run.exchange(jax.random.key(2), state, features, labels, jnp.arange(6))
    rows = jnp.array([[0, 1]])
    with pytest.raises(ValueError, match=message):
        protocol.train(run, jax.random.key(2), state, features, labels, rows)


def test_epoch_batches_are_permutations():
    batches = protocol.epoch_batches(jax.random.key(0), 10, 3, 7)
    assert batches.shape == (7, 3)
    for epoch in (batches[:3], batches[3:6]):
        assert len(np.unique(epoch)) == 9
    assert not np.array_equal(batches[:3], batches[3:6])


@pytest.mark.parametrize("size", [0, 11])
def test_batch_larger_than_the_data_set(size):
    with pytest.raises(ValueError, match=rf"batch_size={size}: must be in \[1, 10\]"):
        protocol.epoch_batches(jax.random.key(0), 10, size, 7)


def test_four_parties(batch):
    features, labels = batch
    model = models.mlp((), embed=CLASSES)
    run = protocol.sum_of_logits(
        (model,) * 4, (optax.sgd(0.1),) * 4, num_classes=CLASSES, label_party=2
    )
    parts = [features[0], features[1], features[0] * 2, features[1][:, :3]]
    state = run.init(jax.random.key(0), parts)
    transcript, _ = run.exchange(jax.random.key(1), state, parts, labels, labels)
    assert len(transcript.batch_gradients) == 4
    assert run.label_party == 2
    assert not np.allclose(
        state.params[0]["output"]["kernel"], state.params[2]["output"]["kernel"]
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": 1, "optimizers": 1}, "models: 1 given"),
        ({"optimizers": 3}, "optimizers: 3 given for 2 models"),
        ({"num_classes": 1}, "num_classes=1: must be >= 2"),
        ({"label_party": 2}, r"label_party=2: must be in \[0, 1\]"),
    ],
)
def test_bad_arguments(changes, message):
    given = {"models": 2, "optimizers": 2, "num_classes": 3, **changes}
    with pytest.raises(ValueError, match=message):
        protocol.sum_of_logits(
            (models.mlp((), embed=3),) * given.pop("models"),
            (optax.sgd(0.1),) * given.pop("optimizers"),
            **given,
        )
