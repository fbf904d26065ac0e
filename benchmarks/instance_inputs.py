"""Seeded inputs of the instance benchmark: COCO-like truth and the results of an imaginary model.

Smooth polygons whose areas are spread as COCO's are (about two fifths small, a quarter large), a crowd in about one
image of fifteen as uncompressed counts, and about 30 results an image as compressed masks: moved and scaled copies of
the truth, some of them under a wrong class, duplicates, and false alarms. Scores are rounded to three decimals, so
many are equal.

    python -m benchmarks.instance_inputs --images 1000 --out FOLDER
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.kernels.decoding import polygon, rle

WIDTH, HEIGHT, CLASSES = 640, 480, 80
DETECTIONS = 30


def outline(rng: np.random.Generator, cx: float, cy: float, radius: float) -> NDArray[np.float64]:
    """A closed smooth outline around a centre, (points, 2), clipped to the image and rounded as COCO's are."""
    points = int(np.clip(8 + radius / 3, 8, 60)) + int(rng.integers(0, 6))
    angle = np.sort(rng.uniform(0, 2 * np.pi, points))
    waves = np.zeros(points)
    for k in range(2, 6):
        waves += rng.normal(0, 0.18 / k) * np.cos(k * angle + rng.uniform(0, 6.3))
    stretch = np.exp(rng.normal(0, 0.3))
    r = radius * np.maximum(0.3, 1 + waves)
    x = np.clip(cx + r * np.cos(angle) * stretch, 0, WIDTH)
    y = np.clip(cy + r * np.sin(angle) / stretch, 0, HEIGHT)
    return np.round(np.column_stack([x, y]), 2)


class Rasteriser:
    """Outlines to runs, through the compiled loop that is checked against the official one."""

    def __init__(self) -> None:
        self.slots = np.empty((2, WIDTH), np.int32)
        self.scratch = [np.empty(1 << 16, np.int32) for _ in range(3)]

    def runs(self, shape: NDArray[np.float64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        one = np.ones(1, np.int64)
        first, stop = np.zeros(1, np.int64), np.zeros(1, np.int64)
        kinds, codes = np.full(1, rle.POLYGON, np.uint8), np.zeros(1, np.uint8)
        rings = np.array([0, shape.size], np.int64)
        size, place = (HEIGHT * one, WIDTH * one), (first, stop, codes)
        starts, ends, toggles = self.scratch
        _, cursor, _ = polygon.rasterise(
            0, kinds, 0 * one, one, rings, shape.ravel(), *size, starts, ends, 0, *place, toggles, self.slots
        )
        return starts[:cursor].copy(), ends[:cursor].copy()


def _box(shape: NDArray[np.float64]) -> list[float]:
    low, high = shape.min(axis=0), shape.max(axis=0)
    return [round(float(v), 2) for v in (*low, *(high - low))]


def _area(shape: NDArray[np.float64]) -> float:
    x, y = shape.T
    return round(abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2, 4)


class Model:
    """The imaginary model's results, as masks and as boxes."""

    def __init__(self) -> None:
        self.raster = Rasteriser()
        self.masks: list[dict[str, Any]] = []
        self.boxes: list[dict[str, Any]] = []

    def detect(self, image: int, kind: int, shape: NDArray[np.float64], score: float) -> None:
        starts, ends = self.raster.runs(shape)
        if not len(starts):
            return
        head = {"image_id": image, "category_id": kind}
        text = rle.encode(starts, ends, 0, len(starts), HEIGHT * WIDTH).tobytes().decode()
        segmentation = {"size": [HEIGHT, WIDTH], "counts": text}
        self.masks.append({**head, "segmentation": segmentation, "score": round(score, 3)})
        self.boxes.append({**head, "bbox": _box(shape), "score": round(score, 3)})


def generate(images: int, seed: int = 0) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    """Truth, results with masks, results with boxes."""
    rng = np.random.default_rng(seed)
    model = Model()
    popularity = 1 / np.arange(1, CLASSES + 1) ** 0.8
    popularity /= popularity.sum()
    truth: dict[str, Any] = {"info": {"description": "generated"}, "images": [], "annotations": [], "categories": []}
    truth["categories"] = [{"id": k + 1, "name": f"class {k + 1}", "supercategory": "thing"} for k in range(CLASSES)]
    for image in np.sort(rng.choice(600_000, images, replace=False) + 1).tolist():
        name = f"{image:012d}.jpg"
        truth["images"].append({"file_name": name, "height": HEIGHT, "width": WIDTH, "id": image, "license": 1})
        kinds = rng.choice(CLASSES, int(rng.integers(1, 5)), p=popularity) + 1
        found = 0
        for _ in range(int(np.clip(rng.geometric(0.14), 1, 25))):
            kind = int(rng.choice(kinds))
            radius = float(np.clip(np.exp(rng.normal(3.3, 0.95)), 3, 220))
            shape = outline(rng, rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT), radius)
            if _area(shape) < 10:
                continue
            annotation = {"segmentation": [shape.ravel().tolist()], "area": _area(shape), "iscrowd": 0}
            annotation |= {"image_id": image, "bbox": _box(shape), "category_id": kind}
            truth["annotations"].append(annotation | {"id": len(truth["annotations"]) + 1})
            for _ in range(int(rng.integers(1, 5))):
                quality = rng.beta(5, 2)
                moved = (shape - shape.mean(axis=0)) * rng.normal(1, 0.25 * (1 - quality), 2) + shape.mean(axis=0)
                moved += rng.normal(0, 0.35 * (1 - quality) * radius, 2) + rng.normal(0, 0.02 * radius, shape.shape)
                moved = np.round(np.clip(moved, 0, (WIDTH, HEIGHT)), 2)
                wrong = rng.random() < 0.12
                model.detect(image, int(rng.choice(kinds)) if wrong else kind, moved, quality * rng.beta(4, 2))
                found += 1
        if rng.random() < 0.067:
            number = len(truth["annotations"]) + 1
            truth["annotations"].append(_crowd(rng, model.raster, image, int(rng.choice(kinds)), number))
        for _ in range(max(0, int(rng.normal(DETECTIONS, 5)) - found)):
            radius = float(np.clip(np.exp(rng.normal(3.2, 0.9)), 3, 200))
            shape = outline(rng, rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT), radius)
            model.detect(image, int(rng.choice(kinds)), shape, rng.beta(1.2, 8))
    return truth, model.masks, model.boxes


def _crowd(rng: np.random.Generator, raster: Rasteriser, image: int, kind: int, number: int) -> dict[str, Any]:
    """Several outlines together, as uncompressed counts."""
    flat = np.zeros(HEIGHT * WIDTH, np.uint8)
    cx, cy = rng.uniform(100, WIDTH - 100), rng.uniform(100, HEIGHT - 100)
    for _ in range(int(rng.integers(3, 9))):
        starts, ends = raster.runs(outline(rng, cx + rng.normal(0, 70), cy + rng.normal(0, 30), rng.uniform(15, 60)))
        rle.paint(starts, ends, 0, len(starts), flat)
    border = np.flatnonzero(np.diff(np.concatenate([[0], flat, [2]])))
    counts = np.diff(np.concatenate([[0], border])).tolist()
    columns, rows = np.divmod(np.flatnonzero(flat), HEIGHT)
    x, y = int(columns.min()), int(rows.min())
    box = [x, y, int(columns.max()) + 1 - x, int(rows.max()) + 1 - y]
    annotation = {"segmentation": {"counts": counts, "size": [HEIGHT, WIDTH]}, "area": int(flat.sum()), "iscrowd": 1}
    return annotation | {"image_id": image, "bbox": box, "category_id": kind, "id": number}


def write(folder: Path, images: int, seed: int = 0) -> dict[str, Path]:
    """Write the three JSON files, unless they are there; their paths by name."""
    paths = {name: folder / f"{name}.json" for name in ("truth", "segm", "bbox")}
    if not all(p.is_file() for p in paths.values()):
        folder.mkdir(parents=True, exist_ok=True)
        for path, content in zip(paths.values(), generate(images, seed), strict=True):
            path.write_text(json.dumps(content))
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    for name, path in write(options.out, options.images, options.seed).items():
        print(f"{name}: {path} ({path.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
