"""What an encrypted run leaves in its folder, beside whose it is.

    messages.jsonl       every message, the network's too, as the protocol logs it
    encrypted.json       what came out, once all iterations are done
    who_learned_what.md  the same in words

Beside these are the protocol's own checkpoints.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vfljax.experiments.encrypted.spec import EncryptedRun
from vfljax.experiments.folders import RunFolderError, read_json, write_json

_RESULT = "encrypted.json"


def is_encrypted(folder: Path) -> bool:
    """Whether the folder is one of an encrypted run, finished or not."""
    path = folder / "config.json"
    if not path.is_file():
        return False
    return read_json(path).get("kind") == EncryptedRun.__name__


def read_encrypted(folder: Path) -> dict[str, Any]:
    """What came out of a finished run; see `run_encrypted`.

    Raises:
        RunFolderError: If the run isn't finished.
    """
    if not (folder / _RESULT).is_file():
        raise RunFolderError(
            f"{folder}: an encrypted run that isn't finished; the command that began "
            "it goes on with it"
        )
    return read_json(folder / _RESULT)


def is_finished(folder: Path) -> bool:
    """Whether there is a result."""
    return (folder / _RESULT).is_file()


def write_result(folder: Path, result: Mapping[str, Any]) -> None:
    """Writes the result, whole or not at all."""
    write_json(folder / _RESULT, result)


def read_messages(folder: Path) -> list[dict[str, Any]]:
    """The log; messages that passed twice, around an interruption, only once."""
    lines = (folder / "messages.jsonl").read_text().splitlines()
    names = ("iteration", "sender", "receiver", "kind")
    passed = map(json.loads, lines)
    return list({tuple(each[name] for name in names): each for each in passed}.values())
