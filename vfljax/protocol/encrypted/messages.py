"""Messages as bytes: a short header in JSON, then the parts of the payload."""

import hashlib
import io
import json
import struct
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from vfljax.encryption import Content

Form = Literal["public", "encrypted", "encrypted, masked", "masked plain"]

NETWORK = "network"
"""Sender of `setup` and `batch`, which start things; it has no secrets."""
SETUP_ITERATION = -1
"""Iteration number of what is sent before the first."""

_LENGTH = struct.Struct("<Q")


class Message(NamedTuple):
    """What one role tells another: ciphertexts or arrays, each as bytes.

    `form` says who can read it; iterations count from 0, see `SETUP_ITERATION`.
    """

    iteration: int
    sender: str
    receiver: str
    kind: str
    form: Form
    parts: tuple[Content, ...]


class MessageRecord(NamedTuple):
    """A line of the message log: what the network knows about a `Message`.

    Bytes and hash are those of the payload, to which a header adds some hundred bytes.
    """

    iteration: int
    sender: str
    receiver: str
    kind: str
    form: Form
    num_ciphertexts: int
    num_bytes: int
    sha256: str


def to_bytes(message: Message) -> bytes:
    """The message as it is sent."""
    header = json.dumps(message._asdict() | {"parts": len(message.parts)}).encode()
    return join([header, *message.parts])


def from_bytes(content: Content) -> Message:
    """The message that was sent."""
    header, *parts = split(content)
    return Message(**(json.loads(bytes(header)) | {"parts": tuple(parts)}))


def record_of(message: Message) -> MessageRecord:
    """The line of a message in the log."""
    fields = message._asdict()
    parts, digest = fields.pop("parts"), hashlib.sha256()
    for part in parts:
        digest.update(part)
    return MessageRecord(
        **fields,
        num_ciphertexts=len(parts) if message.form.startswith("encrypted") else 0,
        num_bytes=sum(map(len, parts)),
        sha256=digest.hexdigest(),
    )


def join(parts: Sequence[Content]) -> bytes:
    """Parts one after the other, each behind its length."""
    return b"".join(
        piece for part in parts for piece in (_LENGTH.pack(len(part)), part)
    )


def split(content: Content) -> list[Content]:
    """The inverse of `join`, without copying anything.

    Raises:
        ValueError: If the content ends in the middle of a part.
    """
    parts, start, content = [], 0, memoryview(content)
    while start < len(content):
        end = start + _LENGTH.size
        if end <= len(content):
            start, end = end, end + _LENGTH.unpack_from(content, start)[0]
        if end > len(content):
            raise ValueError(f"content: {len(content)} bytes, must be whole parts")
        parts.append(content[start:end])
        start = end
    return parts


def pack_arrays(arrays: dict[str, np.ndarray]) -> bytes:
    """Named arrays, the form of states and results, as an npz file without pickles."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def unpack_arrays(content: Content) -> dict[str, np.ndarray]:
    """The inverse of `pack_arrays`."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)
