"""Who learned what: a table made from the log of messages, not from the plan."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vfljax.protocol.encrypted.agreement import THIRD_PARTY
from vfljax.protocol.encrypted.messages import NETWORK

_NOISE = "; the ciphertext's noise depends on the activations (no flooding)"
_WHAT = {
    "setup": "start of the training",
    "start": "start of each iteration",
    "batch": "numbers of the samples in each batch",
    "public_key": "public key",
    "embeddings": "logits of the passive party for each sample",
    "masked_logits": "summed logits under a fresh uniform mask",
    "decrypted_logits": "the masked logits, decrypted",
    "logit_gradients": "gradient of the loss for each sample",
    "masked_gradient": "the party's batch gradient under a fresh uniform mask",
    "decrypted_gradient": "its masked batch gradient, decrypted",
}
_PUBLIC = {
    "setup": "that keys are wanted",
    "start": "how many iterations there are",
    "batch": "which samples are in a batch",
    "public_key": "how to encrypt",
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
    names = ("sender", "receiver", "kind", "form")
    counts = ("num_messages", "num_ciphertexts", "num_bytes")
    once = {(line["iteration"], *(line[n] for n in names)): line for line in messages}
    rows: dict[Any, dict[str, Any]] = {}
    for (_, *route), line in once.items():
        new = zip((*names, *counts), (*route, 0, 0, 0), strict=True)
        row = rows.setdefault(tuple(route), {str(name): value for name, value in new})
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
    rows = [
        {
            "role": row["receiver"],
            "kind": row["kind"],
            "saw": f"{_WHAT[_topic(row)]} (from {row['sender']})",
            "form": row["form"],
            "learned": _learned(description, row["receiver"], _topic(row)),
        }
        for row in sorted(messages, key=lambda row: order.index(row["receiver"]))
    ]
    network = {
        "role": NETWORK,
        "kind": "all",
        "saw": "every message as bytes, and which samples are in a batch",
        "form": "as above",
        "learned": "sizes, times and batches; else what its form gives away",
    }
    return [*rows, network]


def _learned(description, role, topic):
    if topic in _PUBLIC:
        return _PUBLIC[topic]
    if role == THIRD_PARTY:
        is_noisy = description["backend"] == "bfv" and description["preset"] != "flood"
        is_noisy = is_noisy and topic == "masked_gradient"
        numbers = "uniformly random numbers, and the sizes agreed on"
        return numbers + (_NOISE if is_noisy else "")
    if topic == "decrypted_logits":
        return description["active_party_sees"]
    if topic == "decrypted_gradient":
        return "its own batch gradient, with its own mask taken off"
    if description["backend"] == "plain_int":
        return "everything in it: this backend does not encrypt"
    return "nothing: only the third party can decrypt it"


def _topic(row):
    """The kind of message; a batch without numbers only says that it is time."""
    is_empty = row["kind"] == "batch" and row["num_bytes"] == 0
    return "start" if is_empty else row["kind"]
