"""Who learned what: a table made from the log of messages, not from the plan."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vfljax.protocol.encrypted.agreement import THIRD_PARTY
from vfljax.protocol.encrypted.messages import NETWORK

_NOTHING = "nothing: only the third party can decrypt it"
_EVERYTHING = "everything in it: this backend does not encrypt"
_RANDOM = "uniformly random numbers, and the sizes agreed on"
_NOISE = "; the ciphertext's noise depends on the activations (no flooding)"
_KINDS = {  # of messages: what they are, and what is learned from them
    "setup": ("start of the training", "that keys are wanted"),
    "start": ("start of each iteration", "how many iterations there are"),
    "batch": ("numbers of the samples in each batch", "which samples are in a batch"),
    "public_key": ("public key", "how to encrypt"),
    "embeddings": ("logits of the passive party for each sample", _NOTHING),
    "masked_logits": ("summed logits under a fresh uniform mask", _RANDOM),
    "decrypted_logits": ("the masked logits, decrypted", "{active_party_sees}"),
    "logit_gradients": ("gradient of the loss for each sample", _NOTHING),
    "masked_gradient": (
        "the party's batch gradient under a fresh uniform mask",
        _RANDOM,
    ),
    "decrypted_gradient": (
        "its masked batch gradient, decrypted",
        "its own batch gradient, with its own mask taken off",
    ),
}


def summarize_messages(messages: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Numbers and bytes of each kind of message between two roles, of all iterations.

    Args:
        messages: Lines of one run's log, as dictionaries. What passed twice, around an
            interruption, counts once.

    Returns:
        A row per sender, receiver, kind and form, in the order of the log; fit for
        JSON.
    """
    route = ("sender", "receiver", "kind", "form")
    counts = ("num_messages", "num_ciphertexts", "num_bytes")
    once = {tuple(line[n] for n in ("iteration", *route)): line for line in messages}
    rows: dict[Any, dict[str, Any]] = {}
    for (_, *place), line in once.items():
        new = {name: line[name] for name in route} | dict.fromkeys(counts, 0)
        row = rows.setdefault(tuple(place), new)
        for name in counts:
            row[name] += line.get(name, 1)  # a line is one message
    return list(rows.values())


def who_learned_what(
    description: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]
) -> list[dict[str, str]]:
    """A row per role and kind of message that it got, and one of the network.

    Args:
        description: Of the run, as `describe` gives it.
        messages: Rows of `summarize_messages`, those of the network among them.

    Returns:
        Texts by `role`, `kind` of message, `saw`, `form` and `learned`; fit for JSON.
        What was inferred from `decrypted_gradient` is for whoever attacked it to add.
    """
    order = list(dict.fromkeys(row["receiver"] for row in messages))
    order.append(order.pop(order.index(THIRD_PARTY)))  # last
    rows = []
    for row in sorted(messages, key=lambda row: order.index(row["receiver"])):
        what, learned = _of_kind(description, row)
        rows.append(
            {
                "role": row["receiver"],
                "kind": row["kind"],
                "saw": f"{what} (from {row['sender']})",
                "form": row["form"],
                "learned": learned,
            }
        )
    network = {
        "role": NETWORK,
        "kind": "all",
        "saw": "every message as bytes, and which samples are in a batch",
        "form": "as above",
        "learned": "sizes, times and batches; else what its form gives away",
    }
    return [*rows, network]


def _of_kind(description, row):
    """The kind of message; a batch without numbers only says that it is time."""
    is_empty = row["kind"] == "batch" and row["num_bytes"] == 0
    what, learned = _KINDS["start" if is_empty else row["kind"]]
    if learned == _NOTHING and description["backend"] == "plain_int":
        learned = _EVERYTHING
    has_noise = description["backend"] == "bfv" and description["preset"] != "flood"
    if row["kind"] == "masked_gradient" and has_noise:
        learned += _NOISE
    return what, learned.format_map(description)
