"""`segeval score`."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Sequence
from dataclasses import MISSING, fields
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segeval.errors import SegevalError
from segeval.metrics.options import options
from segeval.metrics.tasks import TASKS, reads_of, resampled, rule_of
from segeval.readers.classes import read_map
from segeval.readers.fetching import task_at
from segeval.readers.formats import check_format
from segeval.readers.reading import Reading
from segeval.results.result import Result
from segeval.results.tables import Table, exact, to_csv
from segeval.scoring.evaluation import score
from segeval.storage.files import require_writable, write_atomic
from segeval_cli.options.gates import add_gate_options, check_gates, gate_code
from segeval_cli.options.intervals import add_interval_options, check_early, slices_of, with_intervals
from segeval_cli.options.progress import print_cautions, progress_bar
from segeval_cli.options.reporting import add_report_options, ready
from segeval_cli.options.reporting import write as write_report
from segeval_cli.options.spreading import add_spreading_options, check_spreading, clear_parts, spreading
from segeval_cli.options.usage import as_usage, checked, parsed

if TYPE_CHECKING:
    from segeval.comparison.slices import Slices

FORMS = ("text", "json", "markdown", "csv", "latex")


def add_parser(commands: Any) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "score",
        help="score predictions against truth",
        description="Score a folder or file of predictions against the truth. The formats are recognised.",
    )
    parser.set_defaults(parser=parser)
    add_inputs(parser)
    add_interval_options(parser)
    add_gate_options(parser)
    out = parser.add_argument_group("output")
    out.add_argument("--out", metavar="DIR", help="save the run: result.json and tally.npz")
    out.add_argument("--format", choices=FORMS, default="text", help="what is printed (default: text)")
    out.add_argument("--per-image", metavar="FILE.csv", help="write every image's figures, worst first")
    add_report_options(out)
    out.add_argument("--quiet", action="store_true", help="no progress and no notes on stderr")
    add_spreading_options(parser)


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """The options that say what is scored and by which rule; `check` has the same."""
    data = parser.add_argument_group("data")
    for name, about in options(Reading).items():
        tasks = about.metadata["tasks"]
        _add_option(data, name, about, f" [{', '.join(tasks)}]" if tasks else "")
    tasks_named = f"{', '.join(TASKS)}, or a package's (default: told from the truth, where that is possible)"
    data.add_argument("--task", type=checked(rule_of), metavar="TASK", help=tasks_named)
    data.add_argument("--map", metavar="FILE", help="JSON or CSV of values, applied to both sides (semantic)")
    data.add_argument("--map-gt", metavar="FILE", help="the same for the truth only")
    data.add_argument("--map-pred", metavar="FILE", help="the same for the predictions only")
    rules = parser.add_argument_group("rule (each choice stands in the signature)")
    offered: dict[str, list[str]] = {}
    for task, rule in TASKS.items():
        for name in options(rule):
            offered.setdefault(name, []).append(task)
    for name, tasks in offered.items():
        about = next(options(TASKS[t])[name] for t in tasks)
        of = "" if len(tasks) == len(TASKS) else f" [{', '.join(tasks)}]"
        _add_option(rules, name, about, of)


def add_task_options(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """The options of a rule that a package brings, if the words ask for its task."""
    task = next((b for a, b in pairwise(words) if a == "--task"), None)
    task = task or next((w.removeprefix("--task=") for w in words if w.startswith("--task=")), None)
    if task is None or task in TASKS:
        return
    try:
        rule = rule_of(task)
    except SegevalError:
        return  # parsing says so
    there = {action.dest for action in parser._actions}
    group = parser.add_argument_group(f"rule of {task}")
    for name, about in options(rule).items():
        if name not in there:
            _add_option(group, name, about, "")


def _add_option(group: Any, name: str, field: Any, of: str) -> None:
    flag, default, about = _flag(name, field), field.default, field.metadata
    text = (about["help"] + of).replace("%", "%%")
    if isinstance(default, bool):
        group.add_argument(flag, dest=name, action="store_const", const=True, help=text)
    elif about["choices"]:
        group.add_argument(flag, dest=name, choices=about["choices"], help=f"{text} (default: {default})")
    else:
        more: dict[str, Any] = {"nargs": "+", "action": "extend"} if about["several"] else {}
        more |= {"required": True} if default is MISSING else {}
        metavar, parse = about["metavar"] or "X", parsed(about["parse"])
        group.add_argument(flag, dest=name, type=parse, metavar=metavar, help=text, **more)


def chosen_options(args: argparse.Namespace, task: str) -> dict[str, Any]:
    """The rule's options that were given; one of another task, or without effect, is a usage error."""
    rule: Any = rule_of(task)
    for side in ("pred", "gt"):
        form = getattr(args, f"{side}_format")
        if form:
            with as_usage(args):
                check_format(form, reads_of(task), "prediction" if side == "pred" else "truth")
    mine = {f.name for f in fields(rule)}
    chosen: dict[str, Any] = {}
    for other in (rule, *TASKS.values()):
        for name, about in options(other).items():
            value = getattr(args, name)
            if value is None or name in chosen:
                continue
            if name not in mine:
                args.parser.error(f"{_flag(name, about)} is no option of the {task} task")
            chosen[name] = _value(value)
    for name, about in options(rule).items():
        other_name = about.metadata["needs"]
        if name in chosen and other_name and other_name not in chosen:
            needed = _flag(other_name, options(rule)[other_name])
            args.parser.error(f"{_flag(name, about)} has no effect without {needed}")
    with as_usage(args):
        Reading(args.pred, args.gt, **reading_options(args)).require_use(reads_of(task))
        rule(**chosen)
    maps = {"map_truth": args.map_gt or args.map, "map_prediction": args.map_pred or args.map}
    if any(maps.values()) and "map_truth" not in mine:
        args.parser.error(f"--map is no option of the {task} task")
    chosen |= {name: read_map(path) for name, path in maps.items() if path}
    return chosen


def _flag(name: str, about: Any) -> str:
    flag: str = about.metadata["flag"] or "--" + name.replace("_", "-")
    return flag


def _value(given: Any) -> Any:
    """What the library takes of an option's words."""
    return tuple(v for v in given if v is not None) if isinstance(given, list) else given


def reading_options(args: argparse.Namespace) -> dict[str, Any]:
    """How the two sides are read, as far as it was said."""
    given = {name: getattr(args, name) for name in options(Reading) if name not in ("pred", "gt")}
    return {name: _value(value) for name, value in given.items() if value is not None}


def run(args: argparse.Namespace) -> int:
    """Score, print, save."""
    task = args.task or task_at(args.gt, args.gt_suffix or "")
    given = chosen_options(args, task)
    if args.out and Path(args.out).is_file():
        raise SegevalError("is a file, not a folder", file=args.out, remedy="give --out a folder")
    for side in ("pred", "gt"):
        _refuse_inside(args.out, getattr(args, side), side)
    check_spreading(args)
    rule = rule_of(task)
    for name in ("intervals", "fail_if_worse"):
        if getattr(args, name) and not resampled(rule):
            args.parser.error(f"--{name.replace('_', '-')} is no option of the {task} task")
    check_gates(rule, args)
    check_early(args)
    ready(args, args.report)
    for place in filter(None, (args.out, args.per_image, args.report)):
        require_writable(place)
    with progress_bar(task, args.quiet) as progress:
        result = score(
            args.pred, args.gt, task=task, progress=progress, **spreading(args), **reading_options(args), **given
        )
    command = "segeval " + shlex.join(args.argv)
    result = with_intervals(result.with_(provenance={**result.provenance, "command": command}), args)
    print_cautions(result.warnings, args.quiet)
    slices = slices_of(result, args)
    text = rendered(result, slices, args.format)
    try:
        if args.out:
            result.save(args.out)
            clear_parts(args)
        if args.per_image:
            write_atomic(args.per_image, to_csv(per_image_table(result)) + "\n")
        write_report([result], None, args, slices=None if slices is None else [slices])
    finally:
        # Also where a disk is full: hours of scoring are not lost for that.
        print(text)
    return gate_code(result, args)


def _refuse_inside(out: str | None, data: str, side: str) -> None:
    """A run saved among the data would be data of the next run."""
    if out and Path(data).is_dir() and Path(out).resolve().is_relative_to(Path(data).resolve()):
        raise SegevalError(f"lies in the folder of --{side}", file=out, remedy="give --out a folder beside it")


def rendered(result: Result, slices: Slices | None, form: str) -> str:
    """The result and its slices; in JSON they are one object."""
    if slices is None:
        return result.render(form)
    from segeval.comparison.slice_tables import render

    if form == "json":
        return json.dumps(json.loads(result.to_json()) | json.loads(render(slices, form)), indent=1, ensure_ascii=False)
    return result.render(form) + "\n\n" + render(slices, form)


def per_image_table(result: Result) -> Table:
    """Every image's figures, worst first, unrounded."""
    assert result.tally is not None
    rows = result.metric.per_image(result.tally)
    names = tuple(rows[0]) if rows else ("image",)
    return Table(names, tuple(tuple(exact(row[n]) for n in names) for row in rows))


__all__ = ["add_inputs", "add_parser", "add_task_options", "chosen_options", "reading_options", "run"]
