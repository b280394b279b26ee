"""How an adversary departs from the protocol during training, before it infers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from jaxtyping import Array, Bool, Float, Int, Key

AdversaryOptimizer = Literal["benign", "malicious", "all_malicious"]
Rows = Float[Array, "batch embed"]


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
        on_ciphertexts: `on_ciphertexts(sample_ids, classes)` on the host, to options of
            `protocol.encrypted.RowOperations` that do the same to encrypted rows of
            one batch; None where rows of ciphertexts can't be treated so.
    """

    alter: Callable[..., Any] = lambda features, sample_ids: features
    send: Callable[..., Rows] = lambda key, embedding, sample_ids: embedding
    receive: Callable[..., Rows] = lambda gradient, sample_ids: gradient
    on_ciphertexts: Callable[[Any, int], Mapping[str, Any]] | None = None


class Upload(NamedTuple):
    """What a cheating participant of horizontal learning sends, as pure functions.

    Attributes:
        init: `init(key, params)` to what it keeps for itself, given the parameters of
            the shared network before the first round.
        send: `send(kept, update, model, params, forward, features, labels,
            properties)` to the update that it sends and what it keeps then, in a round
            that begins with `params`; `update` is its honest one, and features (steps,
            batch, ...), labels and properties (steps, batch) are of its own samples.
    """

    init: Callable[..., Any]
    send: Callable[..., tuple[Any, Any]]


class Interference(NamedTuple):
    """What an adversary does besides looking; the default is to keep to the protocol.

    Attributes:
        optimizer: What it trains with: the honest parties' optimizer, or the malicious
            one; `all_malicious` if every party cheats so.
        manipulations: What passive parties do to messages, by position.
        batches: `batches(key, size, steps)` to sample numbers (steps, rows), in place
            of epochs of all samples; None for those.
        asks_about: Rows of the test set that it asks the trained model about (asked,).
        asks: `asks(features)` to the features that it asks with, one array per party;
            given those of `asks_about`.
        facts: What the goal has to know of it, by name; arrays.
        upload: What a participant of horizontal learning sends; None for its update.
    """

    optimizer: AdversaryOptimizer = "benign"
    manipulations: Mapping[int, Manipulation] = {}
    batches: Callable[..., Int[Array, "steps batch"]] | None = None
    asks_about: Int[Array, " asked"] | None = None
    asks: Callable[[Sequence[Any]], Sequence[Any]] | None = None
    facts: Mapping[str, Any] = {}
    upload: Upload | None = None


HONEST = Interference()


class Scene(NamedTuple):
    """What an adversary may look at before training, to plan its interference.

    It holds sizes, the adversaries' positions and two services that grant limited
    knowledge; no labels, and no features of honest parties.

    Attributes:
        num_samples: Of the training set.
        num_test: Of the test set.
        num_classes: C.
        adversary: Position of the party that attacks.
        passive: Positions of all passive parties.
        batch_size: Of the batches that are attacked.
        prepared: What the attack's `prepare` returned.
        samples_of: `samples_of(key, class, number, excluded)` to sample numbers of one
            class (number,) that the adversary is told of; `excluded` (samples,) marks
            samples that are not to be among them. Of a class with too few, others.
        infer: `infer(key, attack, party, rows)` to the classes (rows,) that the attack
            infers for training samples `rows` from the untrained model's messages to
            that party, in batches of the attacked size, and to what these messages
            seem to have been trained on, softmax(H^p) − B·u (rows, classes); −B·u are
            the scores of the attack's `source`.
    """

    num_samples: int
    num_test: int
    num_classes: int
    adversary: int
    passive: tuple[int, ...]
    batch_size: int
    prepared: Any
    samples_of: Callable[
        [Key[Array, ""], Any, int, Bool[Array, " samples"]], Int[Array, " known"]
    ]
    infer: Callable[..., Any]
