"""One way of timing for all benchmarks, and one form of row for what they measure.

Compiling is timed apart from running. A program is called several times after a warm
call, each time until its result is there; the minimum says what the machine can do, the
median what to expect while others use it too.
"""

import importlib.metadata
import json
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax

_PACKAGES = ("vfljax", "jax", "jaxlib", "numpy", "torch")


class Program(NamedTuple):
    """A compiled function and what it took to get it.

    Attributes:
        call: The program; takes arguments of the shapes it was compiled for.
        compile_seconds: Tracing, lowering and compiling.
        memory_bytes: Its temporary and output arrays, arguments not counted; `None`
            where the backend doesn't say.
    """

    call: Callable[..., Any]
    compile_seconds: float
    memory_bytes: int | None


class Timing(NamedTuple):
    """Seconds of each repeat."""

    seconds: tuple[float, ...] = ()

    @property
    def minimum(self) -> float:
        """Of the least disturbed repeat."""
        return min(self.seconds, default=math.nan)

    @property
    def median(self) -> float:
        """Of a usual repeat."""
        return statistics.median(self.seconds) if self.seconds else math.nan

    def joined(self, other: "Timing") -> "Timing":
        """The repeats of both."""
        return Timing(self.seconds + other.seconds)

    def divided(self, parts: float) -> "Timing":
        """Per step or per trial, where a repeat did `parts` of them."""
        return Timing(tuple(seconds / parts for seconds in self.seconds))


def compile_program(function: Callable[..., Any], *arguments: Any) -> Program:
    """Compiles `function` for the shapes of `arguments`, and for nothing else.

    Args:
        function: Pure, not jitted.
        arguments: Only their shapes, types and places matter.
    """
    start = time.perf_counter()
    compiled = jax.jit(function).lower(*arguments).compile()
    seconds = time.perf_counter() - start
    analysis = compiled.memory_analysis()
    if analysis is None:
        memory_bytes = None
    else:
        memory_bytes = analysis.temp_size_in_bytes + analysis.output_size_in_bytes
    return Program(compiled, seconds, memory_bytes)


def time_calls(
    call: Callable[..., Any],
    *arguments: Any,
    num_repeats: int = 5,
    num_warm_ups: int = 1,
) -> tuple[Timing, Any]:
    """Times calls one by one, each until its result is ready.

    Args:
        call: Anything; results that are no JAX arrays are ready on return.
        arguments: Of every call.
        num_repeats: Timed calls, >= 1.
        num_warm_ups: Calls before them that are not timed, >= 0.

    Returns:
        The timing, and the result of the last call.

    Raises:
        ValueError: If a number is outside its range.
    """
    if num_repeats < 1:
        raise ValueError(f"num_repeats={num_repeats}: must be >= 1")
    if num_warm_ups < 0:
        raise ValueError(f"num_warm_ups={num_warm_ups}: must be >= 0")
    for _ in range(num_warm_ups):
        jax.block_until_ready(call(*arguments))
    seconds, result = [], None
    for _ in range(num_repeats):
        start = time.perf_counter()
        result = jax.block_until_ready(call(*arguments))
        seconds.append(time.perf_counter() - start)
    return Timing(tuple(seconds)), result


def make_row(
    benchmark: str,
    method: str,
    timing: Timing,
    program: Program | None = None,
    **details: Any,
) -> dict[str, Any]:
    """One measurement as a flat row: what, on what, how large, how long.

    Args:
        benchmark: Name of the script.
        method: What was timed.
        timing: Of one call, one step or one trial; a detail should say which.
        program: The compiled program, if it was one.
        details: Sizes and anything else that a reader needs.
    """
    return {
        "benchmark": benchmark,
        "method": method,
        **details,
        "seconds_min": timing.minimum,
        "seconds_median": timing.median,
        "num_repeats": len(timing.seconds),
        "compile_seconds": None if program is None else program.compile_seconds,
        "memory_bytes": None if program is None else program.memory_bytes,
        **machine(),
    }


def machine() -> dict[str, Any]:
    """Device, processor, threads and versions; `None` for what isn't installed."""
    device = jax.devices()[0]
    return {
        "platform": device.platform,
        "device_kind": device.device_kind,
        "num_devices": jax.device_count(),
        "processor": _processor(),
        "cpu_threads": num_cpu_threads(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _PACKAGES},
    }


def num_cpu_threads() -> int:
    """Hardware threads that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def append_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Appends rows as JSON Lines; numbers that aren't finite become null."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lines:
        for row in rows:
            plain = {name: _finite(value) for name, value in row.items()}
            lines.write(json.dumps(plain, allow_nan=False) + "\n")


def _finite(value):
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _processor():
    """The processor's name as the system gives it."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
