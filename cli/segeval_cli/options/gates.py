"""Conditions that a score must meet for a pipeline to go on; one that fails says why in one line."""

from __future__ import annotations

import argparse
import math
import sys

from segeval.metrics.metric import Metric
from segeval.results.figures import FRACTION
from segeval.results.result import Result

GATE_FAILED = 3


def add_gate_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    group = parser.add_argument_group("gates (exit code 3 where one fails)")
    group.add_argument(
        "--fail-under",
        action="append",
        default=[],
        type=_bar,
        metavar="NAME=X",
        help="fail if a value is below a fraction (mIoU=0.60), or undefined; may be given again",
    )
    group.add_argument(
        "--fail-over",
        action="append",
        default=[],
        type=_bar,
        metavar="NAME=X",
        help="the same for a value of which less is better, such as a distance: fail if it is above X, or undefined",
    )
    group.add_argument(
        "--fail-if-worse", metavar="RUN", help="fail if the headline is significantly worse than a saved run's"
    )


def _bar(text: str) -> tuple[str, float]:
    name, equals, number = text.partition("=")
    try:
        bar = float(number)
    except ValueError:
        bar = math.nan
    if not name or not equals or not math.isfinite(bar):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FRACTION, such as mIoU=0.60")
    return name, bar


def check_gates(rule: type[Metric], args: argparse.Namespace) -> None:
    """Refuse a gate that turns the wrong way, or asks for what its figure can't be."""
    for option, lower in (("--fail-under", False), ("--fail-over", True)):
        for name, bar in args.fail_over if lower else args.fail_under:
            figure = rule.figures.get(name, FRACTION)
            if figure.lower_is_better != lower:
                other = "--fail-under" if lower else "--fail-over"
                more = "more" if lower else "less"
                args.parser.error(f"argument {option}: {more} is better of {name}: give {other} {name}={bar:g}")
            if not figure.low <= bar <= figure.high:
                given = f"argument {option}: '{name}={bar:g}' is not NAME="
                kind = "FRACTION, such as mIoU=0.60" if figure.unit == "%" else f"X of {figure.low:g} or more"
                args.parser.error(given + kind)


def gate_code(result: Result, args: argparse.Namespace) -> int:
    """0, or 3 after one line on stderr for each gate that failed.

    Raises
    ------
    SegevalError
        If a gate can't be judged: no such run, or one that can't be compared.
    """
    for option, bars in (("--fail-under", args.fail_under), ("--fail-over", args.fail_over)):
        for name, _ in bars:
            if name not in result.values:
                args.parser.error(f"{option} names no value: {name}; give one of {', '.join(result.values)}")
    failures = [line for name, bar in (*args.fail_under, *args.fail_over) if (line := failed(result, name, bar))]
    if args.fail_if_worse and (line := worse(result, args)):
        failures.append(line)
    for line in failures:
        print(f"segeval: gate failed: {line}", file=sys.stderr)
    return GATE_FAILED if failures else 0


def failed(result: Result, name: str, bar: float) -> str:
    """Why a value fails, or nothing."""
    value, figure = result.values[name], result.figure(name)
    option, most, side = ("over", "most", "over") if figure.lower_is_better else ("under", "least", "under")
    if math.isnan(value):
        return f"{name} is undefined, and --fail-{option} asks for at {most} {bar:g}"
    return "" if figure.gain(value) >= figure.gain(bar) else f"{name} is {value:.4f}, {side} {bar:g}"


def worse(result: Result, args: argparse.Namespace) -> str:
    """Why the run fails against a baseline, or nothing: an undefined difference fails too."""
    from segeval.comparison.comparing import compare
    from segeval.comparison.runs import load_run
    from segeval_cli.options.intervals import groups_of, interval_of

    interval = interval_of(args)
    both = {"the baseline": load_run(args.fail_if_worse), "this run": result}
    found = compare(both, interval=interval, groups=groups_of(args, both.values()), workers=args.workers)
    headline = next(d for d in found.differences if d.metric == found.metric)
    if math.isnan(headline.value) or math.isnan(headline.p):
        return f"the difference in {found.metric} from {args.fail_if_worse} is undefined"
    figure = found.figure(found.metric)
    if figure.gain(headline.value) < 0 and headline.significant:
        where = "above" if figure.lower_is_better else "below"
        return (
            f"{found.metric} is {abs(headline.value):.4f} {where} {args.fail_if_worse} "
            f"(p {headline.p:.3f}, {found.interval.level:g} interval {headline.low:+.4f} to {headline.high:+.4f})"
        )
    return ""


__all__ = ["add_gate_options", "check_gates", "failed", "gate_code", "worse"]
