"""``python -m benchmarks.scale``: hundreds of thousands of images by the usual code path, clock and memory watched.

The images are small and few distinct ones under many names (hard links), so that what is measured is what grows with
their number: listing, pairing, reading, rows. The table and the plot say what grows and what does not.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
DISTINCT = 500
SIDE = 128
CLASSES = 19
POINTS = 20


def make_folders(root: Path, images: int, side: int = SIDE) -> tuple[Path, Path]:
    """Prediction and truth folders of so many names; made once."""
    root = root / str(side)
    done = root / f"made-{images}"
    pred, gt = root / f"pred-{images}", root / f"gt-{images}"
    if done.exists():
        return pred, gt
    rng = np.random.default_rng(0)
    distinct = root / "distinct"
    if not distinct.exists():
        make_distinct(distinct, rng, side)
    for what, folder in (("pred", pred), ("gt", gt)):
        for i in range(images):
            place = folder / f"{i // 1000:04d}"
            if i % 1000 == 0:
                place.mkdir(parents=True, exist_ok=True)
            os.link(distinct / f"{what}{i % DISTINCT}.png", place / f"{i:07d}.png")
    done.touch()
    return pred, gt


def make_distinct(folder: Path, rng: np.random.Generator, side: int) -> None:
    """The pairs of label maps that all names share."""
    folder.mkdir(parents=True)
    for k in range(DISTINCT):
        cells = rng.integers(0, CLASSES, (8, 8)).astype(np.uint8)
        truth = np.kron(cells, np.ones((side // 8, side // 8), np.uint8))
        guess = np.where(rng.random(truth.shape) < 0.02, rng.integers(0, CLASSES), truth).astype(np.uint8)
        Image.fromarray(truth).save(folder / f"gt{k}.png")
        Image.fromarray(np.roll(guess, 3, 1)).save(folder / f"pred{k}.png")


def resident() -> float:
    """This process's resident memory in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure(pred: Path, gt: Path, collapse: bool, workers: int) -> dict[str, Any]:
    """Score, and look at clock and memory on the way."""
    from segeval import score

    points: list[tuple[int, float, float, float]] = []
    start = time.perf_counter()

    def look(done: int, total: int) -> None:
        if done * POINTS // total > len(points) - 1 or done == total:
            points.append((done, time.perf_counter() - start, time.process_time(), resident()))

    result = score(pred, gt, task="semantic", classes=CLASSES, workers=workers, collapse=collapse, progress=look)
    whole = time.perf_counter() - start
    assert result.tally is not None
    tables = result.tally.tables.values()
    rows = sum(len(t) for t in tables)
    size = sum(c.nbytes for t in tables for c in t.columns().values())
    return {
        "points": points,
        "seconds": whole,
        "cpu": time.process_time(),
        "rows": rows,
        "row_mb": size / 1e6,
        "images": result.images,
        "mIoU": result["mIoU"],
        "end_mb": resident(),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
    }


def table(reports: dict[str, dict[str, Any]]) -> str:
    """Time per image and memory at each point, in Markdown."""
    names = list(reports)
    head = "| images |" + "".join(f" {n}: CPU us an image | {n}: MB |" for n in names)
    lines = [head, "|" + "---:|" * (1 + 2 * len(names))]
    for k in range(1, min(len(r["points"]) for r in reports.values())):
        cells = []
        for name in names:
            (a, _, c0, _), (b, _, c1, memory) = reports[name]["points"][k - 1 : k + 1]
            cells.append(f" {1e6 * (c1 - c0) / max(b - a, 1):.0f} | {memory:.0f} |")
        lines.append(f"| {reports[names[0]]['points'][k][0]} |" + "".join(cells))
    return "\n".join(lines)


def plot(reports: dict[str, dict[str, Any]], path: Path) -> None:
    """Both curves as a picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    for name, report in reports.items():
        points = np.array(report["points"])
        cost = 1e6 * np.diff(points[:, 2]) / np.maximum(np.diff(points[:, 0]), 1)
        left.plot(points[1:, 0] / 1000, cost, marker=".", label=name)
        right.plot(points[:, 0] / 1000, points[:, 3], marker=".", label=name)
    left.set(xlabel="thousand images", ylabel="CPU µs an image", ylim=(0, None))
    right.set(xlabel="thousand images", ylabel="resident MB", ylim=(0, None))
    right.legend(frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Make, measure in fresh processes, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "segeval-benchmarks" / "scale")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks", help="where SCALE.md and scale.png go")
    parser.add_argument("--one", choices=("rows", "collapse"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    pred, gt = make_folders(args.work, args.images)
    if args.one:
        print(json.dumps(measure(pred, gt, args.one == "collapse", args.workers)))
        return
    reports = {}
    for name in ("rows", "collapse"):
        command = [sys.executable, "-m", "benchmarks.scale", "--one", name, "--images", str(args.images)]
        command += ["--workers", str(args.workers), "--work", str(args.work)]
        out = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
        reports[name] = json.loads(out.splitlines()[-1])
    assert reports["rows"]["mIoU"] == reports["collapse"]["mIoU"]
    lines = [
        f"# {args.images} images of {SIDE} x {SIDE} pixels, {args.workers} thread(s)",
        "",
        f"`python -m benchmarks.scale --images {args.images} --workers {args.workers}`",
        "",
        "| | wall s | CPU s | rows | MB of rows | MB at the end | MB at most |",
        "|---|---:|---:|---:|---:|---:|---:|",
        *(
            f"| {name} | {r['seconds']:.1f} | {r['cpu']:.1f} | {r['rows']} | {r['row_mb']:.1f} | {r['end_mb']:.0f} "
            f"| {r['peak_mb']:.0f} |"
            for name, r in reports.items()
        ),
        "",
        "![CPU per image and memory](scale.png)",
        "",
        table(reports),
    ]
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "SCALE.md").write_text("\n".join(lines) + "\n")
    plot(reports, args.out / "scale.png")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
