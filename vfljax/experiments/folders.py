"""What every run folder has: a config, an environment, one process that writes.

    config.json        the resolved experiment
    environment.json   versions, device, data, commit

JSON has no NaN or infinity: numbers that aren't finite are written as text.
"""

import contextlib
import dataclasses
import hashlib
import importlib.metadata
import json
import math
import platform
import subprocess
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import filelock
import jax
import numpy as np
from jax.tree_util import keystr

from vfljax.data import Dataset, digest
from vfljax.experiments.source import function_digest, source_digest

_NOT_RESULTS = ("title", "num_trials", "execution")
_PACKAGES = ("vfljax", "jax", "jaxlib", "flax", "optax", "numpy")


class RunFolderError(ValueError):
    """A run folder that can't be used as asked; the message says what to do."""


def default_folder(experiment: Any) -> Path:
    """`runs/NAME-DIGEST`, the same for every `Experiment` with the same results."""
    text = json.dumps(_identity(plain_data(experiment)), sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return Path("runs") / f"{experiment.name}-{digest}"


@contextlib.contextmanager
def lock(folder: Path, name: str) -> Iterator[BinaryIO]:
    """Opens a file of a folder to read and append, for one process at a time.

    Both are made if absent.

    Raises:
        RunFolderError: If it is not writable, or in use by another process.
    """
    guard = filelock.FileLock(folder / ".lock", blocking=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        guard.acquire()
        file = (folder / name).open("a+b")
    except filelock.Timeout:
        raise RunFolderError(f"--out {folder}: another run is writing it") from None
    except OSError as error:
        reason = error.strerror
        raise RunFolderError(f"--out {folder}: not writable ({reason})") from None
    with file, guard:
        guard.release()  # `with` has acquired it once more
        yield file


def sign(folder: Path, experiment: Any, origin: str, *, has_results: bool) -> None:
    """Writes whose folder it is, or refuses one with another experiment's results.

    This process must have locked it. `origin` says where the data came from.

    Raises:
        RunFolderError: If what is there is of another experiment, or damaged.
    """
    config, environment = plain_data(experiment), _environment(origin)
    if has_results:
        _check_same(folder, read_json(folder / "config.json"), config)
        environment = _continued(folder / "environment.json", environment)
    write_json(folder / "config.json", config)
    write_json(folder / "environment.json", environment)


def _continued(path, environment):
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
            stacklevel=5,
        )
    return first


def _check_same(folder, old, new):
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
    if kept.get("encryption"):
        kept["encryption"] = {**kept["encryption"], "processes": None}
    return json.loads(json.dumps(kept))


def _flatten(config):
    """Values by their dotted names."""

    def is_value(part):
        return not isinstance(part, dict)

    places, _ = jax.tree.flatten_with_path(config, is_leaf=is_value)
    return {keystr(path, simple=True, separator="."): part for path, part in places}


def plain_data(value: Any) -> Any:
    """Any record as JSON data, with its kind; data sets and arrays by their digest.

    Of a record or a function of a user's own there is the digest of its source too.
    """
    kind = {"kind": type(value).__name__}
    if isinstance(value, Dataset):
        return kind | {"name": value.name, "sha256": digest(value)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        source = source_digest(type(value))
        kind |= {"source_sha256": source} if source else {}
        names = [field.name for field in dataclasses.fields(value)]
        return kind | plain_data({name: getattr(value, name) for name in names})
    if hasattr(value, "_asdict"):
        return kind | plain_data(value._asdict())  # pyright: ignore
    if isinstance(value, Mapping):
        return {str(name): plain_data(part) for name, part in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain_data(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if hasattr(value, "dtype"):
        return hashlib.sha256(np.asarray(value).tobytes()).hexdigest()
    return _function_name(value) if callable(value) else value


def _function_name(part):
    """Where a function of a user's own is written, as far as it says so."""
    function = getattr(part, "func", part)
    module, source = getattr(function, "__module__", ""), function_digest(function)
    name = f"{module}.{getattr(function, '__qualname__', type(function).__name__)}"
    return f"{name} (source_sha256 {source})" if source else name


def _environment(origin):
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
    options = ("--always", "--dirty", "--abbrev=40", "--exclude=*")
    command = ["git", "-C", str(checkout), "describe", *options]
    try:
        said = subprocess.check_output(command, stderr=subprocess.DEVNULL, text=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return said.strip()


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
