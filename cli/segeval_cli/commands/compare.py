"""`segeval compare`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segeval.comparison.runs import load_runs, under_keys
from segeval.errors import SegevalError
from segeval.results.stored import plain
from segeval.statistics.attributes import read_attributes
from segeval.storage.files import write_atomic
from segeval_cli.options.intervals import (
    add_resampling_options,
    add_slices_option,
    check_settings,
    group_numbers,
    groups_of,
    interval_of,
)
from segeval_cli.options.progress import print_cautions
from segeval_cli.options.reporting import add_images_option, ready, write
from segeval_cli.options.usage import at_least, checked, require_one_of

if TYPE_CHECKING:
    from segeval.comparison.comparing import Comparison
    from segeval.comparison.slices import Slices

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
    add_slices_option(parser)
    out = parser.add_argument_group("output")
    out.add_argument(
        "--out",
        type=checked(form_of),
        metavar="FILE",
        help="also write a file: .html (a report), .md, .csv, .tex, .json or .txt",
    )
    add_images_option(out)
    out.add_argument("--format", choices=FORMS, default="text", help="what is printed (default: text)")
    out.add_argument("--quiet", action="store_true", help="no notes on stderr")
    out.add_argument("--workers", type=at_least(1), metavar="N", help="threads (default: one a core)")


def run(args: argparse.Namespace) -> int:
    """Load, compare, print."""
    if len(args.runs) < 2:
        args.parser.error("one run is no comparison: give two or more")
    from segeval.comparison.comparing import compare

    form = form_of(args.out)
    ready(args, args.out if form == "html" else None)
    check_settings(args, len(args.runs))
    attributes = read_attributes(args.slices) if args.slices else None
    runs = load_runs(args.runs)
    require_one_of(args, "--metric", [args.metric] if args.metric else [], [n for r in runs.values() for n in r.values])
    found = compare(
        runs,
        interval=interval_of(args, len(args.runs)),
        allow=args.allow,
        metric=args.metric,
        groups=groups_of(args, runs.values()),
        workers=args.workers,
    )
    slices = None if attributes is None else sliced(found, attributes, args)
    print_cautions(found.warnings, args.quiet)
    if form == "html" and args.out:
        write([s.result for s in found.systems], found, args, path=args.out, slices=slices)
    elif args.out:
        write_atomic(args.out, rendered(found, slices, form) + "\n")
    print(rendered(found, slices, args.format))
    return 0


def sliced(found: Comparison, attributes: Mapping[str, Mapping[str, str]], args: argparse.Namespace) -> list[Slices]:
    """The slices of every system, with intervals as the comparison has them."""
    from segeval.comparison.slices import slice_result

    return [
        slice_result(
            s.result,
            under_keys(attributes, [s.result]),
            interval=found.interval,
            groups=group_numbers(s.result, args),
            workers=args.workers,
        )
        for s in found.systems
    ]


def rendered(found: Comparison, slices: Sequence[Slices] | None, form: str) -> str:
    """The comparison and its slices; in JSON they are one object, and a table of CSV holds no slices."""
    from segeval.comparison import comparison_tables
    from segeval.comparison.slice_tables import compared, to_dict

    if slices is None or form == "csv":
        return comparison_tables.render(found, form)
    names = [s.name for s in found.systems]
    if form == "json":
        more = {"slices": {name: to_dict(one) for name, one in zip(names, slices, strict=True)}}
        whole = plain(comparison_tables.to_dict(found) | more)
        return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False)
    return comparison_tables.render(found, form) + "\n\n" + compared(slices, names, found.metric, form)


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
