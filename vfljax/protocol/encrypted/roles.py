"""What all roles have in common: they are told things as bytes, and answer in bytes."""

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
            EncryptionError: For a message that isn't for this role, not expected now,
                or not as agreed.
        """
        ...

    def state(self) -> bytes:
        """What the role needs to go on after `completed`; empty if nothing."""
        ...

    def restore(self, content: bytes, completed: int) -> None:
        """Goes on after iteration `completed` from what `state` gave then."""
        ...


def check_expected(
    message: Message, receiver: str, iteration: int, kinds: tuple[str, ...]
) -> None:
    """Raises an `EncryptionError` for a message that isn't expected now."""
    if message.receiver != receiver:
        raise EncryptionError(f"receiver={message.receiver!r}: must be {receiver!r}")
    if message.kind not in kinds:
        raise EncryptionError(
            f"kind={message.kind!r}: {receiver} understands {', '.join(kinds)}"
        )
    if message.kind == "public_key":
        iteration = SETUP_ITERATION
    if message.kind not in ("setup", "batch") and message.iteration != iteration:
        raise EncryptionError(
            f"iteration={message.iteration}: {receiver} is at iteration {iteration}"
        )
