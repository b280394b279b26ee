"""Every role in a process of its own; this one is the network and passes bytes on.

A role's process is a fresh interpreter that gets its own party's inputs and nothing
else, on the CPU and with one thread. It ends when this process closes its connection,
and is ended if it doesn't answer in time.
"""

import collections
import contextlib
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from vfljax._checks import check_number
from vfljax.encryption import Content
from vfljax.protocol.encrypted.messages import join, split
from vfljax.protocol.encrypted.run import (
    EncryptedRun,
    Network,
    answer,
    make_role,
    run_here,
)

_ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
}
_START = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); "
    "from vfljax.protocol.encrypted import processes; "
    "processes.role_process(*sys.argv[1:])"
)
ANSWER_SECONDS = 600.0
"""How long a role may take for an answer, and for its start."""
_SECONDS_TO_END = 5.0
_OK, _ERROR = b"", b"error"


class RoleFailed(RuntimeError):  # noqa: N818
    """A role's process ended, hangs or refused to go on; all have been stopped.

    The attributes are what its message says; `iteration` is -1 at the start.
    """

    def __init__(self, role: str, iteration: int, reason: str):
        when = f"in iteration {iteration}" if iteration >= 0 else "at the start"
        super().__init__(f"{role} failed {when}: {reason}")
        self.role, self.iteration, self.reason = role, iteration, reason


def role_process(descriptor: str, _: str) -> None:
    """What runs in a role's own process: an answer to each request, until the end.

    The first request makes the role. The arguments are the file descriptor of an
    inherited connection, and the role's name, to be read in a list of processes.
    """
    role: Any = None
    with (
        Connection(int(descriptor)) as connection,
        contextlib.suppress(EOFError, OSError),  # the network has ended
    ):
        while True:
            request, replies = connection.recv_bytes(), []
            try:
                if role is None:
                    role = make_role(*pickle.loads(request))
                else:
                    replies = answer(role, request)
                replies = [_OK, *replies]
            except Exception as error:  # whatever it is, the network has to know
                replies = [_ERROR, f"{type(error).__name__}: {error}".encode()]
            connection.send_bytes(join(replies))


def _pickled(name, content) -> bytes:
    try:
        return pickle.dumps(content)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ValueError(
            f"{name}: its inputs can't be sent to another process ({error}); allowed "
            "are functions and classes of importable modules, such as "
            "functools.partial(optax.sgd, 0.1)"
        ) from error


class Processes(Network):
    """Every role in a process of its own; each has at most one message at a time.

    Makers of optimizers and the defense's class are sent by name: functions and classes
    of modules that a fresh interpreter can import, or `functools.partial` of such. What
    can't be sent is a `ValueError`. Whatever a role's process fails at is a
    `RoleFailed`, after which nothing goes on; with a folder the run can be resumed.

    Args:
        answer_seconds: That a role may take for an answer and for its start, in
            (0, 1e6]; for a process that was stopped or hangs.
    """

    def __init__(self, answer_seconds: int | float = ANSWER_SECONDS):
        check_number(
            "answer_seconds", answer_seconds, low=0, high=1e6, low_excluded=True
        )
        self._answer_seconds = answer_seconds
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._connections: dict[str, Connection] = {}
        self._waiting: dict[str, collections.deque[Content]] = {}
        self._busy_since: dict[str, float] = {}

    def start(self, roles: Mapping[str, Sequence[Any]]) -> None:
        """Sends each role's process what the role is made from."""
        contents = {name: _pickled(name, brought) for name, brought in roles.items()}
        for name in contents:
            self.start_process(name)
        for name, content in contents.items():
            self.send(name, content)
        for _ in contents:
            self.receive()

    def start_process(self, name: str) -> None:
        """Starts a fresh interpreter: nothing of the caller's script is run again."""
        ours, theirs = socket.socketpair()
        paths = os.pathsep.join(path for path in sys.path if path)
        with theirs:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-c", _START, str(theirs.fileno()), name],
                pass_fds=[theirs.fileno()],
                env={**os.environ, **_ENVIRONMENT, "PYTHONPATH": paths},
                stdin=subprocess.DEVNULL,
            )
        limit = struct.pack("ll", *divmod(int(1e6 * self._answer_seconds), 10**6))
        for direction in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
            ours.setsockopt(socket.SOL_SOCKET, direction, limit)  # within a message
        self._connections[name] = Connection(ours.detach())
        self._waiting[name] = collections.deque()

    def send(self, role: str, content: Content) -> None:
        """Gives a role a message, or keeps it while the role is busy."""
        self._waiting[role].append(content)
        self._give_next(role)

    def receive(self) -> tuple[str, list[Content]]:
        """Waits for an answer of any role."""
        role = self._first_ready()
        with self._failures_of(role):
            answer = self._connections[role].recv_bytes()
        is_error, *parts = split(answer)
        if is_error:
            raise RoleFailed(role, self.iteration, bytes(parts[0]).decode())
        del self._busy_since[role]
        self._give_next(role)
        return role, parts

    def close(self) -> None:
        """Ends all processes: they end themselves when their connection is closed."""
        for connection in self._connections.values():
            connection.close()
        for process in self._processes.values():
            try:
                process.wait(_SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _first_ready(self):
        """The role that has something to say; one that was asked must have in time."""
        role = min(self._busy_since, key=self._busy_since.__getitem__)
        left = self._busy_since[role] + self._answer_seconds - time.monotonic()
        ready = wait(self._connections.values(), max(left, 0))
        for name, connection in self._connections.items():
            if connection in ready:
                return name
        raise self._too_late(role)

    def _give_next(self, role):
        if role not in self._busy_since and self._waiting[role]:
            self._busy_since[role] = time.monotonic()
            with self._failures_of(role):
                self._connections[role].send_bytes(self._waiting[role].popleft())

    @contextlib.contextmanager
    def _failures_of(self, role):
        """Errors of a role's connection as those of the role."""
        try:
            yield
        except BlockingIOError:
            raise self._too_late(role) from None
        except (EOFError, OSError):
            raise RoleFailed(role, self.iteration, self._how_it_ended(role)) from None

    def _too_late(self, role):
        """The error of a role that hangs; it wouldn't end by itself."""
        self._processes[role].kill()
        reason = f"no answer within {self._answer_seconds:g} seconds"
        return RoleFailed(role, self.iteration, reason)

    def _how_it_ended(self, role):
        try:
            status = self._processes[role].wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            return "its connection is closed"
        if status < 0:
            return f"its process was ended by {signal.Signals(-status).name}"
        return f"its process ended with status {status}"


def run_in_processes(
    *training: Any, answer_seconds: int | float = ANSWER_SECONDS, **options: Any
) -> EncryptedRun:
    """Trains as `run_here`, with its arguments, but on `Processes(answer_seconds)`."""
    return run_here(*training, network=Processes(answer_seconds), **options)
