"""The folder of an encrypted run: what is in it, and whose it is.

    config.json          the resolved experiment
    environment.json     versions, device, data, commit
    messages.jsonl       every message, as the protocol logs it
    encrypted.json       what came out, once all iterations are done
    who_learned_what.md  the same in words

Beside these are the protocol's own checkpoints.
"""

import contextlib
import fcntl
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vfljax.experiments import records
from vfljax.experiments.encrypted_spec import EncryptedRun
from vfljax.experiments.records import RunFolderError

_RESULT = "encrypted.json"
_NOT_RESULTS = ("title", "processes")


def default_encrypted_folder(experiment: EncryptedRun) -> Path:
    """`runs/NAME-DIGEST`, the same for every run with the same results."""
    text = json.dumps(_identity(records.plain_data(experiment)), sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return Path("runs") / f"{experiment.name}-{digest}"


@contextlib.contextmanager
def open_encrypted(
    folder: Path, experiment: EncryptedRun, origin: str
) -> Iterator[None]:
    """Opens a new folder or one to be continued, for one process at a time.

    Args:
        folder: Made if absent.
        experiment: Must have the same results as the one the folder was made with.
        origin: Where the data came from.

    Raises:
        RunFolderError: If the folder belongs to another experiment, is not writable,
            or is in use by another process.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise RunFolderError(
            f"--out {folder}: not writable ({error.strerror})"
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RunFolderError(f"--out {folder}: another run is writing it") from None
        config, environment = (
            records.plain_data(experiment),
            records.environment_of(origin),
        )
        if (folder / "config.json").is_file():
            old = records.read_json(folder / "config.json")
            records.check_same(folder, _identity(old), _identity(config))
            environment = records.continued_environment(
                folder / "environment.json", environment
            )
        records.write_json(folder / "config.json", config)
        records.write_json(folder / "environment.json", environment)
        yield


def is_encrypted(folder: Path) -> bool:
    """Whether the folder is one of an encrypted run, finished or not."""
    path = folder / "config.json"
    if not path.is_file():
        return False
    return records.read_json(path).get("kind") == EncryptedRun.__name__


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
    return records.read_json(folder / _RESULT)


def is_finished(folder: Path) -> bool:
    """Whether there is a result."""
    return (folder / _RESULT).is_file()


def write_result(folder: Path, result: Mapping[str, Any]) -> None:
    """Writes the result, whole or not at all."""
    records.write_json(folder / _RESULT, result)


def read_messages(folder: Path) -> list[dict[str, Any]]:
    """The log; messages that passed twice, around an interruption, only once."""
    lines = (folder / "messages.jsonl").read_text().splitlines()
    names = ("iteration", "sender", "receiver", "kind")
    passed = map(json.loads, lines)
    return list({tuple(each[name] for name in names): each for each in passed}.values())


def _identity(config):
    return {name: part for name, part in config.items() if name not in _NOT_RESULTS}
