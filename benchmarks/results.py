"""From measurements to RESULTS.md: the rows that are lost come first."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contender import version_of
from benchmarks.measure import Samples

PACKAGES = (
    "segeval", "numpy", "numba", "deflate", "pillow", "hotcoco", "vernier", "ultrafast-pycocotools",
    "faster-coco-eval", "pycocotools", "panopticapi-lite", "torchmetrics", "torch", "opencv-python-headless",
)  # fmt: skip


@dataclass(frozen=True)
class Goal:
    """Ours is to need at most 1 / `ratio` of a peer's CPU, or of its ``wall`` time."""

    peer: str
    ratio: float
    what: str = "cpu"


@dataclass(frozen=True)
class Row:
    """One piece of work on one input; the first contender is ours."""

    work: str
    given: str
    images: int
    samples: list[Samples]
    goals: tuple[Goal, ...] = ()

    def ratio(self, peer: str, what: str = "cpu") -> float | None:
        """The peer's CPU (or ``wall`` time) over ours, medians; None where the peer did not run."""
        ours = self.samples[0]
        for samples in self.samples:
            if samples.name == peer and not samples.failure and not ours.failure and samples.cpu:
                return samples.median(what) / ours.median(what)
        return None


def _command() -> str:
    """What was run, without the places of files."""
    words, placed = ["python -m benchmarks"], False
    for word in sys.argv[1:]:
        if not placed and word not in ("--work", "--out"):
            words.append(word)
        placed = word in ("--work", "--out")
    return " ".join(words)


def _machine() -> str:
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return f"{name}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def _table(row: Row) -> list[str]:
    lines = [
        f"### {row.work}: {row.given}",
        "",
        "| contender | CPU ms / image | ± | wall ms / image | CPU against ours | whole process CPU s | peak MB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for s in row.samples:
        if s.failure or not s.cpu:
            lines.append(f"| {s.name} | not timed: {s.failure or 'did not run'} | | | | | |")
            continue
        per = 1000 / row.images
        against = row.ratio(s.name)
        lines.append(
            f"| {s.name} | {s.median('cpu') * per:.3f} | {s.spread():.0%} | {s.median('wall') * per:.3f} | "
            f"{'–' if against is None else f'{against:.2f}x'} | {s.median('total'):.2f} | {s.median('rss'):.0f} |"
        )
    return [*lines, ""]


def _goals(rows: list[Row]) -> list[str]:
    verdicts = []
    for row in rows:
        for goal in row.goals:
            reached = row.ratio(goal.peer, goal.what)
            if reached is not None:
                verdicts.append((reached / goal.ratio, row, goal, reached))
    verdicts.sort(key=lambda v: v[0])
    lines = ["| work | peer | goal | reached | |", "|---|---|---:|---:|---|"]
    for share, row, goal, reached in verdicts:
        verdict = "met" if share >= 1 else "**missed**"
        peer = f"{goal.peer}, wall time" if goal.what == "wall" else goal.peer
        lines.append(f"| {row.work}, {row.given} | {peer} | {goal.ratio:g}x | {reached:.2f}x | {verdict} |")
    return [*lines, ""]


def write_results(rows: list[Row], path: Path | None, rounds: int) -> None:
    """Print the results, and write them where asked."""
    lost = [
        row for row in rows if any((row.ratio(s.name) or 9) < 1 for s in row.samples[1:] if "segeval" not in s.name)
    ]
    versions = ", ".join(f"{name} {version_of(name)}" for name in PACKAGES)
    lines = [
        "# Results",
        "",
        f"`{_command()}`: {rounds} rounds, contenders interleaved, each run in",
        "a fresh process, parity of the values checked before any time is shown. CPU is the process's own, of the work",
        "without imports; medians; ± is half the range. We check all that normal use does (CRC, digest).",
        "",
        f"Machine: {_machine()} (shared, so ratios say more than times).",
        f"Versions: {versions}.",
        "",
        "## Rows that we lose",
        "",
        *([f"- {row.work}, {row.given}" for row in lost] or ["None."]),
        "",
        "## Goals, the tightest first",
        "",
        *_goals(rows),
        "## All rows",
        "",
        *(line for row in rows for line in _table(row)),
    ]
    text = "\n".join(lines)
    print(text)
    if path is not None:
        path.write_text(text)
