"""What all roles have in common: they are told things as bytes, and answer in bytes."""

from collections.abc import Collection, Mapping
from typing import Protocol, runtime_checkable

from vfljax.encryption import Content, EncryptionError
from vfljax.protocol.encrypted.messages import SETUP_ITERATION, Message


@runtime_checkable
class Role(Protocol):
    """A party, or the third party.

    Attributes:
        name: In messages.
        completed: The last iteration that is over for this role; -1 before the first.
    """

    name: str
    completed: int

    def receive(self, content: Content) -> list[bytes]:
        """Takes a message and returns the messages that follow from it.

        Raises:
            EncryptionError: For a message that isn't for this role, of another sender
                than the one whose kind of message it is, not expected now, or not as
                agreed.
        """
        ...

    def state(self) -> bytes:
        """What the role needs to go on after `completed`; empty if nothing."""
        ...

    def restore(self, content: bytes, completed: int) -> None:
        """Goes on after iteration `completed` from what `state` gave then.

        Raises:
            ValueError: If a party's inputs aren't those that it began with.
        """
        ...


def check_expected(
    message: Message,
    receiver: str,
    iteration: int,
    senders: Mapping[str, Collection[str]],
) -> None:
    """Refuses a message that isn't for this role, or not expected now.

    Who a message is from is what it says. That no role speaks for another is checked
    where messages are passed on, see `drive`.

    Args:
        message: What was sent.
        receiver: The role that got it.
        iteration: The one that this role is at.
        senders: By kind of message that the role understands, who may send it.

    Raises:
        EncryptionError: For another receiver, kind, sender or iteration.
    """
    if message.receiver != receiver:
        raise EncryptionError(f"receiver={message.receiver!r}: must be {receiver!r}")
    if message.kind not in senders:
        raise EncryptionError(
            f"kind={message.kind!r}: {receiver} understands {', '.join(senders)}"
        )
    if message.sender not in senders[message.kind]:
        raise EncryptionError(
            f"sender={message.sender!r}: {receiver} takes {message.kind} from "
            f"{', '.join(senders[message.kind])} only"
        )
    if message.kind == "public_key":
        iteration = SETUP_ITERATION
    if message.kind not in ("setup", "batch") and message.iteration != iteration:
        raise EncryptionError(
            f"iteration={message.iteration}: {receiver} is at iteration {iteration}"
        )
