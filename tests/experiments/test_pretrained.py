"""Text encoders start from the user's file of trained weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import data
from vfljax.attacks import ModelCompletion
from vfljax.experiments import Data, Experiment, Training
from vfljax.experiments.task import Task, load_arrays
from vfljax.experiments.trial import make_victim
from vfljax.experiments.world import Cell, Setting
from vfljax.models import TextEncoder
from vfljax.protocol import ModelSplitting

ENCODER = {
    "hidden": 4,
    "layers": 1,
    "heads": 2,
    "intermediate": 4,
    "pooled": 4,
    "length": 3,
}
_LAYERS = ("self.query", "self.key", "self.value", "output.dense")
_NORMS = ("attention.output.", "output.")


@pytest.fixture
def weights(tmp_path):
    """A file with the names of BERT and one block."""
    numpy = pytest.importorskip("safetensors.numpy")
    block, norm = "encoder.layer.0.", {"weight": (4,), "bias": (4,)}
    dense = [f"attention.{name}" for name in _LAYERS]
    dense += ["intermediate.dense", "output.dense"]
    layers: dict[str, dict] = {
        f"{block}{name}": {"weight": (4, 4), "bias": (4,)} for name in dense
    }
    layers |= {f"{block}{name}LayerNorm": norm for name in _NORMS}
    layers |= {
        "embeddings.LayerNorm": norm,
        "embeddings.word_embeddings": {"weight": (30522, 4)},
        "embeddings.position_embeddings": {"weight": (3, 4)},
        "embeddings.token_type_embeddings": {"weight": (2, 4)},
    }
    rng = np.random.default_rng(0)
    path = tmp_path / "bert.safetensors"
    numpy.save_file(
        {
            f"{name}.{part}": rng.normal(size=shape).astype(np.float32)
            for name, parts in layers.items()
            for part, shape in parts.items()
        },
        path,
    )
    return path


@pytest.fixture(scope="module")
def documents():
    tokens = np.random.default_rng(0).integers(0, 30522, (40, 6)).astype(np.float32)
    labels = np.arange(40) % 2
    arrays = tokens, labels, tokens[:8], labels[:8]
    return data.from_arrays(*arrays, name="documents")


def _trained(weights, documents, rate=1e-9, **settings):
    """The victim after two steps."""
    experiment = Experiment(
        name="text",
        data=Data(dataset="documents", split="features"),
        model=TextEncoder(**ENCODER, weights=weights and str(weights)),
        protocol=ModelSplitting(),
        training=Training(steps=2, batch_size=4, optimizer="sgd", learning_rate=rate),
        attacks={"passive": ModelCompletion(known_per_class=1, mix="feature")},
        **settings,
    )
    arrays = load_arrays(Task(experiment, documents, 2))
    attacks = tuple(experiment.attacks.values())
    victim = make_victim(experiment, Cell(2, 32, "none"), attacks)
    setting = Setting(jnp.zeros(()), jnp.zeros((), int))
    return jax.jit(victim)(jax.random.key(0), (setting, {}), arrays)


def _params(victim):
    """The adversary's, as it sees them in the end."""
    return victim.finally_["trained_model"].views["trained_model"].params


def test_encoders_start_from_the_file(weights, documents):
    from safetensors.numpy import load_file

    fresh = _params(_trained(None, documents))
    params = _params(_trained(weights, documents))
    in_file = load_file(weights)
    np.testing.assert_allclose(
        params["words"]["embedding"],
        in_file["embeddings.word_embeddings.weight"],
        atol=1e-6,
    )
    np.testing.assert_allclose(
        params["block_0"]["expansion"]["kernel"],
        in_file["encoder.layer.0.intermediate.dense.weight"].T,
        atol=1e-6,
    )
    np.testing.assert_allclose(
        params["pooled"]["kernel"], fresh["pooled"]["kernel"], atol=1e-6
    )


def test_encoders_train_from_there(weights, documents):
    start = _params(_trained(weights, documents))
    victim = _trained(weights, documents, rate=0.01, record_alone=True)
    moved = _params(victim)["words"]["embedding"] - start["words"]["embedding"]
    assert 0 < jnp.max(jnp.abs(moved)) < 0.1
    assert 0 <= victim.main["alone_accuracy"] <= 1


def test_a_missing_file_is_named():
    with pytest.raises(ValueError, match="weights='nowhere': must be a file"):
        TextEncoder(**ENCODER, weights="nowhere")
