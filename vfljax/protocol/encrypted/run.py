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
import functools
import hashlib
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TextIO

import numpy as np
from jaxtyping import Int

from vfljax.encryption import Content, EncryptionError
from vfljax.models import Params
from vfljax.protocol.encrypted.active_party import ActiveParty
from vfljax.protocol.encrypted.agreement import (
    THIRD_PARTY,
    Agreement,
    describe,
)
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
_Arguments = ParamSpec("_Arguments")
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
    """How the roles are reached: in this process, or in a subclass in their own.

    A message is delivered when its turn comes.

    Args:
        roles: By name.
        folder: Of the run, for the roles' states.

    Attributes:
        iteration: The present one, set by `drive`; for errors.
    """

    iteration = -1

    def __init__(self, roles: Mapping[str, Role], folder: Path | None):
        self._roles, self._folder = roles, folder
        self._waiting: collections.deque[tuple[str, Content]] = collections.deque()

    def send(self, role: str, content: Content) -> None:
        """Gives a role a message."""
        self._waiting.append((role, content))

    def receive(self) -> tuple[str, Sequence[Content]]:
        """Waits for the answer to one `send`: the first role to have one, and it."""
        role, content = self._waiting.popleft()
        return role, deliver(self._roles[role], content, self._folder)

    def completed(self, role: str) -> int:
        """What `Role.completed` is; called when nothing else is under way."""
        return self._roles[role].completed

    def state(self, role: str) -> Content:
        """What `Role.state` gives; called when nothing else is under way."""
        return self._roles[role].state()


def to_the_end(
    iterate: Callable[_Arguments, Generator[int, None, EncryptedRun]],
) -> Callable[_Arguments, EncryptedRun]:
    """The function that does all iterations of a generator, for who needs no pause."""

    @functools.wraps(iterate)
    def run(*arguments: _Arguments.args, **options: _Arguments.kwargs) -> EncryptedRun:
        steps = iterate(*arguments, **options)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value

    return run


def iterate_here(
    agreement: Agreement,
    passive: Sequence[PassiveInputs],
    active: ActiveInputs,
    batches: Any,
    *,
    on_message: OnMessage | None = None,
    folder: Path | None = None,
) -> Generator[int, None, EncryptedRun]:
    """Trains with all roles as objects in this process, which exchange only bytes.

    Zou et al. (2022, https://arxiv.org/abs/2112.05409), Algorithm 1, which doesn't say
    how dL/dH is computed under encryption: see `Agreement.mode`.

    Args:
        agreement: The public settings.
        passive: What the passive parties bring, in order.
        active: What the active party brings.
        batches: Sample numbers of each iteration (iterations, B), public.
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
    batches = np.asarray(batches, "<i8")
    completed = prepare_folder(folder, agreement, batches)
    roles = {
        name: make_role(agreement, name, inputs, folder, completed)
        for name, inputs in inputs_by_role(agreement, passive, active).items()
    }
    network = Network(roles, folder)
    return (
        yield from drive(network, agreement, batches, completed + 1, folder, on_message)
    )


run_here = to_the_end(iterate_here)


def inputs_by_role(
    agreement: Agreement, passive: Sequence[PassiveInputs], active: ActiveInputs
) -> dict[str, PassiveInputs | ActiveInputs | None]:
    """What each role is made with; `None` for the third party."""
    names = (*agreement.party_names, THIRD_PARTY)
    return dict(zip(names, (*passive, active, None), strict=True))


def make_role(
    agreement: Agreement,
    name: str,
    inputs: PassiveInputs | ActiveInputs | None,
    folder: Path | None,
    completed: int,
) -> Role:
    """A role as it is at the start, or as its folder says that it was."""
    if isinstance(inputs, PassiveInputs):
        role = PassiveParty(agreement, name, inputs)
    elif isinstance(inputs, ActiveInputs):
        role = ActiveParty(agreement, inputs)
    else:
        role = ThirdParty(agreement)
    if folder is not None and completed >= 0:
        path = folder / name / f"{completed}.npz"
        role.restore(path.read_bytes() if path.exists() else b"", completed)
    return role


def prepare_folder(
    folder: Path | None, agreement: Agreement, batches: Int[np.ndarray, "_ _"]
) -> int:
    """Makes the folder of a new run, or finds out where its run is to go on.

    Returns:
        The last iteration that all roles completed; -1 if there was none.

    Raises:
        ValueError: If its run is one of other settings or batches.
    """
    if folder is None:
        return -1
    path, progress = folder / "agreement.json", folder / "progress.json"
    settings = dataclasses.asdict(agreement)
    settings["batches_sha256"] = hashlib.sha256(batches.tobytes()).hexdigest()
    content = json.dumps(settings, indent=2).encode()
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _write(path, content)
    elif path.read_bytes() != content:
        raise ValueError(
            f"folder={folder}: its run has another agreement or other batches; it can "
            "be resumed with those it was begun with"
        )
    return json.loads(progress.read_text())["completed"] if progress.exists() else -1


def deliver(role: Role, content: Content, folder: Path | None) -> list[bytes]:
    """A role's answers to a message; its state is on disk before they are sent."""
    before = role.completed
    replies = role.receive(content)
    if folder is not None and role.completed != before and (state := role.state()):
        own = folder / role.name
        own.mkdir(parents=True, exist_ok=True)
        _write(own / f"{role.completed}.npz", state)
        (own / f"{role.completed - _KEPT}.npz").unlink(missing_ok=True)
    return replies


def drive(
    network: Network,
    agreement: Agreement,
    batches: np.ndarray,
    first_iteration: int,
    folder: Path | None,
    on_message: OnMessage | None,
) -> Generator[int, None, EncryptedRun]:
    """Runs the setup and all iterations from the first, and collects what came out.

    Yields:
        The number of each iteration that is over, and on disk.

    Raises:
        EncryptionError: For a message whose sender isn't the role that it came from,
            or an iteration that ends before every role has completed it.
    """
    records: list[MessageRecord] = []
    no_log = contextlib.nullcontext()
    with no_log if folder is None else _open_log(folder) as log:

        def passed(message: Message) -> None:
            record = record_of(message)
            records.append(record)
            if log is not None:
                print(json.dumps(record._asdict()), file=log, flush=True)
            if on_message is not None:
                on_message(record)

        parties = agreement.party_names
        _route(network, [_told(SETUP_ITERATION, THIRD_PARTY, "setup")], passed)
        for iteration in range(first_iteration, len(batches)):
            network.iteration = iteration
            rows = batches[iteration].tobytes()
            begin = [_told(iteration, party, "batch", rows) for party in parties]
            begin.append(_told(iteration, THIRD_PARTY, "batch"))
            _route(network, begin, passed)
            _check_completed(network, (*parties, THIRD_PARTY))
            if folder is not None:
                progress = json.dumps({"completed": iteration}).encode()
                _write(folder / "progress.json", progress)
            yield iteration
    *states, active = (unpack_arrays(network.state(party)) for party in parties)
    return EncryptedRun(
        params=tuple(map(params_tree, (*states, active))),
        losses=active["losses"],
        unprotected=active["unprotected"],
        observations=tuple(read_observations(agreement, state) for state in states),
        messages=tuple(records),
        description=describe(agreement),
        first_iteration=first_iteration,
    )


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
        completed = network.completed(role)
        if completed != network.iteration:
            raise EncryptionError(
                f"{role}: has completed iteration {completed} when nobody has anything "
                f"to say, must have completed {network.iteration}"
            )


def _told(iteration, role, kind, *parts):
    return Message(iteration, NETWORK, role, kind, "public", parts)


def _open_log(folder: Path) -> TextIO:
    """The message log, without what a killed run left of its last line.

    That message is sent again.
    """
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
