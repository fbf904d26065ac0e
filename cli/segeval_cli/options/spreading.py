"""The options of `segeval score` that say what counts, and in how many pieces."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from segeval.evidence.sums import remove_parts
from segeval.scoring.shards import Shard
from segeval_cli.options.usage import at_least, checked

PARTS = "parts"


def add_spreading_options(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    group = parser.add_argument_group("scale")
    group.add_argument(
        "--workers", type=at_least(1), metavar="N", help="threads, or processes of --engine dask (default: cores)"
    )
    group.add_argument(
        "--engine",
        type=_engine,
        metavar="ENGINE",
        help="dask (processes of this machine) or dask://host:port (default: threads)",
    )
    group.add_argument(
        "--shard",
        type=checked(Shard.parse),
        metavar="I/N",
        help="count only this piece, from 1/N to N/N, into --out; segeval merge adds them",
    )
    group.add_argument("--collapse", action="store_true", help="fold the rows of all images: flat memory, no intervals")
    group.add_argument("--resume", action="store_true", help="go on with what a killed run left in --out")


def _engine(text: str) -> str:
    if text != "dask" and not text.startswith("dask://"):
        raise argparse.ArgumentTypeError(f"{text!r} is no engine; give dask or dask://host:port")
    return text


def check_spreading(args: argparse.Namespace) -> None:
    """Refuse, as usage, what can't go together."""
    if (args.shard or args.resume) and not args.out:
        args.parser.error(f"{'--shard' if args.shard else '--resume'} needs --out DIR")
    if args.engine and args.engine != "dask" and args.workers is not None:
        args.parser.error("a running cluster has its own workers: leave out --workers")
    per_image = {
        "--per-image": args.per_image,
        "--intervals": args.intervals,
        "--slices": args.slices,
        "--fail-if-worse": args.fail_if_worse,
    }
    whole = {**per_image, "--fail-under": args.fail_under}
    folded = {**per_image, "--average image": args.average == "image"}
    for flag, refused in (("shard", whole), ("collapse", folded)):
        wanted = [name for name, value in refused.items() if value]
        if getattr(args, flag) and wanted:
            why = "a whole run (give it to segeval merge)" if flag == "shard" else "the rows of each image"
            args.parser.error(f"{wanted[0]} needs {why}, and --{flag} leaves none")


def spreading(args: argparse.Namespace) -> dict[str, Any]:
    """What `segeval.score` takes of them."""
    parts = Path(args.out) / PARTS if args.out else None
    names = ("workers", "engine", "shard", "collapse", "resume")
    return {**{name: getattr(args, name) for name in names}, "parts": parts}


def clear_parts(args: argparse.Namespace) -> None:
    """Remove what a killed run would have gone on from: this one is whole and saved."""
    remove_parts(Path(args.out) / PARTS)
