"""Interleaved rounds of contenders in fresh processes, medians, and parity before any time is shown."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Samples:
    """What one contender did over the rounds; seconds of CPU and wall, MB."""

    name: str
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    total: list[float] = field(default_factory=list)
    rss: list[float] = field(default_factory=list)
    values: dict[str, float] = field(default_factory=dict)
    failure: str = ""

    def median(self, what: str) -> float:
        """The median over rounds of ``cpu``, ``wall``, ``total`` (the whole process's CPU) or ``rss``."""
        return statistics.median(getattr(self, what))

    def spread(self) -> float:
        """Half the range of the CPU times over their median."""
        return (max(self.cpu) - min(self.cpu)) / 2 / self.median("cpu")


def run_once(work: str, name: str, folder: Path) -> dict[str, Any]:
    """One fresh process; its own report plus the CPU of the whole process."""
    command = [sys.executable, "-m", "benchmarks.contender", work, name, str(folder)]
    threads = {f"{lib}_NUM_THREADS": "1" for lib in ("OMP", "OPENBLAS", "MKL", "RAYON")}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=ROOT, env={**os.environ, **threads})
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            lines = err.read().decode(errors="replace").strip().splitlines()
            raise RuntimeError(lines[-1] if lines else f"exit code {process.returncode}")
        report: dict[str, Any] = json.loads(out.read().decode().strip().splitlines()[-1])
    report["total"] = usage.ru_utime + usage.ru_stime
    return report


def race(work: str, names: Sequence[str], folder: Path, rounds: int, slow: Sequence[str] = ()) -> list[Samples]:
    """Run every contender once a round, in turn; the ones named slow only in the first round.

    A contender that fails, or whose values differ from the first one's by more than 1e-9, is reported as such and
    shows no time.
    """
    seen = {name: Samples(name) for name in names}
    run_warm(work, names[0], folder)
    for round_ in range(rounds):
        for name, samples in seen.items():
            if samples.failure or (round_ and name in slow):
                continue
            try:
                report = run_once(work, name, folder)
            except (RuntimeError, ValueError, IndexError) as error:
                samples.failure = str(error)[:120]
                continue
            for what in ("cpu", "wall", "total", "rss"):
                getattr(samples, what).append(float(report[what]))
            samples.values = report["values"]
            print(f"  {work:18s} {name:24s} CPU {report['cpu']:8.3f} s", file=sys.stderr)
    reference = seen[names[0]].values
    for samples in seen.values():
        for key, value in samples.values.items():
            if not abs(value - reference[key]) <= 1e-9:
                samples.failure = f"{key} is {value!r}, ours {reference[key]!r}"
    return list(seen.values())


def run_warm(work: str, name: str, folder: Path) -> None:
    """Fill the compile cache and the page cache before the first round."""
    run_once(work, name, folder)


def run_command(words: Sequence[str], seen: Samples, *, cold: bool) -> None:
    """Run ``segeval`` once as a user does, and note the whole process; `cold` gives it an empty compile cache."""
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryFile() as err:
        environment = {**os.environ, **({"NUMBA_CACHE_DIR": cache} if cold else {})}
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.contender", "command", *words],
            stdout=subprocess.DEVNULL,
            stderr=err,
            cwd=ROOT,
            env=environment,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        err.seek(0)
        lines = err.read().decode(errors="replace").strip().splitlines()
    if process.returncode:
        seen.failure = lines[-2] if len(lines) > 1 else f"exit code {process.returncode}"
        return
    cpu = usage.ru_utime + usage.ru_stime
    seen.cpu.append(cpu)
    seen.total.append(cpu)
    seen.wall.append(wall)
    seen.rss.append(float(lines[-1]))
