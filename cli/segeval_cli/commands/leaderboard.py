"""`segeval leaderboard`."""

from __future__ import annotations

import argparse
from typing import Any

from segeval.comparison.runs import find_runs, load_found
from segeval.storage.files import write_atomic
from segeval_cli.commands.compare import FORMS, form_of
from segeval_cli.options.intervals import add_resampling_options, check_settings, groups_of, interval_of
from segeval_cli.options.progress import print_cautions
from segeval_cli.options.usage import at_least, checked, require_one_of


def add_parser(commands: Any) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "leaderboard",
        help="rank the runs in folders",
        description="Rank all runs found in folders, a table for each task. Systems that share a letter are not "
        "significantly different. Nothing is scored again.",
    )
    parser.set_defaults(parser=parser)
    parser.set_defaults(parser=parser)
    parser.add_argument("places", nargs="+", metavar="RUN|DIR", help="runs, or folders that hold runs")
    parser.add_argument("--train", metavar="SUITE", help="the same as segeval suite SUITE --out DIR")
    parser.add_argument("--sort", metavar="NAME", help="the value that ranks (default: mIoU, PQ or AP)")
    parser.add_argument("--columns", nargs="+", metavar="NAME", help="the values shown")
    add_resampling_options(parser.add_argument_group("intervals"))
    out = parser.add_argument_group("output")
    out.add_argument(
        "--out", type=checked(form_of), metavar="FILE", help="also write a file: .html, .md, .csv, .tex, .json or .txt"
    )
    out.add_argument("--format", choices=FORMS, default="text", help="what is printed (default: text)")
    out.add_argument("--quiet", action="store_true", help="no notes on stderr")
    out.add_argument("--workers", type=at_least(1), metavar="N", help="threads (default: one a core)")


def run(args: argparse.Namespace) -> int:
    """Find, rank, print."""
    if args.train is not None:
        return _suite(args)
    from segeval.comparison.ranking import rank_runs
    from segeval.comparison.ranking_tables import render

    form = form_of(args.out)
    runs, left_out = load_found(find_runs(args.places))
    check_settings(args, len(runs))
    print_cautions(tuple(left_out), args.quiet)
    known = [name for run in runs.values() for name in run.values]
    require_one_of(args, "--sort", [args.sort] if args.sort else [], known)
    require_one_of(args, "--columns", args.columns or [], known)
    boards = rank_runs(
        runs,
        sort=args.sort,
        columns=args.columns,
        interval=interval_of(args, len(runs)),
        groups=groups_of(args, runs.values()),
        workers=args.workers,
    )
    for board in boards:
        print_cautions(board.warnings, args.quiet)
    if args.out:
        write_atomic(args.out, render(boards, form) + "\n")
    print(render(boards, args.format))
    return 0


def _suite(args: argparse.Namespace) -> int:
    """Train, predict and score the members of a suite first."""
    from segeval_cli import main

    if len(args.places) != 1:
        args.parser.error("--train takes one folder")
    quiet = ["--quiet"] if args.quiet else []
    return main(["suite", args.train, "--out", args.places[0], *quiet])
