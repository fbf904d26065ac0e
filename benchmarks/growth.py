"""How cost grows: ``python -m benchmarks.growth`` writes GROWTH.md and growth.png.

Each series changes one size of a synthetic input and keeps the others; every point is the least CPU of several runs of
the library on one thread, compiled loops loaded. The exponent is the slope of log cost over log size.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import instance_inputs, pixel_inputs
from benchmarks.measure import ROOT
from segeval import Accumulator, score


@dataclass(frozen=True)
class Series:
    """One size that changes, and the CPU seconds at each of its values."""

    title: str
    size: str
    points: tuple[tuple[float, float], ...]

    @property
    def exponent(self) -> float:
        """The slope of log seconds over log size, by least squares."""
        x, y = np.log([p[0] for p in self.points]), np.log([p[1] for p in self.points])
        return float(np.polyfit(x, y, 1)[0])


def least(work: Callable[[], object], repeats: int) -> float:
    """The least CPU seconds of some runs, after one that warms up."""
    work()
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return min(seconds)


def images_semantic(work: Path, repeats: int) -> Series:
    """Label maps of one size, more and more of them."""
    points = []
    for count in (25, 50, 100, 200, 400):
        folder = pixel_inputs.write_semantic(work / f"images{count}", count, 256, 512, seed=11)
        points.append((count, least(lambda f=folder: _semantic(f), repeats)))  # type: ignore[misc]
    return Series("semantic, 512x256", "images", tuple(points))


def _semantic(folder: Path) -> object:
    return score(folder / "prediction", folder / "truth", task="semantic", classes=19, void=(255,), workers=1)


def pixels_semantic(work: Path, repeats: int) -> Series:
    """Twenty label maps, larger and larger."""
    points = []
    for height in (128, 256, 512, 1024, 2048):
        folder = pixel_inputs.write_semantic(work / f"height{height}", 20, height, 2 * height, seed=12)
        points.append((2 * height**2 / 1e6, least(lambda f=folder: _semantic(f), repeats)))  # type: ignore[misc]
    return Series("semantic, 20 images", "megapixels an image", tuple(points))


def classes_semantic(work: Path, repeats: int) -> Series:
    """Arrays of one size with more and more classes: the same map, its labels spread."""
    rng = np.random.default_rng(13)
    truth = pixel_inputs.street_map(rng, 512, 1024, 60) % 19
    prediction = pixel_inputs.warp(rng, truth, 3.0)
    points = []
    for classes in (19, 38, 76, 152, 250):
        spread = (np.arange(1024)[None, :] // 32 * 19) % classes
        a, b = ((m.astype(np.int64) + spread) % classes for m in (truth, prediction))

        def run(a: object = a.astype(np.uint8), b: object = b.astype(np.uint8), k: int = classes) -> None:
            seen = Accumulator("semantic", classes=k, void=(255,))
            for key in range(20):
                seen.update(prediction=b, truth=a, key=key)
            seen.compute()

        points.append((classes, least(run, repeats)))
    return Series("semantic arrays, 20 of 1024x512", "classes", tuple(points))


def images_panoptic(work: Path, repeats: int) -> Series:
    """Panoptic pairs, more and more of them."""
    points = []
    for count in (25, 50, 100, 200, 400):
        folder = pixel_inputs.write_panoptic(work / f"panoptic{count}", count, 240, 320, seed=14)
        run = lambda f=folder: score(f / "prediction.json", f / "truth.json", task="panoptic", workers=1)  # noqa: E731
        points.append((count, least(run, repeats)))
    return Series("panoptic, 320x240", "images", tuple(points))


def images_instance(work: Path, repeats: int) -> Series:
    """COCO results of more and more images."""
    points = []
    for count in (100, 200, 400, 800, 1600):
        paths = instance_inputs.write(work / f"instances{count}", count, seed=15)
        run = lambda p=paths: score(p["segm"], p["truth"], task="instance", workers=1)  # noqa: E731
        points.append((count, least(run, repeats)))
    return Series("instance masks, 30 detections an image", "images", tuple(points))


def detections_instance(work: Path, repeats: int) -> Series:
    """Discs in memory: as many detections as truths, more and more in each of 20 images."""
    points = []
    y, x = np.mgrid[:240, :320]
    for count in (5, 10, 20, 40, 80):
        rng = np.random.default_rng(16)
        centres = rng.uniform(0, (240, 320), (count, 2))
        truth = np.stack([(y - a) ** 2 + (x - b) ** 2 < 144 for a, b in centres])
        moved = np.roll(truth, 3, axis=2)
        labels, scores = rng.integers(0, 5, count), rng.random(count)

        def run(t: object = truth, p: object = moved, k: object = labels, s: object = scores) -> None:
            seen = Accumulator("instance", classes=5)
            for key in range(20):
                seen.update(prediction={"masks": p, "labels": k, "scores": s}, truth={"masks": t, "labels": k}, key=key)
            seen.compute()

        points.append((count, least(run, repeats)))
    return Series("instance masks in memory, 20 of 320x240", "detections an image", tuple(points))


SERIES = (images_semantic, pixels_semantic, classes_semantic, images_panoptic, images_instance, detections_instance)


def draw(found: list[Series], path: Path) -> None:
    """One panel a series, both axes logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import NullFormatter

    figure, panels = pyplot.subplots(2, 3, figsize=(12, 6.5), constrained_layout=True)
    for series, panel in zip(found, panels.flat, strict=False):
        size, seconds = zip(*series.points, strict=True)
        panel.loglog(size, [1000 * s for s in seconds], "o-", color="#2563eb")
        panel.set_xticks(size, [f"{s:.2g}" if s < 10 else f"{s:g}" for s in size])
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.set_title(f"{series.title}\nexponent {series.exponent:.2f}", fontsize=10)
        panel.set_xlabel(series.size)
        panel.set_ylabel("CPU ms")
        panel.grid(True, which="both", alpha=0.25)
    figure.savefig(path, dpi=90)


def main() -> None:
    """Measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        found = [series(Path(work), args.repeats) for series in SERIES]
    lines = ["# Growth", "", "`python -m benchmarks.growth`: least CPU milliseconds of several runs on one thread.", ""]
    for series in found:
        lines += [f"## {series.title}: exponent {series.exponent:.2f}", ""]
        lines.append(f"| {series.size} | " + " | ".join(f"{size:g}" for size, _ in series.points) + " |")
        lines.append("|---|" + "---:|" * len(series.points))
        lines += ["| CPU ms | " + " | ".join(f"{1000 * s:.1f}" for _, s in series.points) + " |", ""]
    lines += ["![Cost over size](growth.png)", ""]
    (args.out / "GROWTH.md").write_text("\n".join(lines))
    draw(found, args.out / "growth.png")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
