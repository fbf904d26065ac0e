"""`segeval check`."""

from __future__ import annotations

import argparse
from typing import Any

from segeval.checking.checking import CheckReport, check
from segeval.checking.finding import Finding
from segeval.errors import SegevalError
from segeval.readers.fetching import task_at
from segeval_cli.commands.score import add_inputs, add_task_options, chosen_options, reading_options
from segeval_cli.options.progress import progress_bar
from segeval_cli.options.usage import at_least


def add_parser(commands: Any) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "check",
        help="say what scoring would meet, without scores",
        description="Pair predictions with truth, read every file, and say what scoring would meet and why figures "
        "will be 0 or undefined. Takes score's options; exits 0 exactly when score would.",
    )
    parser.set_defaults(parser=parser)
    add_inputs(parser)
    out = parser.add_argument_group("output")
    out.add_argument("--format", choices=("text", "json"), default="text", help="what is printed (default: text)")
    out.add_argument("--quiet", action="store_true", help="no progress on stderr")
    out.add_argument("--workers", type=at_least(1), metavar="N", help="threads (default: one a core)")


def run(args: argparse.Namespace) -> int:
    """Check and print."""
    report = _report(args)
    print(report.render(args.format))
    return 0 if report.fine else 1


def _report(args: argparse.Namespace) -> CheckReport:
    task = args.task
    try:
        task = task or task_at(args.gt, args.gt_suffix or "")
        given = chosen_options(args, task)
    except SegevalError as error:
        return CheckReport(task, 0, (Finding("error", "input", str(error)),))
    with progress_bar(task, args.quiet, "checking") as progress:
        return check(
            args.pred, args.gt, task=task, workers=args.workers, progress=progress, **reading_options(args), **given
        )


__all__ = ["add_parser", "add_task_options", "run"]
