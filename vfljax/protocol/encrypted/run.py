"""Drives an encrypted training: one iteration after the other, one router for all.

The network sees bytes only. It tells the parties which samples are in the batch, and
the third party that there is one, passes messages on as they come, and logs them all,
its own too. An iteration is over when nobody has anything to say, and then every role
must have taken its step.

In a run's folder `agreement.json`, `progress.json` and `messages.jsonl` belong to the
network; each party writes its own state into a folder of its own, hashes of its inputs
included. The secret key is in none of them. After a resume the log has the messages of
the setup and some of the interrupted iteration twice: they did pass twice.
"""

import collections
import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np

from vfljax.encryption import Content, EncryptionError
from vfljax.models import Params
from vfljax.protocol.encrypted.active_party import ActiveParty
from vfljax.protocol.encrypted.agreement import THIRD_PARTY, Agreement, describe
from vfljax.protocol.encrypted.inputs import ActiveInputs, PassiveInputs, check_inputs
from vfljax.protocol.encrypted.messages import (
    NETWORK,
    SETUP_ITERATION,
    Message,
    MessageRecord,
    from_bytes,
    record_of,
    to_bytes,
    unpack_arrays,
)
from vfljax.protocol.encrypted.passive_party import (
    Observation,
    PassiveParty,
    read_observations,
)
from vfljax.protocol.encrypted.roles import Role, params_tree
from vfljax.protocol.encrypted.third_party import ThirdParty

OnMessage = Callable[[MessageRecord], Any]
GIVE_STATE, GIVE_COMPLETED = b"", b"completed"  # no message looks so
_KEPT = 2  # states: a role may be one iteration ahead when a run is killed


class EncryptedRun(NamedTuple):
    """What comes out; the caller is the experimenter, who may look at all parties.

    Attributes:
        params: Of the passive parties in order, then of the active party.
        losses: Mean cross-entropy before each step, in nats, from iteration 0 on, with
            none for looks; NaN in taylor mode, in which nobody can compute it.
        unprotected: Whether the defense had to send a batch as it was, by iteration.
        observations: Of each passive party, by iteration.
        messages: Of this call, as they passed, those of the network among them.
        description: Mode, layout, library, sizes, security and threat model.
        first_iteration: The first one of this call.
    """

    params: tuple[Params, ...]
    losses: np.ndarray
    unprotected: np.ndarray
    observations: tuple[dict[int, Observation], ...]
    messages: tuple[MessageRecord, ...]
    description: dict[str, Any]
    first_iteration: int


class Network:
    """How the roles are reached: here, or in a subclass in processes of their own.

    A message is delivered when its turn comes.

    Attributes:
        iteration: The present one, set by `iterate`; for errors.
    """

    iteration = -1

    def __init__(self):
        self._waiting: collections.deque[tuple[str, Content]] = collections.deque()

    def start(self, roles: Mapping[str, Sequence[Any]]) -> None:
        """Makes the roles from what `make_role` takes, by name."""
        self._roles = {name: make_role(*brought) for name, brought in roles.items()}

    def send(self, role: str, content: Content) -> None:
        """Gives a role a message, or a question."""
        self._waiting.append((role, content))

    def receive(self) -> tuple[str, Sequence[Content]]:
        """Waits for the answer to one `send`: the first role to have one, and it."""
        role, content = self._waiting.popleft()
        return role, answer(self._roles[role], content)

    def ask(self, role: str, question: bytes) -> Content:
        """What a role says about itself; called when nothing else is under way."""
        self.send(role, question)
        _, (content,) = self.receive()
        return content

    def close(self) -> None:
        """Ends what `start` began."""


def iterate(
    agreement: Agreement,
    passive: Sequence[PassiveInputs],
    active: ActiveInputs,
    batches: Any,
    *,
    network: Network | None = None,
    on_message: OnMessage | None = None,
    folder: Path | None = None,
) -> Generator[int, None, EncryptedRun]:
    """Trains with roles that exchange only bytes.

    Zou et al. (2022, https://arxiv.org/abs/2112.05409), Algorithm 1, which doesn't say
    how dL/dH is computed under encryption: see `Agreement.mode`.

    Args:
        agreement: The public settings.
        passive: What the passive parties bring, in order.
        active: What the active party brings.
        batches: Sample numbers of each iteration (iterations, B), public.
        network: How the roles are reached, `Processes()` for instance; `None` for
            objects in this process. It is closed at the end.
        on_message: Called with the record of each message as it passes.
        folder: For states after each iteration and `messages.jsonl`; a run that is in
            it goes on after its last completed iteration. `None` for none.

    Yields:
        The number of each iteration that is over; `run_here` returns what comes out.

    Raises:
        ValueError: For inputs that don't fit the agreement, a number too large for its
            fixed point, or other inputs than those that the folder's run was begun
            with; makers can't be compared.
        EncryptionError: If a role refuses a message, speaks for another role, or hasn't
            taken its step when nobody has anything to say.
        ImportError: If the backend's library isn't installed.
    """
    check_inputs(agreement, passive, active, batches)
    agreement.make_backend()  # an absent library is an error here, not in a process
    batches = np.asarray(batches, "<i8")
    first = 0 if folder is None else _sign(folder, agreement, batches)
    parties, records = agreement.party_names, []
    names = (*parties, THIRD_PARTY)
    roles = {
        name: (agreement, name, inputs, folder, first - 1)
        for name, inputs in zip(names, (*passive, active, None), strict=True)
    }
    with contextlib.closing(network or Network()) as network, _open_log(folder) as log:

        def passed(message: Message) -> None:
            record = record_of(message)
            records.append(record)
            if log is not None:
                print(json.dumps(record._asdict()), file=log, flush=True)
            if on_message is not None:
                on_message(record)

        network.start(roles)
        _route(network, [_told(SETUP_ITERATION, THIRD_PARTY, "setup")], passed)
        for iteration in range(first, len(batches)):
            network.iteration = iteration
            rows = batches[iteration].tobytes()
            begin = [_told(iteration, party, "batch", rows) for party in parties]
            begin.append(_told(iteration, THIRD_PARTY, "batch"))
            _route(network, begin, passed)
            _check_completed(network, names)
            if folder is not None:
                progress = json.dumps({"completed": iteration}).encode()
                _write(folder / "progress.json", progress)
            yield iteration
        states = [unpack_arrays(network.ask(name, GIVE_STATE)) for name in parties]
    return EncryptedRun(
        params=tuple(map(params_tree, states)),
        losses=states[-1]["losses"],
        unprotected=states[-1]["unprotected"],
        observations=tuple(read_observations(agreement, each) for each in states[:-1]),
        messages=tuple(records),
        description=describe(agreement),
        first_iteration=first,
    )


def run_here(*training: Any, **options: Any) -> EncryptedRun:
    """Does all iterations of `iterate`, whose arguments it takes, without a pause."""
    steps = iterate(*training, **options)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def make_role(
    agreement: Agreement,
    name: str,
    inputs: PassiveInputs | ActiveInputs | None,
    folder: Path | None,
    completed: int,
) -> Role:
    """A role as it is at the start, or as its folder says that it was."""
    if inputs is None:
        role = ThirdParty(agreement)
    elif isinstance(inputs, PassiveInputs):
        role = PassiveParty(agreement, name, inputs)
    else:
        role = ActiveParty(agreement, inputs)
    if folder is not None:
        role.folder = folder / name
        if completed >= 0:
            path = role.folder / f"{completed}.npz"
            role.restore(path.read_bytes() if path.exists() else b"", completed)
    return role


def answer(role: Role, content: Content) -> list[bytes]:
    """What a role says to a message or a question; its state is on disk before."""
    if content == GIVE_STATE:
        return [role.state()]
    if content == GIVE_COMPLETED:
        return [str(role.completed).encode()]
    before, folder = role.completed, role.folder
    replies = role.receive(content)
    if folder is not None and role.completed != before and (state := role.state()):
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / f"{role.completed}.npz", state)
        (folder / f"{role.completed - _KEPT}.npz").unlink(missing_ok=True)
    return replies


def _sign(folder, agreement, batches):
    """Writes whose folder it is, or refuses one with a run of other settings.

    Returns the iteration after the last one that all roles completed, or 0.
    """
    path, progress = folder / "agreement.json", folder / "progress.json"
    settings = dataclasses.asdict(agreement)
    settings["batches_sha256"] = hashlib.sha256(batches.tobytes()).hexdigest()
    content = json.dumps(settings, indent=2)
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _write(path, content.encode())
    elif json.loads(path.read_text()) != json.loads(content):
        raise ValueError(
            f"folder={folder}: its run has another agreement or other batches; it can "
            "be resumed with those it was begun with"
        )
    return json.loads(progress.read_text())["completed"] + 1 if progress.exists() else 0


def _route(network, messages, passed):
    """Sends messages and those that follow from them, until none is left."""
    for message in messages:
        passed(message)
        network.send(message.receiver, to_bytes(message))
    awaited = len(messages)
    while awaited:
        awaited -= 1
        role, contents = network.receive()
        for content in contents:
            message = from_bytes(content)
            if message.sender != role:
                raise EncryptionError(
                    f"sender={message.sender!r}: a {message.kind} that came from "
                    f"{role}, must be {role!r}"
                )
            passed(message)
            network.send(message.receiver, content)
            awaited += 1


def _check_completed(network, roles):
    """A role that ignored a message, or waits for one, hasn't taken its step."""
    for role in roles:
        completed = int(bytes(network.ask(role, GIVE_COMPLETED)))
        if completed != network.iteration:
            raise EncryptionError(
                f"{role}: has completed iteration {completed} when nobody has anything "
                f"to say, must have completed {network.iteration}"
            )


def _told(iteration, role, kind, *parts):
    return Message(iteration, NETWORK, role, kind, "public", parts)


def _open_log(folder: Path | None) -> AbstractContextManager[TextIO | None]:
    """The message log, without what a killed run left of its last line.

    That message is sent again.
    """
    if folder is None:
        return contextlib.nullcontext()
    path = folder / "messages.jsonl"
    content = path.read_bytes() if path.is_file() else b""
    log = path.open("a")
    log.truncate(content.rfind(b"\n") + 1)
    return log


def _write(path, content):
    """Whole or not at all."""
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
