"""The options that say how intervals are made, and what they do to a result."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from segeval.comparison.runs import under_keys
from segeval.results.result import Result
from segeval.statistics.attributes import group_of_image, read_attributes, read_groups
from segeval.statistics.resampling import METHODS, Interval
from segeval_cli.options.usage import as_usage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from segeval.comparison.slices import Slices


def add_interval_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `score`."""
    group = parser.add_argument_group("intervals")
    group.add_argument("--intervals", action="store_true", help="bootstrap an interval for every number")
    add_resampling_options(group)
    add_slices_option(group)


def add_slices_option(group: Any) -> None:
    """Declare where attributes of images are found: `compare` has this too."""
    group.add_argument(
        "--slices", metavar="CSV|JSON", help="image and attributes: every number for each value of each attribute"
    )


def add_resampling_options(group: Any) -> None:
    """Declare how resampling is done: `compare` and `leaderboard` have these too."""
    default = Interval()
    group.add_argument("--level", type=float, metavar="P", help=f"confidence level (default: {default.level})")
    group.add_argument(
        "--resamples",
        type=int,
        metavar="N",
        help=f"data sets drawn (default: {default.resamples}, or more for many runs)",
    )
    group.add_argument("--seed", type=int, metavar="N", help=f"of the random numbers (default: {default.seed})")
    group.add_argument("--method", choices=METHODS, help=f"of the interval (default: {default.method})")
    group.add_argument(
        "--groups", metavar="CSV", help="image and group: images of one group (frames of a video) are drawn together"
    )


def interval_of(args: argparse.Namespace, runs: int = 1) -> Interval:
    """The settings that were given, over the defaults; enough resamples to compare so many runs."""
    given = {name: getattr(args, name) for name in ("level", "resamples", "seed", "method")}
    pairs = runs * (runs - 1) // 2
    return Interval.for_pairs(pairs, **{name: value for name, value in given.items() if value is not None})


def groups_of(args: argparse.Namespace, results: Iterable[Result] = ()) -> Mapping[str, str] | None:
    """The group of each image of runs, or None."""
    return None if args.groups is None else under_keys(read_groups(args.groups), results)


def check_settings(args: argparse.Namespace, runs: int = 1, *, used: bool = True, by: str = "") -> None:
    """Refuse, as usage, settings that are impossible, and those that nothing uses.

    Parameters
    ----------
    args
        The options.
    runs
        How many are compared.
    used
        Whether anything is resampled.
    by
        The options that would use them.
    """
    given = [
        f"--{name}" for name in ("level", "resamples", "seed", "method", "groups") if getattr(args, name) is not None
    ]
    if given and not used:
        args.parser.error(f"{given[0]} has no effect without {by}")
    with as_usage(args):
        interval_of(args, runs)


def check_early(args: argparse.Namespace) -> None:
    """Read what can be wrong before any image is scored: settings and files.

    Raises
    ------
    SegevalError
        For a file that can't be used.
    """
    baseline = getattr(args, "fail_if_worse", None)
    by = "--intervals or --fail-if-worse" if hasattr(args, "fail_if_worse") else "--intervals"
    check_settings(args, used=bool(args.intervals or baseline), by=by)
    groups_of(args)
    if args.slices:
        read_attributes(args.slices)
    if baseline:
        from segeval.comparison.runs import load_run

        load_run(baseline)


def with_intervals(result: Result, args: argparse.Namespace) -> Result:
    """The result with its intervals, if --intervals asks for them."""
    if not args.intervals:
        return result
    from segeval.statistics import intervals as statistics

    number = group_numbers(result, args)
    return statistics.with_intervals(result, interval_of(args), groups=number, workers=args.workers)


def group_numbers(result: Result, args: argparse.Namespace) -> NDArray[np.int64] | None:
    """The group of each image of a result by number, or None."""
    groups = groups_of(args, [result])
    return None if groups is None or result.tally is None else group_of_image(result.tally.keys, groups)


def slices_of(result: Result, args: argparse.Namespace) -> Slices | None:
    """Every number for each value of each attribute, if --slices asks for them."""
    if not args.slices:
        return None
    from segeval.comparison.slices import slice_result

    return slice_result(
        result,
        under_keys(read_attributes(args.slices), [result]),
        interval=interval_of(args) if args.intervals else None,
        groups=group_numbers(result, args),
        workers=args.workers,
    )
