"""The protocol with model splitting against one network that does it all at once."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from vfljax import attacks, defenses, losses, models, protocol

CLASSES, EMBED, WIDTHS = 3, 4, (5, 2, 3, 1, 6, 2, 4, 3)


class _Normalized(nn.Module):
    """A dense layer and batch normalization: the smallest network with statistics."""

    @nn.compact
    def __call__(self, x, is_training):
        x = nn.Dense(EMBED)(x)
        return nn.BatchNorm(use_running_average=not is_training, momentum=0.9)(x)


def _normalized():
    network = _Normalized()

    def run(params, features, forward):
        variables = {"params": params, "batch_stats": forward.statistics}
        result, changed = network.apply(
            variables, features, forward.is_training, mutable=["batch_stats"]
        )
        return result, changed["batch_stats"]

    def initial(key, features):
        return network.init(key, features, False)

    return models.PartyModel(
        init=lambda key, x: initial(key, x)["params"],
        apply=lambda params, features: features,
        init_statistics=lambda x: initial(jax.random.key(0), x)["batch_stats"],
        run=run,
    )


def make_batch(num_parties):
    keys = jax.random.split(jax.random.key(1), num_parties)
    features = [
        jax.random.normal(key, (6, width))
        for key, width in zip(keys, WIDTHS, strict=False)
    ]
    return features, jnp.array([0, 2, 1, 1, 0, 2])


@pytest.fixture
def batch():
    return make_batch(3)


def split(bottom=None, rates=(0.1, 0.2, 0.3), top_rate=0.4, num_parties=3, **options):
    bottom = bottom or models.mlp((), embed=EMBED)
    return protocol.model_splitting(
        (bottom,) * num_parties,
        [optax.sgd(rate) for rate in rates],
        models.mlp((7,), embed=CLASSES),
        optax.sgd(top_rate),
        num_classes=CLASSES,
        **options,
    )


def joint_loss(parameters, features, labels, class_weights=None):
    """The same model in one piece: linear bottoms, one hidden layer, cross-entropy."""
    bottoms, top = parameters
    joined = jnp.concatenate(
        [
            x @ p["output"]["kernel"] + p["output"]["bias"][None]
            for x, p in zip(features, bottoms, strict=True)
        ],
        axis=1,
    )
    hidden = jnp.maximum(
        joined @ top["hidden_0"]["kernel"] + top["hidden_0"]["bias"][None], 0.0
    )
    logits = hidden @ top["output"]["kernel"] + top["output"]["bias"][None]
    per_sample = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    if class_weights is None:
        return jnp.mean(per_sample)
    weights = jnp.asarray(class_weights)[labels]
    return jnp.sum(weights * per_sample) / jnp.sum(weights)


def close(found, expected):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), found, expected
    )


@pytest.mark.parametrize(
    ("num_parties", "class_weights"),
    [(2, None), (3, None), (3, (0.3, 1.0, 2.0)), (8, None)],
)
def test_a_step_is_one_of_the_whole_network_with_each_partys_rate(
    num_parties, class_weights
):
    features, labels = make_batch(num_parties)
    rates = [0.1 * (party + 1) for party in range(num_parties)]
    run = split(rates=rates, num_parties=num_parties, class_weights=class_weights)
    state = jax.jit(run.init)(jax.random.key(0), features)
    gradient = jax.jit(
        jax.value_and_grad(lambda p: joint_loss(p, features, labels, class_weights))
    )
    loss, (bottoms, top) = gradient((state.params, state.top.params))
    after, transcript = jax.jit(
        lambda state: run.step(
            jax.random.key(2), state, features, labels, jnp.arange(6)
        )
    )(state)
    assert len(transcript.gradients) == num_parties
    np.testing.assert_allclose(transcript.loss, loss, rtol=1e-6)
    close(transcript.batch_gradients, bottoms)
    for party, rate in enumerate(rates):
        expected = jax.tree.map(
            lambda p, g, rate=rate: p - rate * g, state.params[party], bottoms[party]
        )
        close(after.params[party], expected)
    close(
        after.top.params, jax.tree.map(lambda p, g: p - 0.4 * g, state.top.params, top)
    )
    for first, second in itertools.combinations(transcript.gradients, 2):
        assert not np.allclose(first, second)


def test_logits_are_the_whole_networks(batch):
    features, labels = batch
    run = split()
    state = run.init(jax.random.key(0), features)
    logits = run.predict(state, features)
    loss = losses.cross_entropy(logits, jax.nn.one_hot(labels, CLASSES))
    expected = joint_loss((state.params, state.top.params), features, labels)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_each_message_is_perturbed_on_its_own(batch):
    """A linear top would answer all alike; noise of one key would be averaged out."""
    features, labels = batch
    clean, noisy = split(), split(defense=defenses.dp_gaussian(1.0))
    state = clean.init(jax.random.key(0), features)
    arguments = (features, labels, jnp.arange(6))
    plain, _ = clean.exchange(jax.random.key(2), state, *arguments)
    state = state._replace(defense_state=((), (), ()))
    defended, _ = noisy.exchange(jax.random.key(2), state, *arguments)
    noise = [
        np.asarray(a - b)
        for a, b in zip(defended.gradients, plain.gradients, strict=True)
    ]
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.8
    assert noise[0].std() > 0.5
    np.testing.assert_allclose(noise[2], 0.0, atol=1e-6)  # the label party's own


def test_training_is_one_scan_and_learns(batch):
    features, labels = batch
    run = split()
    state = run.init(jax.random.key(0), features)
    rows = jnp.tile(jnp.arange(6), (200, 1))
    trained, history = protocol.train(
        run, jax.random.key(3), state, features, labels, rows
    )
    assert history[-1] < 0.1 * history[0]
    predicted = jnp.argmax(run.predict(trained, features), axis=1)
    np.testing.assert_array_equal(predicted, labels)


@pytest.mark.parametrize("mode", ["training", "evaluation"])
def test_running_statistics_move_in_training_alone(batch, mode):
    """From mean 0, momentum .9: a tenth of the batch's mean after one batch."""
    features, labels = batch
    run = split(_normalized(), mode=mode)
    state = run.init(jax.random.key(0), features)
    transcript, after = run.exchange(
        jax.random.key(2), state, features, labels, jnp.arange(6)
    )
    dense = state.params[0]["Dense_0"]
    outputs = features[0] @ dense["kernel"] + dense["bias"][None]
    expected = 0.1 * outputs.mean(axis=0) if mode == "training" else jnp.zeros(EMBED)
    np.testing.assert_allclose(
        after.statistics[0]["BatchNorm_0"]["mean"], expected, atol=1e-6
    )
    assert transcript.forwards[0].is_training == (mode == "training")
    if mode == "training":
        np.testing.assert_allclose(transcript.embeddings[0].mean(axis=0), 0, atol=1e-5)


@pytest.mark.parametrize("mode", ["training", "evaluation"])
@pytest.mark.parametrize("solver", ["cg", "exact"])
def test_attacks_on_batch_gradients_run_in_the_mode_of_the_view(mode, solver):
    """12 samples of 3 classes: 24 unknowns, fewer than the 28 parameters' rank."""
    keys = jax.random.split(jax.random.key(4), 3)
    features = [jax.random.normal(key, (12, 9)) for key in keys[:2]]
    labels = jax.random.randint(keys[2], (12,), 0, EMBED)
    run = protocol.sum_of_logits(
        (_normalized(),) * 2, (optax.sgd(0.1),) * 2, num_classes=EMBED, mode=mode
    )
    state = run.init(jax.random.key(0), features)
    transcript, _ = run.exchange(
        jax.random.key(2), state, features, labels, jnp.arange(12)
    )
    view = protocol.batch_gradient_view(run, state, features[0], transcript)
    assert view.forward.is_training == (mode == "training")
    inference = attacks.linear_recovery(view, solver=solver)
    assert jnp.mean(inference.labels == labels) >= 0.9
    wrong = protocol.BatchGradientView(
        view.model, view.params, view.features, view.gradient, EMBED
    )
    with pytest.raises(ValueError, match=r"forward\.statistics=\(\): must hold"):
        attacks.linear_recovery(wrong)


def test_direct_inference_needs_a_sum(batch):
    features, labels = batch
    run = split()
    state = run.init(jax.random.key(0), features)
    transcript, _ = run.exchange(
        jax.random.key(2), state, features, labels, jnp.arange(6)
    )
    view = protocol.sample_gradient_view(run, state, features[0], transcript)
    with pytest.raises(ValueError, match="sums_logits=False"):
        attacks.direct_inference(view)


def test_trained_model_view_is_the_adversarys_own(batch):
    features, _ = batch
    run = split(_normalized())
    state = run.init(jax.random.key(0), features)
    view = protocol.trained_model_view(run, state, features[1], party=1)
    assert view.params is state.params[1]
    assert view.forward.statistics is state.statistics[1]
    assert protocol.own_embedding(view).shape == (6, EMBED)
    with pytest.raises(ValueError, match="party=2: is the label party"):
        protocol.trained_model_view(run, state, features[2], party=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_weights": (1.0,)}, r"class_weights=\(1.0,\): must have"),
        ({"mode": "train"}, "mode='train': must be one of training, evaluation"),
        ({"rates": (0.1,)}, "optimizers: 1 given for 3 models"),
        ({"label_party": 3}, r"label_party=3: must be in \[0, 2\]"),
    ],
)
def test_arguments_out_of_range(options, message, unchecked_types):
    with pytest.raises(ValueError, match=message):
        split(**options)
