"""`segeval suite`."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segeval.errors import SegevalError
from segeval.storage.files import require_writable
from segeval_cli.commands.baselines.train import require_torch
from segeval_cli.options.progress import notice

if TYPE_CHECKING:
    from segeval_baselines.suite.form import Member, Suite
    from segeval_baselines.suite.plan import Plan


def add_parser(commands: Any) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "suite",
        help="train, predict and score several networks, and write their leaderboard",
        description="From a small TOML to a leaderboard: train what is missing, predict, score, compare. Steps whose "
        "inputs are unchanged are skipped, so an interrupted suite goes on with the same command.",
    )
    parser.set_defaults(parser=parser)
    parser.add_argument("suite", metavar="SUITE", help="the name of a suite that comes with the package, or a TOML")
    parser.add_argument("--out", required=True, metavar="DIR", help="everything goes here")
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="where the suite's data lie (repeatable; default: the environment variable NAME)",
    )
    parser.add_argument("--member", metavar="NAME", help="run this member only, in this process")
    parser.add_argument("--jobs", type=int, metavar="N", help="members at a time (default: one a GPU, or one a core)")
    parser.add_argument(
        "--any-version", action="store_true", help="steps that another version of segeval made are up to date too"
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be done, and about how long it takes")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda (default: auto)")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")


def run(args: argparse.Namespace) -> int:
    """Run what is due and print the leaderboard."""
    if args.jobs is not None and args.jobs < 1:
        args.parser.error("--jobs must be at least 1")
    require_torch()
    from segeval_baselines.suite.reading import read_suite

    root = Path(args.out)
    if root.is_file():
        raise SegevalError("is a file, not a folder", file=root, remedy="give --out a folder")
    require_writable(root)
    suite = replace(read_suite(args.suite, args.data), any_version=args.any_version)
    if args.member is not None:
        return _one(args, suite, suite.member(args.member), root)
    from segeval_baselines.suite.plan import plan_of

    plans = plan_of(suite, root)
    if args.dry_run:
        print(_plan_text(suite, plans))
        return 0
    return _all(args, suite, plans, root)


def _one(args: argparse.Namespace, suite: Suite, member: Member, root: Path) -> int:
    from segeval_baselines.suite.members import one_thread, run_member

    one_thread()

    def say(text: str) -> None:
        notice(f"{member.name}, {text}", args.quiet)

    run_member(suite, member, root, device=args.device, say=say)
    return 0


def _all(args: argparse.Namespace, suite: Suite, plans: list[Plan], root: Path) -> int:
    from segeval_baselines.suite.board import text, write_board
    from segeval_baselines.suite.members import one_thread, run_command, run_members

    due = list({p.member.name: p.member for p in plans if p.due}.values())

    def command(member: Member) -> list[str]:
        words = ["suite", args.suite, "--out", args.out, "--member", member.name, "--device", args.device]
        words += ["--any-version"] if args.any_version else []
        return run_command([*words, *(w for given in args.data for w in ("--data", given))])

    def say(text: str) -> None:
        notice(text, args.quiet)

    notice(f"{len(due)} of {len(suite.members)} members are due", args.quiet)
    run_members(due, root, command, jobs=args.jobs, device=args.device, say=say)
    one_thread()  # for what predictions cost
    found = write_board(suite, root, args.device)
    print(text(suite, found))
    notice(f"written: {root / 'leaderboard.html'}, .md, .csv and .tex", args.quiet)
    failed = [row for standing in found for row in standing.rows if row.failure is not None]
    return 1 if failed else 0


def _plan_text(suite: Suite, plans: list[Plan]) -> str:
    from segeval.results.tables import Table, to_text

    rows = []
    for plan in plans:
        states = ", ".join(f"{name} {state}" for name, state in plan.steps.items())
        source = "measured" if plan.measured else "estimated"
        about = f"{plan.seconds / 60:.1f} min {source}" if plan.due else ""
        rows.append((plan.member.name, str(plan.seed), states, about))
    total = sum(p.seconds for p in plans if p.due)
    table = to_text(Table(("member", "seed", "steps", "CPU time"), tuple(rows), (0, 2), suite.title))
    return f"{table}\nabout {total / 60:.0f} CPU minutes"


__all__ = ["add_parser", "run"]
