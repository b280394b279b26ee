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
from typing import Any

import numpy as np
from jaxtyping import Int

from vfljax.protocol.encrypted.agreement import Agreement
from vfljax.protocol.encrypted.roles import Role

_KEPT = 2  # a role may be one iteration ahead of the others when a run is killed


def save_state(folder: Path, role: Role) -> None:
    """Writes a role's state after its last completed iteration, whole or not at all."""
    state = role.state()
    if not state:
        return
    own = folder / role.name
    own.mkdir(parents=True, exist_ok=True)
    _write(own / f"{role.completed}.npz", state)
    (own / f"{role.completed - _KEPT}.npz").unlink(missing_ok=True)


def restore_state(folder: Path, role: Role, completed: int) -> None:
    """Brings a new role to where it was after iteration `completed`."""
    path = folder / role.name / f"{completed}.npz"
    role.restore(path.read_bytes() if path.exists() else b"", completed)


def begin(folder: Path, agreement: Agreement, batches: Int[np.ndarray, "_ _"]) -> None:
    """Makes the folder of a new run.

    Raises:
        ValueError: If there is a run in it already.
    """
    if (folder / "agreement.json").exists():
        raise ValueError(
            f"folder={folder}: has a run in it; allowed is a new folder, or resume=True"
        )
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "agreement.json", _public(agreement, batches))


def completed_before(
    folder: Path, agreement: Agreement, batches: Int[np.ndarray, "_ _"]
) -> int:
    """The last iteration that all roles completed; -1 if there was none.

    Raises:
        ValueError: If the folder has no run, or one of other settings or batches.
    """
    path = folder / "agreement.json"
    if not path.exists():
        raise ValueError(f"folder={folder}: has no run in it, resume=True needs one")
    if path.read_bytes() != _public(agreement, batches):
        raise ValueError(
            f"folder={folder}: its run has another agreement or other batches; it can "
            "be resumed with those it was begun with"
        )
    progress = folder / "progress.json"
    return json.loads(progress.read_text())["completed"] if progress.exists() else -1


def save_progress(folder: Path, completed: int) -> None:
    """Notes that all roles have completed an iteration."""
    _write(folder / "progress.json", json.dumps({"completed": completed}).encode())


def _public(agreement, batches) -> bytes:
    settings: dict[str, Any] = dataclasses.asdict(agreement)
    settings["batches_sha256"] = hashlib.sha256(batches.tobytes()).hexdigest()
    return json.dumps(settings, indent=2).encode()


def _write(path, content):
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
