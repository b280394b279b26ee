"""BERT's trained weights, from a local file into a text encoder's parameters."""

import math
import os
import re
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from vfljax.models.base import Params

_PARTS = {
    "words": "embeddings.word_embeddings",
    "positions": "embeddings.position_embeddings",
    "segments": "embeddings.token_type_embeddings",
    "embedding_norm": "embeddings.LayerNorm",
}
_BLOCK_PARTS = {
    "attention/query": "attention.self.query",
    "attention/key": "attention.self.key",
    "attention/value": "attention.self.value",
    "attention/out": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "expansion": "intermediate.dense",
    "contraction": "output.dense",
    "contraction_norm": "output.LayerNorm",
}


def read_bert(path: str | os.PathLike[str], params: Params) -> Params:
    """Returns the part of a text encoder's parameters that a file has, for `put_in`.

    Embeddings and blocks come from the file; the two layers after the mean, which BERT
    does not have, are left out. A file with more blocks or positions than the encoder
    lends it its first ones.

    Args:
        path: A safetensors file of a BERT model with the names of Hugging Face's
            transformers, with or without `bert.` in front, old (`gamma`) or new.
        params: The parameters of `text_encoder`, or their shapes, which the file must
            have.

    Raises:
        ValueError: If a tensor is missing or has another shape; names the tensor.
        ImportError: If safetensors is not installed.
    """
    tensors, found = _read(path), {}
    places: dict[str, Any] = traverse_util.flatten_dict(params, sep="/")
    for place, value in places.items():
        name = _tensor_name(place)
        if name is not None:
            tensor = _take(tensors, name, place, value.shape, path)
            found[place] = jnp.asarray(tensor, value.dtype)
    return traverse_util.unflatten_dict(found, sep="/")


def put_in(params: Params, part: Params) -> Params:
    """Returns parameters with some of them, as from `read_bert`, replaced."""
    whole = traverse_util.flatten_dict(params)
    return traverse_util.unflatten_dict(whole | traverse_util.flatten_dict(part))


def _read(path):
    """All tensors of a file by name, without `bert.`; gamma and beta renamed."""
    try:
        from safetensors.numpy import load_file
    except ImportError as error:
        raise ImportError(
            "read_bert needs safetensors: pip install 'vfljax[text]'"
        ) from error

    def renamed(name):
        name = name.removeprefix("bert.").replace("LayerNorm.gamma", "LayerNorm.weight")
        return name.replace("LayerNorm.beta", "LayerNorm.bias")

    return {renamed(name): tensor for name, tensor in load_file(path).items()}


def _tensor_name(place):
    """What the file calls a parameter; `None` for those that BERT does not have."""
    part, leaf = place.rsplit("/", 1)
    kind = "bias" if leaf == "bias" else "weight"
    if part in _PARTS:
        return f"{_PARTS[part]}.{kind}"
    block = re.fullmatch(r"block_(\d+)/(.+)", part)
    if block is None:
        return None
    return f"encoder.layer.{block[1]}.{_BLOCK_PARTS[block[2]]}.{kind}"


def _take(tensors, name, place, shape, path):
    """One tensor as the parameter of a shape: positions cut, kernels transposed."""
    if name not in tensors:
        raise ValueError(f"tensor {name!r}: must be in {path}, and is not")
    tensor, expected = tensors[name], _file_shape(place, shape)
    if place.startswith("positions/") and tensor.ndim == 2:
        tensor = tensor[: shape[0]]
    if tensor.shape != expected:
        raise ValueError(
            f"tensor {name!r} of {path}: has shape {tensors[name].shape}, must be "
            f"{expected} to fit the encoder's {place}"
        )
    turned = tensor.T if place.endswith("/kernel") else tensor
    return np.reshape(turned, shape)


def _file_shape(place, shape):
    """The shape in the file: heads side by side, kernels (outputs, inputs)."""
    if place.endswith("/bias"):
        return (math.prod(shape),)
    if not place.endswith("/kernel"):
        return tuple(shape)
    inputs = shape[:-1] if place.endswith("out/kernel") else shape[:1]
    return math.prod(shape) // math.prod(inputs), math.prod(inputs)
