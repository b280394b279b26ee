"""A run's folder: each role's state, the message log, and how far the run has come.

`agreement.json`, `progress.json` and `messages.jsonl` belong to the network; each
party writes its own state into a folder of its own, hashes of its inputs included. The
secret key is in none of them.
After a resume the log has those of the setup and some of the interrupted iteration
twice: they did pass twice.
"""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import TextIO

import numpy as np
from jaxtyping import Int

from vfljax.encryption import Content
from vfljax.protocol.encrypted.agreement import Agreement
from vfljax.protocol.encrypted.roles import Role

_KEPT = 2  # a role may be one iteration ahead of the others when a run is killed


def prepare(
    folder: Path | None,
    agreement: Agreement,
    batches: Int[np.ndarray, "_ _"],
    resume: bool,
) -> int:
    """Makes the folder of a new run, or finds out where its run is to go on.

    Returns:
        The last iteration that all roles completed; -1 if there was none.

    Raises:
        ValueError: If a new run's folder has a run in it already, or the folder to go
            on in has none, or one of other settings or batches.
    """
    if folder is None:
        if resume:
            raise ValueError("resume=True: needs the folder of the run to go on with")
        return -1
    path, progress = folder / "agreement.json", folder / "progress.json"
    settings = dataclasses.asdict(agreement)
    settings["batches_sha256"] = hashlib.sha256(batches.tobytes()).hexdigest()
    content = json.dumps(settings, indent=2).encode()
    if not resume:
        if path.exists():
            allowed = "allowed is a new folder, or resume=True"
            raise ValueError(f"folder={folder}: has a run in it; {allowed}")
        folder.mkdir(parents=True, exist_ok=True)
        _write(path, content)
        return -1
    if not path.exists():
        raise ValueError(f"folder={folder}: has no run in it, resume=True needs one")
    if path.read_bytes() != content:
        raise ValueError(
            f"folder={folder}: its run has another agreement or other batches; it can "
            "be resumed with those it was begun with"
        )
    return json.loads(progress.read_text())["completed"] if progress.exists() else -1


def restore_state(folder: Path, role: Role, completed: int) -> None:
    """Brings a new role to where it was after iteration `completed`."""
    path = folder / role.name / f"{completed}.npz"
    role.restore(path.read_bytes() if path.exists() else b"", completed)


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


def save_progress(folder: Path, completed: int) -> None:
    """Notes that all roles have completed an iteration."""
    _write(folder / "progress.json", json.dumps({"completed": completed}).encode())


def open_log(folder: Path) -> TextIO:
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
