"""What runs in a role's own process: answers, one for each message, until the end."""

import contextlib
import pickle
import signal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from vfljax.protocol.encrypted import checkpoints
from vfljax.protocol.encrypted.active_party import ActiveParty
from vfljax.protocol.encrypted.agreement import Agreement
from vfljax.protocol.encrypted.inputs import ActiveInputs, PassiveInputs
from vfljax.protocol.encrypted.messages import join
from vfljax.protocol.encrypted.passive_party import PassiveParty
from vfljax.protocol.encrypted.roles import Role
from vfljax.protocol.encrypted.run import deliver
from vfljax.protocol.encrypted.third_party import ThirdParty

GIVE_STATE = b""
"""Asks for the role's state, at the end of a run."""
GIVE_COMPLETED = b"completed"
"""Asks for the role's last completed iteration, after each; no message looks so."""

_OK, _ERROR = b"", b"error"


class Start(NamedTuple):
    """What a process is started with: its own party's inputs and what is public.

    Attributes:
        agreement: The public settings.
        name: Of the role.
        inputs: Its own; `None` for the third party.
    """

    agreement: Agreement
    name: str
    inputs: PassiveInputs | ActiveInputs | None


def main(descriptor: str, name: str) -> None:
    """Serves a role over an inherited connection.

    Args:
        descriptor: Number of the connection's file descriptor.
        name: Of the role; there to be read in a list of processes.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the network tells when to end
    server = _Server()
    with (
        Connection(int(descriptor)) as connection,
        contextlib.suppress(EOFError, OSError),  # the network has ended
    ):
        while True:
            request = connection.recv_bytes()
            connection.send_bytes(_answer_or_reason(server, request))


def _answer_or_reason(server, request) -> bytes:
    try:
        return join([_OK, *server.answer(request)])
    except Exception as error:  # whatever it is, the network has to know
        return join([_ERROR, f"{type(error).__name__}: {error}".encode()])


class _Server:
    """A role that is made by the first request."""

    def __init__(self):
        self._role: Role | None = None
        self._folder: Path | None = None

    def answer(self, request: bytes) -> list[bytes]:
        if self._role is None:
            content, folder, completed = pickle.loads(request)
            role = _make(pickle.loads(content))
            if folder is not None and completed >= 0:
                checkpoints.restore_state(folder, role, completed)
            self._role, self._folder = role, folder
            return []
        if request == GIVE_STATE:
            return [self._role.state()]
        if request == GIVE_COMPLETED:
            return [str(self._role.completed).encode()]
        return deliver(self._role, request, self._folder)


def _make(start: Start) -> Role:
    if isinstance(start.inputs, PassiveInputs):
        return PassiveParty(start.agreement, start.name, start.inputs)
    if isinstance(start.inputs, ActiveInputs):
        return ActiveParty(start.agreement, start.inputs)
    return ThirdParty(start.agreement)
