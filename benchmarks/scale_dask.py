"""``python -m benchmarks.scale_dask``: what a local cluster of two processes gains over one thread.

Two figures. The share of the processes' CPU time that counts images needs no idle machine: all else (messages, the
scheduler, adding up) is lost. The efficiency is the time of one thread over twice that of two workers, by the clock,
and means something on an idle machine only. Starting the processes and opening the data come before the clock.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import distributed

from benchmarks.scale import CLASSES, make_folders
from segeval.evidence.tally import Tally
from segeval.readers.reading import Reading
from segeval.samples.pairs import Key, Pair
from segeval.scoring.cluster import DaskEngine, local_cluster
from segeval.scoring.evaluation import evaluate
from segeval.scoring.opening import open_data

WORKERS = 2

_counting = [0.0]


@dataclass(frozen=True)
class Timed:
    """A rule that notes the CPU time of the threads that count."""

    rule: Any

    def observe(self, pairs: Iterable[Pair]) -> Tally:
        """Count, and add what it took."""
        start = time.thread_time()
        try:
            tally: Tally = self.rule.observe(pairs)
            return tally
        finally:
            _counting[0] += time.thread_time() - start


def open_timed(pred: Path, gt: Path) -> tuple[Any, Timed]:
    """The data, and the rule that notes its time."""
    source, rule = open_data(Reading(pred, gt, classes=CLASSES), "semantic")
    return source, Timed(rule)


def spent() -> tuple[float, float]:
    """CPU seconds of this process that counted images, and all."""
    return _counting[0], time.process_time()


class Run(NamedTuple):
    """Seconds of one run: by the clock, and of CPU time in counting, in the rest of the workers, and in the driver."""

    wall: float
    counting: float
    workers: float
    driver: float

    @property
    def share(self) -> float:
        """The part of all CPU time that counts."""
        return self.counting / (self.counting + self.workers + self.driver)


@dataclass(frozen=True)
class On:
    """The engine on a cluster that is at hand."""

    engine: DaskEngine
    client: Any

    def tallies(self, keys: Sequence[Key]) -> Iterator[Any]:
        """See `DaskEngine.on`."""
        return self.engine.on(self.client, keys)


def by_cluster(source: Any, rule: Any, engine: On) -> tuple[Run, Tally]:
    """One run on the cluster."""
    before, here, start = engine.client.run(spent), time.process_time(), time.perf_counter()
    tally = evaluate(source, rule, engine=engine)
    wall, here = time.perf_counter() - start, time.process_time() - here
    after = engine.client.run(spent)
    counting, whole = (sum(after[w][k] - before[w][k] for w in after) for k in (0, 1))
    return Run(wall, counting, whole - counting, here), tally


def by_thread(source: Any, rule: Any) -> tuple[Run, Tally]:
    """One run in one thread of this process."""
    counted, cpu, start = _counting[0], time.process_time(), time.perf_counter()
    tally = evaluate(source, rule, workers=1)
    wall, cpu, counted = time.perf_counter() - start, time.process_time() - cpu, _counting[0] - counted
    return Run(wall, counted, 0.0, cpu - counted), tally


def main() -> None:
    """Measure one thread and two workers in turn, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale_dask", description=__doc__)
    parser.add_argument("--images", type=int, default=5_000)
    parser.add_argument("--side", type=int, default=768, help="pixels")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "segeval-benchmarks" / "scale")
    args = parser.parse_args()
    pred, gt = make_folders(args.work, args.images, args.side)
    opener = partial(open_timed, pred, gt)
    source, rule = opener()
    runs: dict[str, list[Run]] = {"one thread": [], f"{WORKERS} workers": []}
    tallies = []
    with local_cluster(WORKERS) as cluster, distributed.Client(cluster) as client:
        engine = On(DaskEngine(opener), client)
        for _ in range(1 + args.rounds):  # the first opens the data, loads the kernels and fills the page cache
            for rows, (run, tally) in zip(
                runs.values(), (by_thread(source, rule), by_cluster(source, rule, engine)), strict=True
            ):
                rows.append(run)
                tallies.append(tally)
    assert all(t == tallies[0] for t in tallies)
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    print(f"{args.images} images of {args.side} x {args.side} pixels, medians of {args.rounds} rounds; load {load}\n")
    print("| | clock s | CPU s: counting | CPU s: rest of the workers | CPU s: driver, scheduler | share that counts |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, rows in runs.items():
        columns = (statistics.median(column) for column in zip(*rows[1:], strict=True))
        cells = " | ".join(f"{column:.2f}" for column in columns)
        print(f"| {name} | {cells} | {statistics.median(run.share for run in rows[1:]):.3f} |")
    one, many = (min(run.wall for run in rows[1:]) for rows in runs.values())
    print(
        f"\nefficiency by the clock: {one / (WORKERS * many):.2f} of ideal (best rounds: {one:.2f} s and {many:.2f} s)"
    )


if __name__ == "__main__":
    # By its importable name, so that workers share one module, with what it notes, and no copies.
    from benchmarks import scale_dask

    scale_dask.main()
