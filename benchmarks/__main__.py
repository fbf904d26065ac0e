"""``python -m benchmarks``: all rows in one run, written to RESULTS.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import ROOT
from benchmarks.results import Row, write_results
from benchmarks.sections import SECTIONS


def main() -> None:
    """Parse, race, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small inputs, three rounds: about two minutes")
    parser.add_argument("--rounds", type=int, help="rounds (default 7, quick 3)")
    parser.add_argument("--only", nargs="+", choices=tuple(SECTIONS), default=tuple(SECTIONS))
    parser.add_argument(
        "--work", type=Path, default=Path(tempfile.gettempdir()) / "segeval-benchmarks", help="where inputs are kept"
    )
    parser.add_argument(
        "--out", type=Path, help="default: benchmarks/RESULTS.md, or only the screen with --quick or --only"
    )
    args = parser.parse_args()
    rounds = args.rounds or (3 if args.quick else 7)
    rows: list[Row] = []
    for name in args.only:
        print(f"{name}:", file=sys.stderr)
        rows += SECTIONS[name](args.work, rounds, args.quick)
    partial = args.quick or tuple(args.only) != tuple(SECTIONS)
    write_results(rows, args.out or (None if partial else ROOT / "benchmarks" / "RESULTS.md"), rounds)


if __name__ == "__main__":
    main()
