"""`segeval merge`."""

from __future__ import annotations

import argparse
import shlex
from typing import Any

from segeval.scoring.shards import merge_runs
from segeval_cli.commands.score import FORMS, rendered
from segeval_cli.options.intervals import add_interval_options, check_early, slices_of, with_intervals
from segeval_cli.options.progress import print_cautions
from segeval_cli.options.usage import at_least


def add_parser(commands: Any) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "merge",
        help="add the runs of shards, and score the whole",
        description="Add the runs that segeval score --shard I/N wrote, in any order, and score the whole: the same "
        "bits as one run gives. Runs of other images under the same rule add too. Overlaps and gaps are refused.",
    )
    parser.set_defaults(parser=parser)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folders made by segeval score --out")
    add_interval_options(parser)
    parser.add_argument("--out", metavar="DIR", help="save the whole run")
    parser.add_argument("--format", choices=FORMS, default="text", help="what is printed (default: text)")
    parser.add_argument("--quiet", action="store_true", help="no notes on stderr")
    parser.add_argument("--workers", type=at_least(1), metavar="N", help="threads that resample (default: one a core)")


def run(args: argparse.Namespace) -> int:
    """Add, print, save."""
    check_early(args)
    result = merge_runs(args.runs)
    result = result.with_(provenance={**result.provenance, "command": "segeval " + shlex.join(args.argv)})
    result = with_intervals(result, args)
    print_cautions(result.warnings, args.quiet)
    if args.out:
        result.save(args.out)
    print(rendered(result, slices_of(result, args), args.format))
    return 0
