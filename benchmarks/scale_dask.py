"""``python -m benchmarks.scale_dask``: how much of two processes' time counts images, on an otherwise idle machine."""

from __future__ import annotations

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

import distributed

from benchmarks.scale import CLASSES, make_folders
from segeval.cluster import DaskEngine
from segeval.evaluation import evaluate, open_data
from segeval.tally import Tally


def counted(client: distributed.Client, opener: partial, keys: list) -> tuple[float, Tally]:  # type: ignore[type-arg]
    """Seconds and tally; workers have opened the data and loaded the kernels before."""

    class On:
        def tallies(self, keys):  # type: ignore[no-untyped-def]
            return engine.on(client, keys)

    engine = DaskEngine(opener)
    source, rule = opener()
    evaluate(source, rule, keys=keys[:256], engine=On())
    start = time.perf_counter()
    tally = evaluate(source, rule, keys=keys, engine=On())
    return time.perf_counter() - start, tally


def main() -> None:
    """Measure one and two workers in turn, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale_dask", description=__doc__)
    parser.add_argument("--images", type=int, default=5_000)
    parser.add_argument("--side", type=int, default=768, help="pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "segeval-benchmarks" / "scale")
    args = parser.parse_args()
    pred, gt = make_folders(args.work, args.images, args.side)
    opener = partial(open_data, pred, gt, task="semantic", classes=CLASSES)
    keys = list(opener()[0].keys())
    best: dict[int, float] = {}
    tallies = []
    for _ in range(args.rounds):
        for workers in (1, 2):
            with (
                distributed.LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0") as cluster,
                distributed.Client(cluster) as client,
            ):
                taken, tally = counted(client, opener, keys)
            best[workers] = min(best.get(workers, taken), taken)
            tallies.append(tally)
    assert all(t == tallies[0] for t in tallies)
    print("| workers | s | images a second |\n|---:|---:|---:|")
    for workers, taken in best.items():
        print(f"| {workers} | {taken:.2f} | {args.images / taken:.0f} |")
    print(f"\nefficiency on two workers: {best[1] / (2 * best[2]):.2f} of ideal (best of {args.rounds} rounds)")


if __name__ == "__main__":
    main()
