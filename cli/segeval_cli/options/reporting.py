"""The options that ask for a report, and writing it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segeval.errors import SegevalError
from segeval.results.result import Result

if TYPE_CHECKING:
    from segeval.comparison.comparing import Comparison
    from segeval.comparison.slices import Slices


def add_report_options(parser: Any) -> None:
    """Declare the options of `score`."""
    parser.add_argument("--report", metavar="FILE.html", help="write a page with tables, charts and pictures")
    add_images_option(parser)


def add_images_option(parser: Any) -> None:
    """Declare where a report finds photographs; `compare` has this too."""
    parser.add_argument("--images", metavar="DIR", help="photographs to show below the labels in the report")


def ready(args: argparse.Namespace, path: str | None) -> None:
    """Refuse before the work what would fail after it; nothing if no report is asked for.

    Raises
    ------
    SegevalError
        If jinja2 is not installed, or --images is no folder.
    """
    if path is None:
        if args.images:
            args.parser.error("--images has no effect without a report: give its file as well")
        return
    if Path(path).suffix.lower() not in (".html", ".htm"):
        args.parser.error(f"{path}: a report is a page; end its name in .html")
    from segeval.report.document import require_jinja

    require_jinja()
    if args.images and not Path(args.images).is_dir():
        raise SegevalError("no such folder", file=args.images, remedy="give --images the folder of photographs")


def write(
    results: Sequence[Result],
    comparison: Comparison | None,
    args: argparse.Namespace,
    *,
    path: str | None = None,
    slices: Sequence[Slices] | None = None,
) -> None:
    """Write the report that `args.report`, or `path`, asks for; nothing if neither does.

    Raises
    ------
    SegevalError
        As `segeval.report.write_report`.
    """
    target = path or getattr(args, "report", None)
    if target is None:
        return
    from segeval.report import write_report

    write_report(list(results), target, comparison=comparison, slices=slices, images=args.images)


__all__ = ["add_images_option", "add_report_options", "ready", "write"]
