"""Drives an encrypted training: one iteration after the other, one router for all.

The network sees bytes only. It tells the parties which samples are in the batch, and
the third party that there is one, passes messages on as they come, and logs them all,
its own too. An iteration is over when nobody has anything to say, and then every role
must have taken its step.
"""

import collections
import contextlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from vfljax.encryption import Content, EncryptionError
from vfljax.models import Params
from vfljax.protocol.encrypted import arrays, checkpoints
from vfljax.protocol.encrypted.active_party import ActiveParty
from vfljax.protocol.encrypted.agreement import (
    ACTIVE,
    THIRD_PARTY,
    Agreement,
    describe,
)
from vfljax.protocol.encrypted.inputs import ActiveInputs, PassiveInputs, check_inputs
from vfljax.protocol.encrypted.linear_layer import params_tree
from vfljax.protocol.encrypted.messages import (
    NETWORK,
    SETUP_ITERATION,
    Message,
    MessageRecord,
    from_bytes,
    record_of,
    to_bytes,
)
from vfljax.protocol.encrypted.observation import Observation, read_observations
from vfljax.protocol.encrypted.passive_party import PassiveParty
from vfljax.protocol.encrypted.roles import Role
from vfljax.protocol.encrypted.third_party import ThirdParty

OnMessage = Callable[[MessageRecord], Any]


class EncryptedRun(NamedTuple):
    """What comes out; the caller is the experimenter, who may look at all parties.

    Attributes:
        params: Of the passive parties in order, then of the active party.
        losses: Mean cross-entropy before each step, in nats, from iteration 0 on; NaN
            in taylor mode, in which nobody can compute it.
        observations: Of each passive party, by iteration.
        messages: Of this call, as they passed, those of the network among them.
        description: Mode, layout, library, sizes, security and threat model.
        first_iteration: The first one of this call.
    """

    params: tuple[Params, ...]
    losses: np.ndarray
    observations: tuple[dict[int, Observation], ...]
    messages: tuple[MessageRecord, ...]
    description: dict[str, Any]
    first_iteration: int


@runtime_checkable
class Network(Protocol):
    """How the roles are reached: in this process, or in processes of their own.

    Attributes:
        iteration: The present one, set by `drive`; for errors.
    """

    iteration: int

    def send(self, role: str, content: Content) -> None:
        """Gives a role a message."""
        ...

    def receive(self) -> tuple[str, Sequence[Content]]:
        """Waits for the answer to one `send`: the first role to have one, and it."""
        ...

    def completed(self, role: str) -> int:
        """What `Role.completed` is."""
        ...

    def state(self, role: str) -> Content:
        """What `Role.state` gives."""
        ...


def run_here(
    agreement: Agreement,
    passive: Sequence[PassiveInputs],
    active: ActiveInputs,
    batches: Any,
    *,
    on_message: OnMessage | None = None,
    folder: Path | None = None,
    resume: bool = False,
) -> EncryptedRun:
    """Trains with all roles as objects in this process, which exchange only bytes.

    Zou et al. (2022, https://arxiv.org/abs/2112.05409), Algorithm 1. The paper doesn't
    say how dL/dH is computed under encryption: see `Agreement.mode`. With
    `backend="plain_int"` the same integers pass without encryption.

    Args:
        agreement: The public settings.
        passive: What the passive parties bring, in order.
        active: What the active party brings.
        batches: Sample numbers of each iteration (iterations, B), public.
        on_message: Called with the record of each message as it passes.
        folder: For states after each iteration and `messages.jsonl`; `None` for none.
        resume: Whether to go on in `folder` after its last completed iteration, with
            the same inputs.

    Raises:
        ValueError: For inputs that don't fit the agreement, a number too large for its
            fixed point, a folder that doesn't fit `resume`, or other inputs than those
            that the run was begun with; makers can't be compared.
        EncryptionError: If a role refuses a message, speaks for another role, or hasn't
            taken its step when nobody has anything to say.
        ImportError: If the backend's library isn't installed.
    """
    check_inputs(agreement, passive, active, batches)
    batches = np.asarray(batches, "<i8")
    completed = prepare_folder(agreement, batches, folder, resume)
    roles: list[Role] = [
        *(
            PassiveParty(agreement, name, inputs)
            for name, inputs in zip(agreement.passive_names, passive, strict=True)
        ),
        ActiveParty(agreement, active),
        ThirdParty(agreement),
    ]
    if folder is not None and completed >= 0:
        for role in roles:
            checkpoints.restore_state(folder, role, completed)
    network = _Here({role.name: role for role in roles}, folder)
    return drive(network, agreement, batches, completed + 1, folder, on_message)


def prepare_folder(
    agreement: Agreement, batches: np.ndarray, folder: Path | None, resume: bool
) -> int:
    """The iteration after which to go on; -1 for a new run."""
    if resume and folder is None:
        raise ValueError("resume=True: needs the folder of the run to go on with")
    if folder is None:
        return -1
    if resume:
        return checkpoints.completed_before(folder, agreement, batches)
    checkpoints.begin(folder, agreement, batches)
    return -1


def deliver(role: Role, content: Content, folder: Path | None) -> list[bytes]:
    """A role's answers to a message; its state is on disk before they are sent."""
    before = role.completed
    replies = role.receive(content)
    if folder is not None and role.completed != before:
        checkpoints.save_state(folder, role)
    return replies


def _drop_cut_off_line(path: Path) -> None:
    """What a killed run left of its last line; that message is sent again."""
    if path.is_file():
        content = path.read_bytes()
        with path.open("r+b") as file:
            file.truncate(content.rfind(b"\n") + 1)


def drive(
    network: Network,
    agreement: Agreement,
    batches: np.ndarray,
    first_iteration: int,
    folder: Path | None,
    on_message: OnMessage | None,
) -> EncryptedRun:
    """Runs the setup and all iterations from the first, and collects what came out.

    Raises:
        EncryptionError: For a message whose sender isn't the role that it came from,
            or an iteration that ends before every role has completed it.
    """
    records: list[MessageRecord] = []
    with contextlib.ExitStack() as stack:
        log = None
        if folder is not None:
            path = folder / "messages.jsonl"
            _drop_cut_off_line(path)
            log = stack.enter_context(path.open("a"))

        def passed(message: Message) -> None:
            record = record_of(message)
            records.append(record)
            if log is not None:
                print(json.dumps(record._asdict()), file=log, flush=True)
            if on_message is not None:
                on_message(record)

        _route(network, [_told(SETUP_ITERATION, THIRD_PARTY, "setup")], passed)
        for iteration in range(first_iteration, len(batches)):
            network.iteration = iteration
            rows = batches[iteration].tobytes()
            parties = agreement.party_names
            begin = [_told(iteration, party, "batch", rows) for party in parties]
            begin.append(_told(iteration, THIRD_PARTY, "batch"))
            _route(network, begin, passed)
            _check_completed(network, (*parties, THIRD_PARTY))
            if folder is not None:
                checkpoints.save_progress(folder, iteration)
    states = [
        arrays.from_bytes(network.state(party)) for party in agreement.party_names
    ]
    return EncryptedRun(
        params=tuple(map(params_tree, states)),
        losses=states[agreement.party_names.index(ACTIVE)]["losses"],
        observations=tuple(
            read_observations(agreement, state) for state in states[:-1]
        ),
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


class _Here:
    """All roles in this process; a message is delivered when its turn comes."""

    def __init__(self, roles: dict[str, Role], folder: Path | None):
        self.iteration = -1
        self._roles, self._folder = roles, folder
        self._waiting: collections.deque[tuple[str, Content]] = collections.deque()

    def send(self, role: str, content: Content) -> None:
        self._waiting.append((role, content))

    def receive(self) -> tuple[str, Sequence[Content]]:
        role, content = self._waiting.popleft()
        return role, deliver(self._roles[role], content, self._folder)

    def completed(self, role: str) -> int:
        return self._roles[role].completed

    def state(self, role: str) -> Content:
        return self._roles[role].state()
