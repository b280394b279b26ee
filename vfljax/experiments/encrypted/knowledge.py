"""Who learned what: a table made from the log of messages, not from the plan."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vfljax.protocol.encrypted.agreement import THIRD_PARTY, Agreement
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
        messages: Lines of the log.

    Returns:
        A row per sender, receiver, kind and form, in the order of the log.
    """
    rows: dict[Any, dict[str, Any]] = {}
    for message in messages:
        names = ("sender", "receiver", "kind", "form")
        route = {name: message[name] for name in names}
        counts = {"num_messages": 0, "num_ciphertexts": 0, "num_bytes": 0}
        row = rows.setdefault(tuple(route.values()), route | counts)
        row["num_messages"] += 1
        row["num_ciphertexts"] += message["num_ciphertexts"]
        row["num_bytes"] += message["num_bytes"]
    return list(rows.values())


def who_learned_what(
    agreement: Agreement,
    description: Mapping[str, Any],
    messages: Sequence[Mapping[str, Any]],
    attacks: Sequence[Mapping[str, Any]],
    adversary: str,
) -> list[dict[str, str]]:
    """A row per role and kind of message that it got.

    Args:
        agreement: The public settings.
        description: Of the run, as `protocol.encrypted.describe`.
        messages: Rows of `summarize_messages`, those of the network among them.
        attacks: Rows with `attack`, `iteration` and `encrypted_accuracy`.
        adversary: The role whose view was attacked.

    Returns:
        Texts by `role`, `saw`, `form` and `learned`.
    """
    has_noise = agreement.backend == "bfv" and agreement.preset != "flood"

    def learned(role, kind):
        if kind in _PUBLIC:
            return _PUBLIC[kind]
        if role == THIRD_PARTY:
            numbers = "uniformly random numbers, and the sizes agreed on"
            return numbers + (_NOISE if has_noise and kind == "masked_gradient" else "")
        if kind == "decrypted_logits":
            return description["active_party_sees"]
        if kind == "decrypted_gradient":
            own = "its own batch gradient, with its own mask taken off"
            rates = _rates(attacks) if role == adversary else ""
            return f"{own}; labels inferred from it: {rates}" if rates else own
        if agreement.backend == "plain_int":
            return "everything in it: this backend does not encrypt"
        return "nothing: only the third party can decrypt it"

    order = [*agreement.party_names, THIRD_PARTY]
    rows = [
        {
            "role": row["receiver"],
            "saw": f"{_WHAT[_topic(row)]} (from {row['sender']})",
            "form": row["form"],
            "learned": learned(row["receiver"], _topic(row)),
        }
        for row in sorted(messages, key=lambda row: order.index(row["receiver"]))
    ]
    rows.append(
        {
            "role": NETWORK,
            "saw": "every message as bytes, and which samples are in a batch",
            "form": "as above",
            "learned": "sizes, times and batches; else what its form gives away",
        }
    )
    return rows


def knowledge_markdown(
    title: str, rows: Sequence[Mapping[str, str]], description: Mapping[str, Any]
) -> str:
    """The table as a page, with the settings that it holds for."""
    lines = [f"# {title}: who learned what", ""]
    lines += ["| role | saw | form | learned |", "|---|---|---|---|"]
    lines += [
        f"| {row['role']} | {row['saw']} | {row['form']} | {row['learned']} |"
        for row in rows
    ]
    lines += ["", "Settings:", ""]
    lines += [
        f"- {name.replace('_', ' ')}: {_text(value)}"
        for name, value in description.items()
    ]
    return "\n".join(lines) + "\n"


def _topic(row):
    """The kind of message; a batch without numbers only says that it is time."""
    is_empty = row["kind"] == "batch" and row["num_bytes"] == 0
    return "start" if is_empty else row["kind"]


def _rates(attacks):
    return ", ".join(
        f"{100 * row['encrypted_accuracy']:.1f} % ({row['attack']}, iteration "
        f"{row['iteration']})"
        for row in attacks
    )


def _text(value):
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
