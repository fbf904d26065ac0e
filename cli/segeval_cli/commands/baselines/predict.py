"""`segeval predict`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segeval.errors import SegevalError
from segeval.readers.classes import read_classes
from segeval_cli.commands.baselines.train import require_torch
from segeval_cli.options.progress import notice

if TYPE_CHECKING:
    from segeval_baselines.checkpoints.checkpoint import Checkpoint
    from segeval_baselines.prediction.outputs import Outputs


def add_parser(commands: Any) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "predict",
        help="predict a folder of images with a trained network",
        description="Write label PNGs, or with a detector instances or panoptic maps, that segeval score reads. Images "
        "that are done already are left alone.",
    )
    parser.set_defaults(parser=parser)
    parser.add_argument("checkpoint", nargs="?", metavar="CHECKPOINT", help="a file, or the folder of a training")
    parser.add_argument("--model", metavar="NAME", help="a bundled network (unet-demo, ...), or one with --weights")
    parser.add_argument("--weights", metavar="FILE", help="published weights of --model, such as fcn_resnet50's")
    parser.add_argument("--preset", default="full", help="preset of --model that --weights are of (default: full)")
    parser.add_argument(
        "--classes", metavar="FILE|N", help="classes of --weights (default: the 21 of VOC, or COCO's for detectors)"
    )
    parser.add_argument("--image-scale", type=float, default=1.0, metavar="F", help="factor on images for --weights")
    parser.add_argument(
        "--reference",
        metavar="NAME",
        help="no network: constant, mode, colour, colour-position; of objects no-instances, no-segments, stuff-mode",
    )
    parser.add_argument("--data", metavar="SPEC", help="what a reference is counted on (its train split)")
    parser.add_argument("--images", required=True, metavar="DIR", help="folder of images")
    parser.add_argument("--out", required=True, metavar="DIR", help="where the predictions go")
    parser.add_argument("--probabilities", action="store_true", help="also DIR/probabilities/*.npz")
    parser.add_argument("--overlays", action="store_true", help="also DIR/overlays/*.png")
    parser.add_argument(
        "--instances",
        choices=("components", "watershed"),
        help="cut the regions of a network that knows borders (unet --preset nuclei) into instances",
    )
    parser.add_argument("--image-ids", metavar="FILE", help="COCO JSON whose image ids a detector's files carry")
    _add_view(parser)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda (default: auto)")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")


def _add_view(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("view (not of detectors)")
    group.add_argument("--window", type=int, metavar="N", help="sliding windows (or tiles) of this side")
    group.add_argument(
        "--overlap", type=float, default=1 / 3, metavar="F", help="share of a window that the next repeats"
    )
    group.add_argument("--flip", action="store_true", help="average with the mirrored image")
    group.add_argument("--scales", type=float, nargs="+", default=[1.0], metavar="F", help="average over zooms")


def run(args: argparse.Namespace) -> int:
    """Predict."""
    given = [x for x in (args.checkpoint, args.model, args.reference) if x is not None]
    if len(given) != 1:
        args.parser.error("give one of CHECKPOINT, --model and --reference")
    if args.weights is not None and args.model is None:
        args.parser.error("--weights needs --model")
    if args.reference is not None and args.data is None:
        args.parser.error("--reference needs --data")
    if Path(args.out).is_file():
        raise SegevalError("is a file, not a folder", file=args.out, remedy="give --out a folder")
    require_torch()
    if args.reference is not None:
        count = _reference(args)
    else:
        count = _network(args)
    print(f"{count} images predicted into {args.out}")
    return 0


def _network(args: argparse.Namespace) -> int:
    from segeval_baselines.group import device_of
    from segeval_baselines.prediction.folders import misfit, predict_folder
    from segeval_baselines.prediction.inference import View

    device = device_of(args.device)
    checkpoint = _checkpoint(args, str(device))
    view = View(args.window, args.overlap, args.flip, tuple(args.scales))
    asked = {"method": args.instances, "view": view, "probabilities": args.probabilities}
    if wrong := misfit(checkpoint, **asked, image_ids=args.image_ids is not None):
        args.parser.error(wrong)

    def progress(done: int, total: int) -> None:
        if not args.quiet and sys.stderr.isatty():
            end = "\n" if done == total else ""
            print(f"\r\x1b[Kpredicted {done} of {total}", end=end, file=sys.stderr, flush=True)

    return predict_folder(
        checkpoint, args.images, _outputs(args), method=args.instances, view=view, device=device, progress=progress
    )


def _checkpoint(args: argparse.Namespace, device: str) -> Checkpoint:
    from segeval_baselines.checkpoints.checkpoint import bundled, load_checkpoint
    from segeval_baselines.checkpoints.published import published_checkpoint

    if args.weights is not None:
        return published_checkpoint(
            args.model,
            args.weights,
            preset=args.preset,
            taxonomy=read_classes(args.classes)[0] if args.classes else None,
            image_scale=args.image_scale,
        )
    if args.model is not None and args.model not in bundled():
        known = ", ".join(bundled())
        raise SegevalError(f"no network {args.model!r} comes with the package", remedy=f"take {known}, or --weights")
    return load_checkpoint(args.checkpoint or args.model, device)


def _outputs(args: argparse.Namespace) -> Outputs:
    from segeval_baselines.prediction.outputs import Outputs, read_image_ids

    ids = read_image_ids(args.image_ids) if args.image_ids is not None else None
    return Outputs(Path(args.out), args.probabilities, args.overlays, ids)


def _reference(args: argparse.Namespace) -> int:
    from segeval_baselines.data.splits import OPENERS
    from segeval_baselines.prediction.references import LABEL_REFERENCES, predict_reference, reference

    if args.probabilities or args.overlays:
        args.parser.error("a reference has no probabilities and no overlays")
    if args.reference in LABEL_REFERENCES and args.image_ids is not None:
        args.parser.error("--image-ids is for objects; label maps go by their names")
    train = OPENERS[reference(args.reference).task](args.data, "train", args.classes)
    if args.reference in LABEL_REFERENCES:
        notice(f"counting {train.name}", args.quiet)
    return predict_reference(args.reference, train, args.images, _outputs(args))


__all__ = ["add_parser", "run"]
