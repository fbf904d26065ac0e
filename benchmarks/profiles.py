"""Where our own time goes: ``python -m benchmarks.profiles`` prints the dearest functions of each piece of work.

Reads the inputs that ``python -m benchmarks --work DIR`` left in DIR. The profiler slows Python code and not compiled
code, so the share of Python is an upper bound.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
from pathlib import Path

from benchmarks.contender import WORKS, Prepare

INPUTS = (
    ("semantic", "street40"),
    ("semantic", "coco-2"),
    ("semantic-arrays", "street40"),
    ("panoptic", "coco-panoptic-2"),
)


def main() -> None:
    """Profile, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "segeval-benchmarks")
    parser.add_argument("--top", type=int, default=8)
    args = parser.parse_args()
    for work, name in INPUTS:
        folder = args.work / name
        if not folder.is_dir():
            print(f"{work}, {name}: no input in {folder}; run python -m benchmarks first")
            continue
        import importlib

        prepare: Prepare = importlib.import_module(WORKS[work]).CONTENDERS["segeval"]
        run = prepare(folder)
        run()
        profiler = cProfile.Profile()
        profiler.runcall(run)
        table = pstats.Stats(profiler)
        whole = table.total_tt  # type: ignore[attr-defined]
        print(f"\n{work}, {name}: {1000 * whole:.1f} ms under the profiler")
        rows = table.stats.items()  # type: ignore[attr-defined]
        for (file, _, function), (_, calls, own, _, _) in sorted(rows, key=lambda r: -r[1][2])[: args.top]:
            print(f"  {100 * own / whole:5.1f} %  {1000 * own:7.2f} ms  {calls:6d} x  {Path(file).name}:{function}")


if __name__ == "__main__":
    main()
