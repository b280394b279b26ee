"""The run folder: what an experiment leaves behind, and how it goes on after a kill.

    config.json        the resolved experiment
    environment.json   versions, device, data, commit
    trials.jsonl       one flat row per trial and attack, appended chunk by chunk

JSON has no NaN: numbers that aren't finite are written as null.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import importlib.metadata
import json
import math
import os
import platform
import subprocess
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from vfljax.experiments.schema import Experiment

ROW_IDENTITY = (
    "num_classes",
    "batch_size",
    "defense",
    "defense_strength",
    "trial",
    "attack",
    "train_step",
    "variant",
)
"""What tells one row of a run from another."""

_NOT_RESULTS = ("title", "num_trials", "execution")
_PACKAGES = ("vfljax", "jax", "jaxlib", "flax", "optax", "numpy")


class RunFolderError(ValueError):
    """A run folder that can't be used as asked; the message says what to do."""


class Run(NamedTuple):
    """A run folder's content."""

    config: dict[str, Any]
    environment: dict[str, Any]
    rows: list[dict[str, Any]]


def config_dict(experiment: Experiment) -> dict[str, Any]:
    """The resolved experiment as plain JSON data, every spec with its kind."""
    return plain_data(experiment)


def default_folder(experiment: Experiment) -> Path:
    """`runs/NAME-DIGEST`, the same for every run with the same results."""
    text = json.dumps(_identity(config_dict(experiment)), sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return Path("runs") / f"{experiment.name}-{digest}"


@contextlib.contextmanager
def open_run(
    folder: Path, experiment: Experiment, origin: str
) -> Iterator[list[dict[str, Any]]]:
    """Opens a new run folder or one to be continued, for one process at a time.

    A last line that a kill cut off is removed, with a warning.

    Args:
        folder: Made if absent.
        experiment: Must have the same results as the one the folder was made with;
            more trials, another title or chunk size are fine.
        origin: Where the data came from, for `environment.json`.

    Yields:
        The rows that are already there.

    Raises:
        RunFolderError: If the folder belongs to another experiment, is not writable,
            or is in use by another process.
    """
    config = config_dict(experiment)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        rows_file = (folder / "trials.jsonl").open("a+b")
    except OSError as error:
        raise RunFolderError(
            f"--out {folder}: not writable ({error.strerror})"
        ) from None
    with rows_file:
        try:
            fcntl.flock(rows_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RunFolderError(f"--out {folder}: another run is writing it") from None
        rows, num_bytes = _parse_rows(folder / "trials.jsonl")
        environment = environment_of(origin)
        if rows:
            if not (folder / "config.json").is_file():
                raise RunFolderError(f"--out {folder}: has trials but no config.json")
            check_same(folder, read_json(folder / "config.json"), config)
            environment = continued_environment(
                folder / "environment.json", environment
            )
        write_json(folder / "config.json", config)
        write_json(folder / "environment.json", environment)
        rows_file.truncate(num_bytes)
        yield rows


def append_rows(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Appends rows in one write that is on disk when the function returns."""
    text = "".join(json.dumps(_finite(row), allow_nan=False) + "\n" for row in rows)
    with (folder / "trials.jsonl").open("ab") as rows_file:
        rows_file.write(text.encode())
        rows_file.flush()
        os.fsync(rows_file.fileno())


def read_run(folder: Path) -> Run:
    """Reads a run folder, finished or not.

    Raises:
        RunFolderError: If it isn't one or is damaged.
    """
    for name in ("config.json", "trials.jsonl"):
        if not (folder / name).is_file():
            raise RunFolderError(f"{folder}: not a run folder, it has no {name}")
    environment = folder / "environment.json"
    return Run(
        config=read_json(folder / "config.json"),
        environment=read_json(environment) if environment.is_file() else {},
        rows=_parse_rows(folder / "trials.jsonl")[0],
    )


def continued_environment(path: Path, environment: dict[str, Any]) -> dict[str, Any]:
    """The first environment of a run, and the later ones that differ, in its list."""
    if not path.is_file():
        return environment
    first = read_json(path)
    later = first.setdefault("continued_in", [])
    known = {name: value for name, value in first.items() if name != "continued_in"}
    if environment not in (known, *later):
        later.append(environment)
        warnings.warn(
            f"{path}: the run goes on in another environment than it began in; both "
            "are recorded",
            stacklevel=4,
        )
    return first


def _parse_rows(path):
    """The rows, and how many bytes they take up to a cut-off last line."""
    content = path.read_bytes()
    complete = content[: content.rfind(b"\n") + 1]
    rows = []
    for number, line in enumerate(complete.splitlines(), start=1):
        try:
            row = {"variant": "", **json.loads(line)}
        except (TypeError, ValueError):
            row = None
        if not isinstance(row, dict) or not row.keys() >= set(ROW_IDENTITY):
            raise RunFolderError(f"{path}: line {number} is damaged")
        rows.append(row)
    if len(complete) < len(content):
        warnings.warn(
            f"{path}: the last line was cut off and is dropped; its trial is redone",
            stacklevel=3,
        )
    return rows, len(complete)


def check_same(folder: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Refuses to mix the results of two experiments in one folder."""
    old, new = _flatten(_identity(old)), _flatten(_identity(new))
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            raise RunFolderError(
                f"--out {folder}: belongs to a run with {name}={old.get(name)!r}, this "
                f"one has {new.get(name)!r}; choose another folder"
            )


def _identity(config):
    """The part of a config that determines the results, as JSON gives it back."""
    kept = {name: part for name, part in config.items() if name not in _NOT_RESULTS}
    return json.loads(json.dumps(kept))


def _flatten(value, prefix=""):
    if not isinstance(value, dict):
        return {prefix: value}
    flat = {}
    for name, part in value.items():
        flat.update(_flatten(part, f"{prefix}.{name}" if prefix else name))
    return flat


def plain_data(value: Any) -> Any:
    """Any spec as JSON data, with its kind."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {
            field.name: plain_data(getattr(value, field.name))
            for field in dataclasses.fields(value)
        }
        return {"kind": type(value).__name__, **fields}
    if isinstance(value, Mapping):
        return {str(name): plain_data(part) for name, part in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain_data(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _finite(row):
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }


def environment_of(origin: str) -> dict[str, Any]:
    """Versions, device, and where the data come from."""
    device = jax.devices()[0]
    return {
        "versions": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "backend": device.platform,
        "device": device.device_kind,
        "num_devices": jax.device_count(),
        "data": origin,
        "commit": _commit(),
    }


def _commit():
    """The library's own commit, where it runs from a checkout of itself."""
    checkout = Path(__file__).parents[2]
    if not (checkout / ".git").exists():
        return None
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty"]
    try:
        result = subprocess.run(
            [*command, "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return result.stdout.strip()


def read_json(path: Path) -> Any:
    """The content of a file of a run folder; an error where it is damaged."""
    try:
        content = json.loads(path.read_text())
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise RunFolderError(f"{path}: is damaged, must hold a JSON object")
    return content


def write_json(path: Path, value: Any) -> None:
    """Writes a file so that it is never seen half written."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(value, indent=2) + "\n")
    temporary.replace(path)
