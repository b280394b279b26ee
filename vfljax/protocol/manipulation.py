"""What a passive party that cheats does to the messages of a step."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Array, Float


def _features_as_they_are(features, sample_ids):
    return features


def _send_as_it_is(key, embedding, sample_ids):
    return embedding


def _receive_as_it_is(gradient, sample_ids):
    return gradient


class Manipulation(NamedTuple):
    """A party's deviations from the protocol as pure functions; the default is none.

    Every function sees the party's own part of a batch, row by row, and `sample_ids`
    (batch,), the rows' numbers in the training set. None of them needs more than
    ciphertexts of embeddings and gradients: they move, scale and add rows.

    Attributes:
        alter: `alter(features, sample_ids)` to the features its network is run on.
        send: `send(key, embedding, sample_ids)` to the embedding (batch, embed) that
            is sent; the network's gradient is that of the embedding it made.
        receive: `receive(gradient, sample_ids)` to the message (batch, embed) that its
            network is trained on.
    """

    alter: Callable[..., Any] = _features_as_they_are
    send: Callable[..., Float[Array, "batch embed"]] = _send_as_it_is
    receive: Callable[..., Float[Array, "batch embed"]] = _receive_as_it_is
