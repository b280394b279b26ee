"""Views hold what their adversary sees, and are refused when they can't be real."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vfljax import attacks, models, protocol


def test_views_hold_the_adversarys_part_alone(make_exchange):
    exchange = make_exchange()
    np.testing.assert_array_equal(
        exchange.sample.gradients, exchange.transcript.gradients[0]
    )
    assert exchange.batch.gradient is exchange.transcript.batch_gradients[0]
    names = [field.name for field in dataclasses.fields(exchange.batch)]
    assert names == [
        "model",
        "params",
        "features",
        "gradient",
        "num_classes",
        "forward",
    ]


def test_views_cross_jit_with_static_parts(make_exchange):
    view = make_exchange().batch
    doubled = jax.jit(lambda v: dataclasses.replace(v, features=2 * v.features))(view)
    np.testing.assert_array_equal(doubled.features, 2 * view.features)
    assert doubled.model is view.model


@pytest.mark.parametrize("party", [1, 2, -1])
def test_the_label_party_is_no_adversary(party, make_exchange):
    exchange = make_exchange()
    model = models.mlp((6,), embed=3)
    run = protocol.sum_of_logits((model, model), (optax.sgd(0.1),) * 2, num_classes=3)
    features = (exchange.batch.features,) * 2
    state = run.init(jax.random.key(0), features)
    with pytest.raises(ValueError, match=f"party={party}"):
        protocol.batch_gradient_view(
            run, state, exchange.batch.features, exchange.transcript, party
        )


def change(view, **changes):
    return dataclasses.replace(view, **changes)


BAD_BATCH_VIEWS = {
    "features: contains NaN": lambda v: change(
        v, features=v.features.at[0, 0].set(jnp.nan)
    ),
    "features: contains NaN or infinity": lambda v: change(
        v, features=v.features.at[1, 2].set(jnp.inf)
    ),
    r"features: shape \(8, 0\)": lambda v: change(v, features=v.features[:, :0]),
    r"features: shape \(8,\)": lambda v: change(v, features=v.features[:, 0]),
    "num_classes=1: must be >= 2": lambda v: change(v, num_classes=1),
    r"model: its embedding has shape \(8, 3\), must be .* \(8, 4\)": lambda v: change(
        v, num_classes=4
    ),
    "gradient: its tree": lambda v: change(
        v, gradient={"output": v.gradient["output"]}
    ),
    r"gradient\['output'\]\['bias'\]: shape \(2,\), must be .* \(3,\)": lambda v: (
        change(
            v,
            gradient={
                **v.gradient,
                "output": {**v.gradient["output"], "bias": jnp.zeros(2)},
            },
        )
    ),
}


@pytest.mark.parametrize("message", BAD_BATCH_VIEWS)
@pytest.mark.parametrize(
    "attack",
    [
        attacks.linear_recovery,
        lambda view: attacks.gradient_inversion(jax.random.key(0), view, steps=1),
    ],
)
def test_impossible_batch_views_are_refused(message, attack, make_exchange):
    with pytest.raises(ValueError, match=message):
        attack(BAD_BATCH_VIEWS[message](make_exchange().batch))


def test_impossible_sample_views_are_refused(make_exchange):
    view = make_exchange().sample
    with pytest.raises(ValueError, match=r"gradients: shape \(7, 3\), must be"):
        attacks.direct_inference(change(view, gradients=view.gradients[1:]))
