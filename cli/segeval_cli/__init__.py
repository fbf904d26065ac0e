"""The `segeval` command: parses, calls the library, prints; computes nothing.

Only the module of the command that was asked for is imported, so help and usage errors cost no numerics.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import gc
import importlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from segeval.errors import SegevalError
from segeval.results.tables import printable
from segeval.version import __version__

# The help of each command, and its module below `segeval_cli.commands`.
COMMANDS: dict[str, tuple[str, str]] = {
    "score": ("score predictions against truth", "score"),
    "check": ("say what scoring would meet, without scores", "check"),
    "merge": ("add the runs of shards, and score the whole", "merge"),
    "compare": ("compare saved runs on the same truth", "compare"),
    "leaderboard": ("rank the runs in folders", "leaderboard"),
    "show": ("print a saved run again", "show"),
    "convert": ("convert predictions or truth to another form", "convert"),
    "losses": ("list the losses", "losses"),
    "demo": ("make synthetic scenes, score two imaginary models on all three tasks", "demo"),
    "train": ("train a baseline network", "baselines.train"),
    "predict": ("predict a folder of images with a trained network", "baselines.predict"),
    "export": ("write a split of a data set with objects as images and truth", "baselines.export"),
    "suite": ("train, predict and score several networks, and write their leaderboard", "baselines.suite"),
    "models": ("list the baseline networks", "baselines.models"),
    "bench": ("measure the baseline networks on this machine", "baselines.bench"),
}

FINE, WRONG_DATA, USAGE, GATE_FAILED = 0, 1, 2, 3


def parser_for(command: str | None, words: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The whole parser, with the options of one command filled in; a task among the words may bring its own."""
    parser = argparse.ArgumentParser(
        prog="segeval",
        description="The referee for image segmentation: official scores from folders of predictions.",
        epilog="segeval COMMAND --help shows a command's options.",
    )
    parser.add_argument("--version", action="version", version=f"segeval {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, (about, _) in COMMANDS.items():
        if name == command:
            module = _module_of(name)
            module.add_parser(commands)
            if hasattr(module, "add_task_options"):
                module.add_task_options(commands.choices[name], words)
        else:
            commands.add_parser(name, help=about, add_help=False)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code: 0 fine, 1 wrong data, 2 usage, 3 a gate failed."""
    words = list(sys.argv[1:] if argv is None else argv)
    command = next((w for w in words if not w.startswith("-")), None)
    parser = parser_for(command if command in COMMANDS else None, words)
    args = parser.parse_args(words)
    if args.command is None:
        parser.print_help()
        return USAGE
    args.argv = words
    _mute_decoders()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names may hold what a terminal's encoding lacks
            stream.reconfigure(errors="backslashreplace")
    try:
        with _collector_paused():
            code: int = _module_of(args.command).run(args)
        if sys.stdout is not None:  # as it is after `>&-`
            sys.stdout.flush()
        return code
    except SegevalError as error:
        print(f"segeval: {printable(str(error))}", file=sys.stderr)
        return WRONG_DATA
    except KeyboardInterrupt:
        print("segeval: interrupted; nothing half-written was left", file=sys.stderr)
        return 130
    except BrokenPipeError:
        _drop_output()  # its reader is gone (`| head`)
        return FINE
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            print(f"segeval: the disk is full ({error.strerror}); free some space", file=sys.stderr)
            try:
                if sys.stdout is not None:
                    sys.stdout.flush()
            except OSError:
                _drop_output()
            return WRONG_DATA
        if os.environ.get("SEGEVAL_DEBUG"):
            raise
        text = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        print(f"segeval: a defect in segeval ({text}); SEGEVAL_DEBUG=1 shows where", file=sys.stderr)
        return WRONG_DATA


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """Hold Python's cyclic collector off the command, and leave it as it was; a program that calls us keeps its own.

    One full pass over the objects that numba alone brings costs as much as scoring thirty 2-megapixel images.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _module_of(command: str) -> Any:
    return importlib.import_module(f"segeval_cli.commands.{COMMANDS[command][1]}")


def _drop_output() -> None:
    """Let what stdout still holds go nowhere; Python would complain once more while closing it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _mute_decoders() -> None:
    """What Pillow and tifffile would print about a damaged file; the error says it in our one line."""
    warnings.filterwarnings("ignore", module=r"PIL\.")
    for name in ("PIL", "tifffile"):
        logging.getLogger(name).addHandler(logging.NullHandler())


__all__ = ["COMMANDS", "main", "parser_for"]
