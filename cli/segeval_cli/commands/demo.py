"""`segeval demo`."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from segeval.results.result import Result
from segeval.results.tables import Table, percent, to_text
from segeval_cli.options.usage import at_least

# The figures that a person compares first, task by task; and where each side of a task lies.
HEADLINES = {
    "semantic": ("mIoU", "fwIoU", "aAcc", "mAcc", "mDice"),
    "panoptic": ("PQ", "SQ", "RQ", "PQ_th", "PQ_st"),
    "instance": ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR100"),
}
FORMS = {"semantic": "semantic", "panoptic": "panoptic.json", "instance": "instances.json"}


def add_parser(commands: Any) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "demo",
        help="make synthetic scenes, score two imaginary models on all three tasks",
        description="Make a folder of synthetic street scenes, their truth in every form and the predictions of two "
        "imaginary models, and score both models on all three tasks. Needs no network and no data.",
    )
    parser.add_argument(
        "--out", default="segeval-demo", metavar="DIR", help="where it all goes (default: ./segeval-demo)"
    )
    parser.add_argument("--images", type=at_least(1), default=24, metavar="N", help="how many scenes (default: 24)")
    parser.add_argument("--seed", type=at_least(0), default=0, metavar="N", help="which scenes (default: 0)")
    parser.add_argument("--quiet", action="store_true", help="no progress and no notes on stderr")


def run(args: argparse.Namespace) -> int:
    """Make the folder, score, save the runs, print."""
    from segeval.scenes.demo import require_own_folder, write_demo
    from segeval.scenes.models import MODELS
    from segeval_cli.options.progress import notice, progress_bar

    out = Path(args.out)
    require_own_folder(out)
    notice(f"making {args.images} scenes in {out}", args.quiet)
    with progress_bar("demo", args.quiet, "making scenes") as progress:
        write_demo(out, args.images, seed=args.seed, progress=progress)
    for task in HEADLINES:
        with progress_bar(task, args.quiet) as progress:
            results = {model: _score(out, model, task, progress) for model in MODELS}
        print(to_text(_table(task, results)))
        print("\n".join(dict.fromkeys(result.signature.format() for result in results.values())) + "\n")
    print(_epilogue(out, tuple(MODELS)))
    return 0


def _paths(out: Path, model: str, task: str) -> tuple[Path, Path]:
    return out / model / FORMS[task], out / "truth" / FORMS[task]


def _command(out: Path, model: str, task: str) -> str:
    pred, gt = _paths(out, model, task)
    words = ["segeval", "score", "--task", task, "--pred", str(pred), "--gt", str(gt)]
    if task == "semantic":
        words += ["--classes", str(out / "truth" / "classes.json")]
    return shlex.join(words)


def _score(out: Path, model: str, task: str, progress: Any) -> Result:
    from segeval.scoring.evaluation import score

    pred, gt = _paths(out, model, task)
    # The two JSON forms list their classes themselves.
    classes = out / "truth" / "classes.json" if task == "semantic" else None
    result = score(pred, gt, task=task, classes=classes, progress=progress)
    result = result.with_(provenance={**result.provenance, "command": _command(out, model, task)})
    result.save(out / "runs" / f"{model}-{task}")
    return result


def _table(task: str, results: dict[str, Result]) -> Table:
    names = HEADLINES[task]
    rows = tuple((model, *(percent(result.values[n]) for n in names)) for model, result in results.items())
    return Table((task, *names), rows)


def _epilogue(out: Path, models: tuple[str, ...]) -> str:
    first, last = models[0], models[-1]
    rows = (
        (str(out / "images"), "the scenes"),
        (str(out / "truth"), "their truth, in every form"),
        (", ".join(str(out / m) for m in models), "the predictions of two imaginary models"),
        (str(out / "runs"), "the scores above, saved"),
    )
    wide = max(len(where) for where, _ in rows)
    lines = [f"{where:<{wide}}  {what}" for where, what in rows]
    tries = [
        _command(out, last, "panoptic"),
        _command(out, first, "semantic"),
        shlex.join(["segeval", "show", str(out / "runs" / f"{last}-instance")]),
    ]
    return "\n".join([*lines, "", "Try next:", *(f"  {line}" for line in tries)])
