"""`segeval compare`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from segeval.errors import SegevalError
from segeval.files import write_atomic
from segeval.runs import load_runs
from segeval_cli.intervals import add_resampling_options, groups_of, interval_of
from segeval_cli.progress import print_cautions

FORMS = ("text", "json", "markdown", "csv", "latex", "html")

# The form that a file's name asks for; a page with pictures where it ends in .html.
BY_SUFFIX = {".json": "json", ".md": "markdown", ".csv": "csv", ".tex": "latex", ".txt": "text"}


def add_parser(commands: Any) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "compare",
        help="compare saved runs on the same truth",
        description="Compare runs that score --out saved: which differences are real, and where they come from. "
        "Nothing is scored again.",
    )
    parser.set_defaults(parser=parser)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folders that score --out wrote; two or more")
    parser.add_argument("--metric", metavar="NAME", help="the value that decides (default: mIoU, PQ or AP)")
    parser.add_argument(
        "--allow", action="append", default=[], metavar="KEY", help="go on although the runs differ in this key"
    )
    add_resampling_options(parser.add_argument_group("intervals"))
    out = parser.add_argument_group("output")
    out.add_argument("--out", metavar="FILE", help="also write a file: .html, .md, .csv, .tex, .json or .txt")
    out.add_argument("--format", choices=FORMS, default="text", help="what is printed (default: text)")
    out.add_argument("--quiet", action="store_true", help="no notes on stderr")
    out.add_argument("--workers", type=int, metavar="N", help="threads (default: one a core)")


def run(args: argparse.Namespace) -> int:
    """Load, compare, print."""
    if len(args.runs) < 2:
        args.parser.error("one run is no comparison: give two or more")
    from segeval.comparison import compare
    from segeval.comparison_tables import render

    form = form_of(args.out)
    found = compare(
        load_runs(args.runs),
        interval=interval_of(args, len(args.runs)),
        allow=args.allow,
        metric=args.metric,
        groups=groups_of(args),
        workers=args.workers,
    )
    print_cautions(found.warnings, args.quiet)
    if args.out:
        write_atomic(args.out, render(found, form) + "\n")
    print(render(found, args.format))
    return 0


def form_of(path: str | None) -> str:
    """The form that a file's name asks for.

    Raises
    ------
    SegevalError
        If it asks for none that there is.
    """
    if path is None:
        return "text"
    suffix = Path(path).suffix.lower()
    if suffix in (".html", ".htm"):
        return "html"
    if suffix not in BY_SUFFIX:
        raise SegevalError(f"{suffix or 'no ending'} is no known form", file=path, remedy="end it in .html or .md")
    return BY_SUFFIX[suffix]


__all__ = ["add_parser", "form_of", "run"]
