"""FedSGD and FedAvg: one round against a loop by hand, and who sees what."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vfljax import data, defenses, models, protocol
from vfljax.protocol import Batches, FederatedAveraging, FederatedSGD

FEATURES = jax.random.uniform(jax.random.key(0), (60, 6))
LABELS = jnp.arange(60) % 3
MODEL = models.mlp((5,), embed=3)
RATE = 0.2


def run_of(record, *, size=4, server=None, **options):
    """A protocol without defense, and its state before training."""
    run = record.make(
        MODEL,
        server or optax.sgd(RATE),
        **{
            "defense": defenses.NoDefense(),
            "num_classes": 3,
            "learning_rate": RATE,
            "num_steps": record.num_steps(size, 60 // record.num_participants),
        }
        | options,
    )
    return run, run.init(jax.random.key(1), FEATURES[:1])


def batches_of(participants, steps, size, weights=None, seed=0):
    """Rows drawn for some participants, with equal weights unless these are given."""
    number = len(participants)
    shape = (number, steps, size)
    rows = jax.random.randint(jax.random.key(seed), shape, 0, 60)
    weights = [1 / number] * number if weights is None else weights
    return Batches(
        FEATURES[rows], LABELS[rows], jnp.array(participants), jnp.array(weights)
    )


def loss(params, features, labels):
    """Written out: mean of −log softmax at the label."""
    hidden, output = params["hidden_0"], params["output"]
    x = jnp.maximum(features @ hidden["kernel"] + hidden["bias"][None], 0.0)
    logits = x @ output["kernel"] + output["bias"][None]
    logs = logits - jax.scipy.special.logsumexp(logits, axis=1, keepdims=True)
    return -jnp.mean(jnp.take_along_axis(logs, labels[:, None], axis=1))


def local_weights(params, features, labels):
    """The weights after plain SGD on one batch after the other."""
    for x, y in zip(features, labels, strict=True):
        gradient = jax.grad(loss)(params, x, y)
        params = jax.tree.map(lambda w, g: w - RATE * g, params, gradient)
    return params


def assert_close(found, expected):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_fed_sgd_moves_by_the_weighted_gradient():
    run, state = run_of(FederatedSGD(num_participants=3))
    batches = batches_of([0, 1, 2], 1, 4, weights=[0.5, 0.3, 0.2])
    after, transcript = jax.jit(run.step)(jax.random.key(2), state, batches)
    gradients = [
        jax.grad(loss)(state.params, x[0], y[0])
        for x, y in zip(batches.features, batches.labels, strict=True)
    ]
    mean = jax.tree.map(lambda a, b, c: 0.5 * a + 0.3 * b + 0.2 * c, *gradients)
    assert_close(transcript.aggregate, mean)
    expected = jax.tree.map(lambda w, g: w - RATE * g, state.params, mean)
    assert_close(after.params, expected)


@pytest.mark.parametrize("steps", [1, 3])
def test_fed_avg_takes_the_mean_of_the_weights(steps):
    record = FederatedAveraging(num_participants=2, local_steps=steps)
    run, state = run_of(record)
    batches = batches_of([0, 1], steps, 4, weights=[0.75, 0.25])
    after, _ = jax.jit(run.step)(jax.random.key(2), state, batches)
    first, second = (
        local_weights(state.params, x, y)
        for x, y in zip(batches.features, batches.labels, strict=True)
    )
    mean = jax.tree.map(lambda a, b: 0.75 * a + 0.25 * b, first, second)
    assert_close(after.params, mean)


def test_updates_stand_in_gradient_units():
    """(w_before − w_after)/η, which for one step is the gradient."""
    record = FederatedAveraging(num_participants=1, local_steps=3)
    run, state = run_of(record)
    batches = batches_of([0], 3, 4)
    transcript, _ = run.exchange(jax.random.key(2), state, batches)
    after = local_weights(state.params, batches.features[0], batches.labels[0])
    expected = jax.tree.map(lambda a, b: (a - b) / RATE, state.params, after)
    assert_close(jax.tree.map(lambda leaf: leaf[0], transcript.updates), expected)


def test_local_momentum_starts_anew_in_every_round():
    """w2 = w1 − η(g2 + .5 g1), so that the update is g1 + (g2 + .5 g1)."""
    record = FederatedAveraging(num_participants=1, local_steps=2, local_momentum=0.5)
    run, state = run_of(record)
    batches = batches_of([0], 2, 4)
    transcript, _ = run.exchange(jax.random.key(2), state, batches)
    x, y = batches.features[0], batches.labels[0]
    first = jax.grad(loss)(state.params, x[0], y[0])
    moved = jax.tree.map(lambda w, g: w - RATE * g, state.params, first)
    second = jax.grad(loss)(moved, x[1], y[1])
    expected = jax.tree.map(lambda g, h: 1.5 * g + h, first, second)
    assert_close(jax.tree.map(lambda leaf: leaf[0], transcript.updates), expected)


def test_epochs_are_whole_batches_of_ones_own_samples():
    record = FederatedAveraging(local_epochs=2)
    assert record.num_steps(batch_size=4, samples_each=13) == 6
    assert record.num_steps(batch_size=20, samples_each=13) == 2
    assert FederatedAveraging(local_steps=5).num_steps(4, 13) == 5
    assert FederatedSGD().num_steps(4, 13) == 1


def test_any_optimizer_on_the_server():
    run, state = run_of(FederatedSGD(num_participants=2), server=optax.adam(0.01))
    after, transcript = run.step(jax.random.key(0), state, batches_of([0, 1], 1, 4))
    moves = jax.tree.map(lambda a, b: a - b, after.params, state.params)
    for move, gradient in zip(
        jax.tree.leaves(moves), jax.tree.leaves(transcript.aggregate), strict=True
    ):
        seen = np.abs(gradient) > 1e-5  # Adam's first step is ±rate
        np.testing.assert_allclose(
            np.asarray(move)[seen], -0.01 * np.sign(gradient)[seen], rtol=1e-2
        )


def test_training_learns():
    run, state = run_of(FederatedSGD(num_participants=3), size=20)
    step = jax.jit(run.step)
    targets = jnp.argmax(FEATURES[:, :3], axis=1)
    for number in range(150):
        rows = jax.random.randint(jax.random.key(number), (3, 1, 20), 0, 60)
        batches = Batches(
            FEATURES[rows], targets[rows], jnp.arange(3), jnp.full(3, 1 / 3)
        )
        state, _ = step(jax.random.key(0), state, batches)
    logits = run.predict(state, FEATURES)
    assert jnp.mean(jnp.argmax(logits, axis=1) == targets) > 0.8


def test_a_whole_training_is_watched():
    """Views of all rounds stand along a leading axis, and tell how weights moved."""
    run, state = run_of(FederatedSGD(num_participants=4, secure_aggregation=True))
    partition = data.partition_evenly(60, 4, seed=0)
    given = jax.random.key(5), state, FEATURES, LABELS, partition, jnp.arange(6)
    options: Any = {"batch_size": 5, "num_in_round": 3}
    after, views = jax.jit(
        lambda *given: protocol.train_rounds(
            run, *given, **options, watch=protocol.keep_view
        )
    )(*given)
    assert views.batch_size == 15
    for before, update, then in zip(
        jax.tree.leaves(views.params),
        jax.tree.leaves(views.update),
        jax.tree.leaves(after.params),
        strict=True,
    ):
        assert len(before) == 6
        moved = before - RATE * update
        np.testing.assert_allclose(moved[:-1], before[1:], atol=1e-6)
        np.testing.assert_allclose(moved[-1], then, atol=1e-6)
    parts, _ = protocol.train_rounds(run, *given[:-1], jnp.arange(2), **options)
    parts, nothing = protocol.train_rounds(
        run, given[0], parts, *given[2:-1], jnp.arange(2, 6), **options
    )
    assert nothing is None
    assert_close(parts.params, after.params)


# ---- who sees what -------------------------------------------------------------------
def seen_by(record, participants=(0, 1, 2)):
    run, state = run_of(record)
    batches = batches_of(list(participants), 1, 4)
    transcript, _ = run.exchange(jax.random.key(2), state, batches)
    return run.view(state, transcript, 4, (6,)), batches, state


def gradient_of(state, features, labels):
    rows = features.reshape(-1, 6), labels.reshape(-1)
    return jax.grad(loss)(state.params, *rows)


def test_the_server_sees_one_update():
    view, batches, state = seen_by(FederatedSGD(num_participants=3))
    assert view.batch_size == 4
    expected = gradient_of(state, batches.features[0], batches.labels[0])
    assert_close(view.update, expected)


def test_secure_aggregation_shows_the_mean_of_all():
    view, batches, state = seen_by(
        FederatedSGD(num_participants=3, secure_aggregation=True)
    )
    assert view.batch_size == view.num_labels == 12
    assert_close(view.update, gradient_of(state, batches.features, batches.labels))


def test_a_participant_sees_all_but_its_own():
    view, batches, state = seen_by(
        FederatedSGD(num_participants=3, observer="participant")
    )
    assert view.batch_size == 8
    others = batches.features[:2], batches.labels[:2]
    assert_close(view.update, gradient_of(state, *others))


def test_a_view_holds_no_data():
    view, batches, _ = seen_by(FederatedSGD(num_participants=3))
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(view)]
    for secret in (batches.features, batches.labels):
        assert all(leaf.shape != secret.shape[1:] for leaf in leaves)
    assert view.sample_shape == (6,)


# ---- defenses ------------------------------------------------------------------------
def test_memory_belongs_to_its_participant():
    """Sparsified updates are remembered by who takes part, and by nobody else."""
    total = sum(
        leaf.size
        for leaf in jax.tree.leaves(MODEL.init(jax.random.key(0), FEATURES[:1]))
    )
    sparse = defenses.sparsification(0.2, memory_shape=(1, total))
    run, state = run_of(FederatedSGD(num_participants=4), defense=sparse)
    batches = batches_of([3, 1], 1, 4)
    transcript, after = jax.jit(run.exchange)(jax.random.key(2), state, batches)
    memory = np.asarray(after.defense_states)
    assert (memory[[0, 2]] == 0).all()
    for place, participant in enumerate([3, 1]):
        gradient = gradient_of(state, batches.features[place], batches.labels[place])
        wanted = np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(gradient)])
        sent = np.concatenate(
            [leaf[place].ravel() for leaf in jax.tree.leaves(transcript.updates)]
        )
        np.testing.assert_allclose(
            sent + memory[participant].ravel(), wanted, atol=1e-6
        )
        assert np.mean(sent != 0) == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FederatedSGD(num_participants=0), "num_participants=0: must be >= 1"),
        (
            lambda: FederatedSGD(num_participants=3, participants_per_round=4),
            r"protocol.participants_per_round=4: must be in \[1, 3\]",
        ),
        (
            lambda: FederatedSGD(num_participants=1, observer="participant"),
            "2 or more where one of them looks",
        ),
        (lambda: FederatedSGD(observer="nobody"), "protocol.observer='nobody'"),  # pyright: ignore
        (lambda: FederatedAveraging(local_steps=0), "local_steps=0: must be >= 1"),
        (lambda: FederatedAveraging(local_momentum=1.0), r"in \[0, 1\)"),
        (lambda: FederatedAveraging(local_learning_rate=0.0), "must be > 0"),
    ],
)
@pytest.mark.usefixtures("unchecked_types")
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_names_say_who_sees_what():
    record = FederatedAveraging(secure_aggregation=True)
    assert record.name == "federated_averaging, secure aggregation"
    looking = FederatedSGD(observer="participant")
    assert looking.name == "federated_sgd, seen by a participant"
    assert protocol.UpdateView in record.views


def test_parameters_tell_momentum_and_weight_decay_too():
    """What a participant makes of new parameters is the mean of the others' updates
    with the server's own terms: decay of the weights, and momentum of rounds before.
    """
    options: Any = {"num_participants": 3, "observer": "participant"}
    decay, momentum = 0.01, 0.5
    optimizer = optax.chain(
        optax.add_decayed_weights(decay), optax.sgd(RATE, momentum=momentum)
    )
    views = {}
    for told in ("mean", "parameters"):
        record = FederatedSGD(**options, announces=told)
        run, state = run_of(record, server=optimizer)
        partition = data.partition_evenly(60, 3, seed=0)
        given = jax.random.key(5), state, FEATURES, LABELS, partition, jnp.arange(3)
        watch = protocol.keep_view
        _, views[told] = protocol.train_rounds(run, *given, batch_size=4, watch=watch)
    plain, told = views["mean"], views["parameters"]
    for weights, mean, seen in zip(
        jax.tree.leaves(told.params),
        jax.tree.leaves(plain.update),
        jax.tree.leaves(told.update),
        strict=True,
    ):
        # With others' mean m, own part o and share 1/3: what moved is 2/3 m + o/3 + ...
        extra = 2 / 3 * (seen - mean)
        np.testing.assert_allclose(extra[0], decay * weights[0], atol=1e-5)
        assert np.max(np.abs(extra[1] - decay * weights[1])) > 1e-3
