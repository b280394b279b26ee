"""The command line: run an experiment, redraw its report, list what there is.

A user's mistake ends with one line on stderr and exit status 2, never a traceback.
What a command needs is imported when it runs.
"""

import argparse
import ast
import contextlib
import difflib
import importlib.metadata
import os
import shlex
import sys
import time
import traceback
import types
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

_DESCRIPTION = """\
How much do labels leak in vertical federated learning, and which defense helps?

  vfljax run CONFIG [options]   run an experiment, or go on with one
  vfljax report RUN_DIR         redraw the report of a run folder
  vfljax list                   attacks, defenses, networks, data sets, configs

VFLJAX_DATA names a folder with data sets; VFLJAX_TRACEBACK=1 shows where an error
comes from.
"""
_SECONDS_OF_SILENCE = 30  # of a run whose output nobody watches, such as a log file
_FAILURES = ("RoleFailed", "EncryptionError", "ImportError", "ModuleNotFoundError")
"""Errors that end an encrypted run in one line, by name so that none is imported."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    commands = {"run": _run, "report": _report, "list": _list}
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_DESCRIPTION, end="")
        return 0 if arguments else 2
    warnings.showwarning = _show_warning
    try:
        if arguments[0] == "--version":
            print(importlib.metadata.version("vfljax"))
        elif arguments[0] in commands:
            commands[arguments[0]](arguments[1:])
        else:
            raise ValueError(_unknown("command", arguments[0], commands))
    except BrokenPipeError:  # as in `vfljax list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, OSError) as error:  # a user's mistake
        return _said(error, 2)
    except (RuntimeError, ImportError) as error:  # a role that failed, a library absent
        if type(error).__name__ not in _FAILURES:
            raise
        return _said(error, 1)
    except KeyboardInterrupt:
        words = "interrupted; what is finished is kept, the same command goes on"
        print(f"\nvfljax: {words}", file=sys.stderr)
        return 130
    return 0


def _said(error: Exception, status: int) -> int:
    """Says an error in one line, or shows where it comes from if asked to."""
    if os.environ.get("VFLJAX_TRACEBACK"):
        raise error
    print(f"vfljax: {' '.join(str(error).split())}", file=sys.stderr)
    return status


def _run(arguments):
    parser = _Parser(
        prog="vfljax run CONFIG",
        description="Runs an experiment; CONFIG is a name from `vfljax list` or a "
        "path to a Python file that holds `experiment = Experiment(...)` or "
        "`make(scale)`. Any field can be set, such as --num-trials 3 or "
        "--training.steps 100; `vfljax run CONFIG --help` shows them all.",
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="folder with the original files of data sets (default: $VFLJAX_DATA)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="run folder to write; an existing one is continued (default: "
        "runs/NAME-DIGEST)",
    )
    parser.add_argument(
        "--scale",
        choices=("full", "small"),
        help="scale of the config: small has fewer repetitions and steps, and gives "
        "the same curves in minutes",
    )
    wants_help = not {"-h", "--help"}.isdisjoint(arguments)
    if not arguments or arguments[0].startswith("-"):
        if wants_help:
            parser.print_help()
            return
        allowed = "first, before any option; `vfljax list` shows them"
        raise ValueError(f"run: CONFIG must come {allowed}")
    config, *given = (each for each in arguments if each not in ("-h", "--help"))
    options, overrides = parser.parse_known_args(given)
    path = _config_path(config)
    _use_all_cores()
    experiment = _load_config(config, path, options.scale)
    from vfljax import overrides as fields

    if wants_help:
        parser.print_help()
        print("\nfields of this experiment:")
        fields.override(experiment, ["--help"])
        return
    experiment = fields.override(experiment, overrides)
    strengths = [len(each.strengths) for each in experiment.defenses.values()]
    if experiment.num_trials * max(strengths) == 1:
        _use_cores(1)  # a device for one trial, which then has all cores
    command = shlex.join(["vfljax", "run", *arguments])
    _run_experiment(experiment, options.data_dir, options.out, command)


def _run_experiment(experiment, data_dir, out, command):
    """Runs what is missing under a progress bar, then writes and prints the report."""
    from tqdm import tqdm

    from vfljax import data, experiments
    from vfljax.experiments.folders import default_folder
    from vfljax.experiments.records import COMMAND

    dataset = experiment.data.dataset
    if isinstance(dataset, str):
        dataset = data.load(dataset, data_dir)
    folder = out or default_folder(experiment)
    is_finished, said = False, time.monotonic()
    with tqdm(unit="trial", desc=experiment.name, disable=None) as bar:
        for progress in experiments.run_sweep(experiment, dataset, folder):
            if bar.total is None:
                bar.reset(progress.total)
                (folder / COMMAND).write_text(f"{command}\n")
                is_finished = progress.done == progress.total
            cell = progress.cell
            words = f"{cell.defense}, {cell.num_classes} classes, B={cell.batch_size}"
            words = progress.activity or f"{cell.variant}, {words}".removeprefix(", ")
            bar.set_postfix_str(words, refresh=bool(progress.activity))
            bar.update(progress.done - bar.n)
            if bar.disable and time.monotonic() > said + _SECONDS_OF_SILENCE:
                said = time.monotonic()
                numbers = f"{progress.done} of {progress.total} trials"
                print(f"vfljax: {experiment.name}, {numbers}", file=sys.stderr)
    paths = _draw(folder)
    state = ": all trials were there already, nothing was computed"
    print(f"\nRun folder: {folder}{state if is_finished else ''}")
    for path in paths:
        print(f"  {path.relative_to(folder)}")


def _draw(folder):
    """Writes the report of a run folder and prints its summary; returns the files."""
    from rich.console import Console

    from vfljax import experiments, reports

    paths = reports.write_report(folder)
    reports.print_summary(experiments.read_run(folder), Console())
    return paths


def _report(arguments):
    words = "Redraws the report of a run folder; runs nothing."
    parser = _Parser(prog="vfljax report", description=words, allow_abbrev=False)
    words = "run folder to report on"
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help=words)
    paths = _draw(parser.parse_args(arguments).run_dir)
    print("", *paths, sep="\n")


def _list(arguments):
    words = "Shows attacks, defenses, networks, data sets, splits and configs."
    parser = _Parser(prog="vfljax list", description=words, allow_abbrev=False)
    words = "config whose own attacks and defenses are shown instead"
    parser.add_argument("config", nargs="?", metavar="CONFIG", help=words)
    config = parser.parse_args(arguments).config
    if config is not None:
        experiment = _load_config(config, _config_path(config), None)
        listed = {
            title: {
                label: f"{type(record).__name__}: {_first_line(type(record).__doc__)}"
                for label, record in getattr(experiment, title).items()
            }
            for title in ("attacks", "defenses")
        }
    else:
        from vfljax.listing import sections

        modules = {
            each.stem: ast.parse(each.read_text()) for each in _shipped_configs()
        }
        configs = {name: ast.get_docstring(tree) for name, tree in modules.items()}
        listed = sections() | {"configs": configs}
    for title, entries in listed.items():
        print(f"{title}:")
        width = max(map(len, entries), default=0)
        for name, text in entries.items():
            print(f"  {name:{width}}  {_first_line(text)}")
        print()


def _config_path(name: str) -> Path:
    """The file of a config, given by name or path."""
    if Path(name).suffix == ".py":
        if not Path(name).is_file():
            raise ValueError(f"config {name}: no such file")
        return Path(name)
    shipped = {path.stem: path for path in _shipped_configs()}
    if name not in shipped:
        raise ValueError(_unknown("config", name, shipped))
    return shipped[name]


def _load_config(name: str, path: Path, scale: str | None) -> Any:
    """The experiment that a config file holds."""
    sys.path.insert(0, str(path.parent))  # a config may import its neighbors
    try:
        content = vars(_load_module(path))
        experiment = content.get("experiment")
        if "make" in content:
            experiment = content["make"](scale or "full")
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [
            "?",
            *(frame.lineno for frame in frames if frame.filename == str(path)),
        ]
        where = getattr(error, "lineno", None) or lines[-1]
        words = f"line {where}: {type(error).__name__}: {error}"
        raise ValueError(f"config {name}, {words}") from None
    finally:
        sys.path.remove(str(path.parent))
    if scale is not None and "make" not in content:
        raise ValueError(f"--scale {scale}: {name} has no `make(scale)`")
    from vfljax.experiments import Experiment

    if not isinstance(experiment, Experiment):
        allowed = "`experiment = Experiment(...)` or `make(scale) -> Experiment`"
        raise ValueError(f"config {name}: must hold {allowed}")
    return experiment


def _load_module(path: Path) -> types.ModuleType:
    """Runs a config as a module, so that the source of its classes is found."""
    module = types.ModuleType(f"vfljax_config_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    exec(compile(path.read_text(), str(path), "exec"), vars(module))
    return module


def _shipped_configs() -> list[Path]:
    """The configs that come with the library, from a wheel or a checkout."""
    package = Path(__file__).parent
    folders = (package / "configs", package.parent / "configs")
    found = (folder.glob("[!_]*.py") for folder in folders if folder.is_dir())
    return sorted(next(found, ()))


def _use_all_cores():
    """Spreads trials over the processor's cores, one JAX device each."""
    has_affinity = hasattr(os, "sched_getaffinity")
    _use_cores(len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1)


def _use_cores(number):
    """Makes so many JAX devices of the processor."""
    import jax

    with contextlib.suppress(RuntimeError):  # too late if JAX has been used already
        jax.config.update("jax_num_cpu_devices", number)


def _show_warning(message, *_):
    """Says a warning in one line."""
    print(f"vfljax: warning: {' '.join(str(message).split())}", file=sys.stderr)


def _unknown(kind, name, known):
    nearest = difflib.get_close_matches(name, list(known), n=1, cutoff=0.4)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    return f"unknown {kind} {name!r}{hint} (known: {', '.join(known)})"


def _first_line(text):
    return next(iter((text or "").strip().splitlines()), "")


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message) -> NoReturn:
        raise ValueError(message)


if __name__ == "__main__":
    sys.exit(main())
