"""`segeval export`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from segeval.errors import SegevalError
from segeval_cli.commands.baselines.train import require_torch
from segeval_cli.options.progress import notice


def add_parser(commands: Any) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "export",
        help="write a split of a data set with objects as images and truth",
        description="Write the images of a split, as segeval predict takes them, and its truth, as segeval score takes "
        "it: instances.json, panoptic.json with PNGs where the classes of pixels are known, and maps of instance ids "
        "where all things are of one class.",
    )
    parser.set_defaults(parser=parser)
    parser.add_argument(
        "data",
        metavar="DATA",
        help="coco:PATH, coco_panoptic:PATH[,supercategories], nuclei:PATH, instances:PATH or scenes",
    )
    parser.add_argument("--split", default="test", help="train, val or test (default: test)")
    parser.add_argument("--out", required=True, metavar="DIR", help="receives images/ and truth/")
    parser.add_argument("--classes", metavar="FILE|N", help="replace the data's own list of classes")
    parser.add_argument("--quiet", action="store_true", help="no notes on stderr")


def run(args: argparse.Namespace) -> int:
    """Write both and say how they are used."""
    require_torch()
    from segeval_baselines.data.object_truth import export_images, export_truth
    from segeval_baselines.data.splits import open_objects

    out = Path(args.out)
    if out.is_file():
        raise SegevalError("is a file, not a folder", file=out, remedy="give --out a folder")
    if out.is_dir() and any(out.iterdir()):
        raise SegevalError("is not empty", file=out, remedy="give --out another folder")
    samples = open_objects(args.data, args.split, args.classes)
    notice(f"writing {len(samples.keys())} images of {samples.name}", args.quiet)
    images = export_images(samples, out / "images")
    truth = export_truth(samples, out / "truth")
    print(f"{len(samples.keys())} images: {images}")
    for name, path in (("instances", truth.instances), ("panoptic", truth.panoptic), ("ids", truth.instance_ids)):
        if path is not None:
            print(f"{name}: {path}")
    if truth.most_objects > 100:
        notice(
            f"up to {truth.most_objects} objects an image: score with --max-dets 1 10 {truth.most_objects}", args.quiet
        )
    return 0


__all__ = ["add_parser", "run"]
