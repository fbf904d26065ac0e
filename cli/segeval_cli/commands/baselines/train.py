"""`segeval train`."""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segeval.errors import SegevalError
from segeval_cli.options.progress import notice

if TYPE_CHECKING:
    from segeval_baselines.checkpoints.checkpoint import Checkpoint
    from segeval_baselines.training.state import Moment


def add_parser(commands: Any) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "train",
        help="train a baseline network",
        description="Train a baseline network on images with label maps or objects. segeval models lists the networks.",
    )
    parser.set_defaults(parser=parser)
    parser.add_argument("model", nargs="?", metavar="MODEL", help="a name from segeval models")
    parser.add_argument(
        "--data",
        metavar="SPEC",
        help="camvid:PATH, folder:PATH, folder:IMAGES,LABELS[,LISTS] or scenes; for detectors coco:PATH, "
        "coco_panoptic:PATH[,supercategories], nuclei:PATH, instances:PATH or scenes",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="checkpoints, history and curves go here")
    parser.add_argument("--preset", default="tiny", help="tiny, full, ... (default: tiny)")
    parser.add_argument("--classes", metavar="FILE|N", help="replaces the data's own list of classes")
    parser.add_argument("--resume", action="store_true", help="go on from DIR's last checkpoint; needs no other option")
    parser.add_argument("--weights", metavar="FILE", help="start from published weights (torchvision's names)")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    budget = parser.add_argument_group("budget (default: the recipe's epochs)").add_mutually_exclusive_group()
    budget.add_argument("--iterations", type=int, metavar="N", help="steps; resumes exactly")
    budget.add_argument("--minutes", type=float, metavar="M", help="of the process's CPU time, or of the GPU's clock")
    budget.add_argument("--epochs", type=float, metavar="N", help="passes over the training images")
    _add_recipe(parser)
    network = parser.add_argument_group("network")
    network.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="replace a preset's option"
    )
    _add_machine(parser)
    parser.add_argument(
        "--validations", type=int, default=4, metavar="N", help="during training (default: 4; 0: never)"
    )
    parser.add_argument("--validation-images", type=int, metavar="N", help="at most this many, evenly spaced")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")


def _add_recipe(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("recipe (default: the preset's)")
    group.add_argument("--batch", type=int, metavar="N", help="images a step, over all devices")
    group.add_argument("--crop", type=int, nargs=2, metavar=("H", "W"), help="what the network sees, after the scaling")
    group.add_argument("--image-scale", type=float, metavar="F", help="resize images by this factor first")
    group.add_argument("--rate", type=float, metavar="LR", help="peak learning rate")
    group.add_argument("--loss", metavar="NAME", help="a name from segeval losses")
    group.add_argument("--class-weights", choices=("none", "median"), help="median: median-frequency weights")
    group.add_argument("--clip", type=float, metavar="NORM", help="largest gradient norm")
    group.add_argument("--ema", type=float, metavar="DECAY", help="validate and save averaged weights")


def _add_machine(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("machine")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda (default: auto)")
    group.add_argument("--amp", action="store_true", help="bfloat16 where it is safe")
    group.add_argument("--channels-last", action="store_true", help="memory layout that GPUs like")
    group.add_argument("--threads", type=int, default=0, metavar="N", help="threads that prepare batches (default: 0)")


def run(args: argparse.Namespace) -> int:
    """Train and say what came out."""
    if not args.resume:
        for name, value in (("MODEL", args.model), ("--data", args.data)):
            if value is None:
                args.parser.error(f"the following arguments are required: {name}")
    require_torch()
    out = Path(args.out)
    if out.is_file():
        raise SegevalError("is a file, not a folder", file=out, remedy="give --out a folder")
    checkpoint = _train(args, out)
    if not args.quiet and sys.stderr.isatty():
        print(file=sys.stderr)
    print(f"{checkpoint.model} {checkpoint.preset}: {checkpoint.notes['steps']} steps, {checkpoint.notes['seconds']} s")
    for name, score in checkpoint.notes.items():
        if name.startswith("validation "):
            print(f"{name} {100 * float(score):.1f}")
    print(f"segeval predict {args.out} --images DIR --out DIR")
    return 0


def require_torch() -> None:
    """Refuse in one line where torch is absent; spinning threads would slow a busy machine down."""
    import segeval_baselines

    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # torch's profiler would report itself on stderr
    segeval_baselines.require_torch()


def _train(args: argparse.Namespace, out: Path) -> Checkpoint:
    from segeval_baselines.training.jobs import Job
    from segeval_baselines.training.loop import run_job
    from segeval_baselines.training.starting import train

    report = None if args.quiet else ProgressLine()
    announce = None if args.quiet else lambda table: print(table, file=sys.stderr)
    if args.resume:
        return run_job(Job.from_json(out / "job.json"), out, resume=True, report=report, announce=announce)
    same = ("preset", "iterations", "minutes", "epochs", "classes", "weights", "seed", "validations")
    machine = ("validation_images", "device", "amp", "channels_last", "threads")
    return train(
        args.model,
        args.data,
        out,
        options=options(args.option),
        recipe=recipe(args),
        report=report,
        announce=announce,
        **{name: getattr(args, name) for name in same + machine},
    )


def recipe(args: argparse.Namespace) -> dict[str, Any]:
    """The fields of the recipe that were given."""
    names = ("batch", "crop", "image_scale", "rate", "loss", "class_weights", "clip", "ema")
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


def options(words: list[str]) -> dict[str, Any]:
    """``NAME=VALUE`` words, values as Python writes them."""
    import ast

    found: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise SegevalError(f"{word!r} sets nothing", remedy="give --option NAME=VALUE")
        try:
            found[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            found[name] = text
    return found


class ProgressLine:
    """The progress line: overwritten on a terminal, else one every half minute and at every validation."""

    def __init__(self) -> None:
        self.last = -math.inf

    def __call__(self, moment: Moment) -> None:
        entry, now = moment.entry, time.monotonic()
        left = f"{int(moment.left) // 60}:{int(moment.left) % 60:02d}"
        text = f"{moment.fraction:4.0%}  step {entry.step}  loss {entry.loss:.3f}  left {left}"
        judged = entry.score()
        if judged is not None:
            text += f"  validation {judged[0]} {100 * judged[1]:.1f}"
        if sys.stderr.isatty():
            print(f"\r\x1b[K{text}", end="\n" if judged else "", file=sys.stderr, flush=True)
        elif judged or now - self.last > 30:
            self.last = now
            notice(text, quiet=False)


__all__ = ["add_parser", "require_torch", "run"]
