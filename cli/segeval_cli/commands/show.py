"""`segeval show`."""

from __future__ import annotations

import argparse
from typing import Any

from segeval.comparison.runs import load_run
from segeval_cli.commands.score import FORMS
from segeval_cli.options.progress import print_cautions


def add_parser(commands: Any) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "show", help="print a saved run again", description="Print a run that score --out saved, in any form."
    )
    parser.add_argument("run", metavar="RUN", help="the folder that score --out wrote")
    parser.add_argument("--format", choices=FORMS, default="text", help="what is printed (default: text)")
    parser.add_argument("--quiet", action="store_true", help="no notes on stderr")


def run(args: argparse.Namespace) -> int:
    """Load and print."""
    result = load_run(args.run, shards=True)
    print_cautions(result.warnings, args.quiet)
    print(result.render(args.format))
    return 0
