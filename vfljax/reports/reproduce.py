"""How a run was computed, and the command that computes it again."""

from typing import Any

from vfljax.experiments.records import Run


def how_computed(run: Run) -> list[tuple[str, str]]:
    """Name and value of what was recorded, as far as it was.

    Args:
        run: as read from its folder.
    """
    config, environment = run.config, run.environment
    name = config.get("name")
    versions = {"python": environment.get("python"), **environment.get("versions", {})}
    recorded = {
        "experiment": name,
        "command": f"vfljax run {name}" if name else None,
        "seed": config.get("seed"),
        "trials": _trials(run),
        "versions": ", ".join(
            f"{package} {version}" for package, version in versions.items() if version
        ),
        "device": _device(environment),
        "data": environment.get("data"),
        "commit": environment.get("commit"),
    }
    return [
        (what, str(value))
        for what, value in recorded.items()
        if value not in (None, "")
    ]


def _trials(run: Run) -> str:
    """How many rows, and how long they took as far as that was recorded."""
    seconds = sum(row.get("seconds") or 0.0 for row in run.rows)
    text = f"{len(run.rows)} rows, one per trial, setting and attack"
    return f"{text}; {seconds:.3g} s of attacks" if seconds else text


def _device(environment: dict[str, Any]) -> str | None:
    """What it ran on."""
    device = environment.get("device") or environment.get("devices")
    if isinstance(device, list | tuple):
        return ", ".join(map(str, device))
    number = environment.get("num_devices")
    return f"{device} ({number})" if device and number else device
