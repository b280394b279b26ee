"""Networks as records: one object per network and width, and what else may stand."""

import dataclasses
import inspect
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from vfljax import models
from vfljax.models import (
    MLP,
    FaceCNN,
    FaceVGG,
    GRUClassifier,
    LeNet,
    Network,
    PartyModel,
    ResNet,
    ResNet18,
    SigmoidCNN,
    TextCNN,
    TextEncoder,
    Top,
)

FEATURES = jax.random.normal(jax.random.key(0), (5, 8, 6))
TOKENS = jnp.zeros((5, 3))
FACES = jnp.zeros((5, 32, 33, 3))
SMALL: dict[type[Network], tuple[Network, jax.Array]] = {
    MLP: (MLP(hidden=(4,)), FEATURES),
    FaceCNN: (FaceCNN(filters=(2, 3), hidden=4), FACES),
    FaceVGG: (FaceVGG(filters=(2, 2, 3, 3, 3), hidden=4), FACES),
    GRUClassifier: (GRUClassifier(vocabulary_size=6, embedding=2, hidden=3), TOKENS),
    LeNet: (LeNet(), FEATURES),
    ResNet: (ResNet(depth=8, width=2), FEATURES),
    ResNet18: (ResNet18(width=2), FEATURES),
    SigmoidCNN: (SigmoidCNN(width=2), FEATURES),
    TextCNN: (TextCNN(vocabulary_size=6, embedding=2, windows=(2, 3)), TOKENS),
    TextEncoder: (
        TextEncoder(hidden=4, layers=1, heads=2, intermediate=4, pooled=4, length=3),
        TOKENS,
    ),
}
NETWORKS = [
    network
    for network in (getattr(models, name) for name in models.__all__)
    if inspect.isclass(network)
    and issubclass(network, Network)
    and network not in (Network, models.Given)
]


@pytest.mark.parametrize("kind", NETWORKS)
def test_equal_networks_of_a_width_are_one_object(kind):
    """And a copy, and one that holds its width; another width is another network."""
    assert kind in SMALL, f"models.{kind.__name__} is exported: give it a row"
    network, features = SMALL[kind]
    model = network.make(3)
    copy = pickle.loads(pickle.dumps(network))
    assert (copy, hash(copy)) == (network, hash(network))
    assert copy.make(3) is model
    assert dataclasses.replace(network, embed=7).make(embed=3) is model
    assert network.make(4) is not model

    def embed(key):
        forward = models.Forward(models.init_statistics(model, features))
        return models.embed(model, model.init(key, features), features, forward)

    assert jax.eval_shape(embed, jax.random.key(0)).shape == (5, 3)
    assert network.pretrained(3, features) == {}


def test_function_forms_are_the_records():
    assert models.mlp(embed=3) is MLP().make(3)
    assert models.mlp([4, 5], embed=3, relu_output=True) is (
        MLP(hidden=(4, 5), relu_output=True).make(3)
    )
    assert models.resnet(8, embed=3) is ResNet(depth=8).make(3)
    assert models.resnet18(embed=3, width=2) is ResNet18(width=2).make(3)
    assert models.text_encoder(embed=3, layers=1) is TextEncoder(layers=1).make(3)


def test_top_by_hand():
    """As wide as all embeddings, twice the number of classes, and the classes."""
    assert Top().make(20, 10) is models.top_mlp((20, 10, 10, 10))
    top = Top(widths=(8, 4), batch_norm=False, log_softmax=False)
    plain = models.top_mlp((8, 4, 2), batch_norm=False, log_softmax=False)
    assert top.make(6, 2) is plain


def test_who_runs_one_trial_after_the_other():
    assert [kind.one_by_one for kind in NETWORKS] == [
        kind is not MLP for kind in NETWORKS
    ]
    assert not models.as_network("model", MLP().make(2)).one_by_one


def test_a_party_model_stands_for_a_network():
    """Every party gets that very model, whatever the width that is asked for."""
    model = PartyModel(
        init=lambda key, features: jnp.ones(()),
        apply=lambda params, features: params * features,
    )
    network = models.as_network("model", model)
    assert network.make(3) is network.make(4) is model
    assert hash(network) == hash(models.as_network("model", model))
    assert models.as_network("model", SMALL[MLP][0]) is SMALL[MLP][0]


def test_a_linen_module_is_a_model():
    model = models.from_linen(linen.Dense(3))
    params = model.init(jax.random.key(0), FEATURES[:, 0])
    expected = np.asarray(FEATURES[:, 0]) @ np.asarray(params["kernel"])
    np.testing.assert_allclose(model.apply(params, FEATURES[:, 0]), expected, atol=1e-6)
    with_statistics = models.from_linen(linen.BatchNorm(use_running_average=True))
    with pytest.raises(
        ValueError, match=r"BatchNorm: has batch_stats .*stateful_model"
    ):
        with_statistics.init(jax.random.key(0), FEATURES)


def my_network(params, features):
    return features @ params


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (MLP, r"model: is the class MLP, must be an instance: MLP\(...\)"),
        (linen.Dense(3), r"the linen module Dense, must be models.from_linen\(Dense\("),
        (my_network, r"my_network, must be a PartyModel\(init, apply\) with init\(key"),
        (32, r"is 32, must be a network such as models.MLP\(\) or a PartyModel"),
    ],
)
def test_what_is_no_network_is_told_what_is_missing(value, message):
    with pytest.raises(ValueError, match=message):
        models.as_network("model", value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MLP(embed=0), "embed=0: must be >= 1"),
        (lambda: MLP().make(0), "embed=0: must be >= 1"),
        (lambda: MLP(hidden=(4, 0)), "hidden=0: must be >= 1"),
        (lambda: ResNet(depth=9), r"depth=9: must be 6n \+ 2"),
        (lambda: ResNet18(dropout=1), r"dropout=1: must be in \[0, 1\)"),
        (lambda: TextEncoder(weights="no/file"), "weights='no/file': must be a file"),
        (lambda: Top(widths=(0,)), "widths=0: must be >= 1"),
        (lambda: Top(class_weights=(1.0, 0.0)), "class_weights=0.0: must be > 0"),
    ],
)
def test_bad_options(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_option_has_one_default():
    """A function's own default, if it has any, is that of the record."""
    forms: dict[Any, type] = {
        models.mlp: MLP,
        models.resnet: ResNet,
        models.resnet18: ResNet18,
        models.text_encoder: TextEncoder,
        models.top_mlp: Top,
    }
    for form, record in forms.items():
        for name, parameter in inspect.signature(form).parameters.items():
            if parameter.default is not inspect.Parameter.empty:
                assert parameter.default == getattr(record, name)
