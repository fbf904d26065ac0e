"""`segeval convert`."""

from __future__ import annotations

import argparse
import math
from typing import Any

from segeval.conversion.converting import SHORT, convert
from segeval.conversion.merging import OVERLAPS, Merging
from segeval.conversion.targets import SHAPES
from segeval.errors import SegevalError
from segeval.readers.formats import format_of
from segeval_cli.options.progress import notice, print_cautions, progress_bar
from segeval_cli.options.usage import at_least, checked, class_list

FORMS = tuple(SHAPES)


def add_parser(commands: Any) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "convert",
        help="convert predictions or truth to another form",
        description="Convert label maps, instances and panoptic maps into one another, and into other forms of the "
        "same. SRC is recognised as score recognises it; semantic, panoptic and instance stand for labels, "
        "coco-panoptic and coco-instances.",
    )
    parser.set_defaults(parser=parser)
    parser.add_argument("src", metavar="SRC", help="a folder, a file or an address, in any form that score reads")
    parser.add_argument(
        "--to", required=True, choices=(*SHORT, *FORMS), metavar="FORM", help=", ".join((*SHORT, *FORMS))
    )
    parser.add_argument("--out", required=True, metavar="DST", help="a folder, or the JSON of a COCO form")
    parser.add_argument("--from", dest="form", type=checked(format_of), metavar="FORM", help="force the form of SRC")
    data = parser.add_argument_group("data")
    data.add_argument(
        "--classes", type=class_list, metavar="FILE|N", help="the classes of SRC, if it does not list them"
    )
    data.add_argument("--gt", metavar="JSON", help="COCO JSON with the images and classes of SRC (results need it)")
    data.add_argument("--suffix", default="", metavar="TEXT", help="only files of SRC whose names end so")
    data.add_argument(
        "--from-void", type=int, nargs="+", metavar="N", help="void in SRC or --semantic (labels: 255, others: 0)"
    )
    data.add_argument("--to-void", type=int, metavar="N", help="void in DST (labels: 255, coded maps: 0)")
    classes = parser.add_argument_group("classes")
    classes.add_argument("--map", metavar="FILE", help="JSON or CSV of from,to: ids or names; void takes a class away")
    classes.add_argument("--to-classes", type=class_list, metavar="FILE|N", help="the classes after --map")
    merge = parser.add_argument_group("masks that become one map")
    merge.add_argument(
        "--overlap", choices=OVERLAPS, help="pixels of several masks: refuse, the first in the file, the higher score"
    )
    merge.add_argument("--min-score", type=float, metavar="S", help="leave out instances that score less")
    merge.add_argument(
        "--most-covered", type=float, metavar="F", help="leave out masks of which others own more than this share"
    )
    merge.add_argument("--semantic", metavar="PATH", help="label maps: their stuff where no instance is (to panoptic)")
    merge.add_argument("--stuff-area", type=int, metavar="N", help="leave out stuff of --semantic below N pixels")
    merge.add_argument("--stuff", action="store_true", help="panoptic to instances: each stuff segment as one too")
    parser.add_argument("--overwrite", action="store_true", help="write over what is there")
    parser.add_argument("--workers", type=at_least(1), metavar="N", help="threads (default: one a core)")
    parser.add_argument("--quiet", action="store_true", help="no progress and no notes on stderr")


def run(args: argparse.Namespace) -> int:
    """Convert and say where."""
    _check(args)
    merging = Merging(
        args.overlap or "error",
        1.0 if args.most_covered is None else args.most_covered,
        -math.inf if args.min_score is None else args.min_score,
        args.stuff_area or 0,
    )
    with progress_bar("convert", args.quiet, "converting") as progress:
        done = convert(
            args.src,
            args.out,
            to=args.to,
            source_form=args.form,
            classes=args.classes,
            table=args.map,
            to_classes=args.to_classes,
            gt=args.gt,
            semantic=args.semantic,
            merging=merging,
            stuff=args.stuff,
            from_void=None if args.from_void is None else tuple(args.from_void),
            to_void=args.to_void,
            suffix=args.suffix,
            overwrite=args.overwrite,
            workers=args.workers,
            progress=progress,
        )
    print_cautions(done.cautions, args.quiet)
    notice(f"{done.images} images from {done.source} to {done.target}", args.quiet)
    print(done.path)
    return 0


def _check(args: argparse.Namespace) -> None:
    """Combinations without a meaning, told before anything is read."""
    refuse = args.parser.error
    panoptic = args.to in ("panoptic", "coco-panoptic", "panoptic-coded", "panoptic-channels")
    stacks = ("instance", "coco-instances", "coco-results", "instance-npz")
    if args.to_void is not None and args.to not in ("semantic", "labels", "panoptic-coded") and args.map is None:
        refuse(f"--to-void has no meaning with --to {args.to}")
    if args.to_classes and not args.map:
        refuse("--to-classes needs --map")
    if args.semantic and not panoptic:
        refuse(f"--semantic has no meaning with --to {args.to}")
    if args.stuff_area is not None and not args.semantic:
        refuse("--stuff-area needs --semantic")
    for name in ("overlap", "most_covered"):
        if getattr(args, name) is not None and args.to in stacks:
            refuse(f"--{name.replace('_', '-')} has no meaning with --to {args.to}: its masks may overlap")
    if args.stuff and args.to not in (*stacks, "instance-ids"):
        refuse(f"--stuff has no meaning with --to {args.to}")
    if args.most_covered is not None and not 0 <= args.most_covered <= 1:
        refuse(f"--most-covered {args.most_covered} is not from 0 to 1")
    if args.min_score is not None and math.isnan(args.min_score):
        refuse("--min-score nan is no number")
    if args.stuff_area is not None and args.stuff_area < 0:
        refuse(f"--stuff-area {args.stuff_area} is below 0")
    for name in ("src", "out"):
        if not getattr(args, name):  # an unset variable of a shell; it would mean the current folder
            raise SegevalError(f"the path of {name} is empty", remedy="give a folder or a file")
