"""Seeded inputs of the semantic and panoptic benchmarks: made once, reused by every contender of a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segeval.samples.taxonomy import Taxonomy

CLASSES = 19
VOID = 255


def _smooth(rng: np.random.Generator, height: int, width: int, cell: int) -> NDArray[np.float64]:
    """Noise that varies over `cell` pixels: bilinear between random grid values."""
    rows, columns = height // cell + 2, width // cell + 2
    grid = rng.standard_normal((rows, columns))
    y, x = np.arange(height) / cell, np.arange(width) / cell
    r, c = y.astype(int), x.astype(int)
    fy, fx = (y - r)[:, None], (x - c)[None, :]
    top = grid[r][:, c] * (1 - fx) + grid[r][:, c + 1] * fx
    low = grid[r + 1][:, c] * (1 - fx) + grid[r + 1][:, c + 1] * fx
    return np.asarray(top * (1 - fy) + low * fy)


def street_map(rng: np.random.Generator, height: int, width: int, objects: int) -> NDArray[np.uint8]:
    """A label map like a street's: layers with ragged borders, objects of many sizes, unlabelled patches."""
    out = np.empty((height, width), np.uint8)
    wave = _smooth(rng, height, width, 64) * height / 40 + _smooth(rng, height, width, 6) * height / 300
    level = np.arange(height)[:, None] + wave
    bands = np.sort(rng.uniform(0.1, 0.95, 5)) * height
    labels = rng.permutation(CLASSES)[:6]
    out[:] = labels[np.searchsorted(bands, level)]
    ragged = _smooth(rng, height, width, 5)
    for _ in range(objects):
        size = height * float(np.exp(rng.uniform(np.log(0.01), np.log(0.25))))
        tall, broad = size * rng.uniform(0.6, 1.8), size * rng.uniform(0.6, 1.8)
        cy, cx = rng.uniform(0.2, 1.0) * height, rng.uniform(0, 1) * width
        y0, y1 = max(0, int(cy - tall)), min(height, int(cy + tall) + 1)
        x0, x1 = max(0, int(cx - broad)), min(width, int(cx + broad) + 1)
        if y0 >= y1 or x0 >= x1:
            continue
        y, x = np.mgrid[y0:y1, x0:x1]
        inside = ((y - cy) / tall) ** 2 + ((x - cx) / broad) ** 2 + 0.08 * ragged[y0:y1, x0:x1] < 0.8
        label = VOID if rng.random() < 0.08 else int(rng.integers(CLASSES))
        out[y0:y1, x0:x1][inside] = label
    return out


def warp(rng: np.random.Generator, labels: NDArray[np.uint8], amount: float) -> NDArray[np.uint8]:
    """Labels as a model might give them: moved by a smooth field of `amount` pixels."""
    height, width = labels.shape[:2]
    dy, dx = (_smooth(rng, height, width, 24) * amount for _ in range(2))
    y = np.clip(np.arange(height)[:, None] + dy, 0, height - 1).astype(np.intp)
    x = np.clip(np.arange(width)[None, :] + dx, 0, width - 1).astype(np.intp)
    return np.ascontiguousarray(labels[y, x])


def predicted(rng: np.random.Generator, truth: NDArray[np.uint8], amount: float) -> NDArray[np.uint8]:
    """A full prediction: warped truth, some classes confused, void filled with a class."""
    out = warp(rng, truth, amount)
    table = np.arange(256, dtype=np.uint8)
    a, b = rng.permutation(CLASSES)[:2]
    out = table[out]
    half = out[:, : out.shape[1] // 3]
    half[half == a] = b
    out[out == VOID] = rng.integers(CLASSES)
    return out


def write_semantic(folder: Path, images: int, height: int, width: int, seed: int) -> Path:
    """A folder with `truth` and `prediction`, 8-bit grey PNGs."""
    done = folder / "done"
    if done.exists():
        return folder
    for side in ("truth", "prediction"):
        (folder / side).mkdir(parents=True, exist_ok=True)
    for k in range(images):
        rng = np.random.default_rng([seed, k])
        truth = street_map(rng, height, width, 60)
        for side, labels in (("truth", truth), ("prediction", predicted(rng, truth, height / 200))):
            Image.fromarray(labels).save(folder / side / f"{k:05d}.png")
    (folder / "settings.json").write_text(json.dumps({"classes": CLASSES, "void": VOID}))
    done.write_text("")
    return folder


def warp_folders(sources: Sequence[Path], target: Path, seed: int, classes: int, void: int) -> Path:
    """Real label maps as published, and the same ones warped as predictions."""
    done = target / "done"
    if done.exists():
        return target
    for side in ("truth", "prediction"):
        (target / side).mkdir(parents=True, exist_ok=True)
    paths = [path for source in sources for path in sorted(source.glob("*.png"))]
    for k, path in enumerate(paths):
        (target / "truth" / path.name).write_bytes(path.read_bytes())
        labels = warp(np.random.default_rng([seed, k]), np.asarray(Image.open(path)), 2.0)
        # Peers refuse or miscount a void prediction, so a class is predicted there.
        labels = np.where(labels == void, 1, labels).astype(np.uint8)
        Image.fromarray(labels).save(target / "prediction" / path.name)
    (target / "settings.json").write_text(json.dumps({"classes": classes, "void": void}))
    done.write_text("")
    return target


def write_panoptic(folder: Path, images: int, height: int, width: int, seed: int) -> Path:
    """COCO panoptic truth and predictions of synthetic scenes, about 15 segments each."""
    done = folder / "done"
    if done.exists():
        return folder
    taxonomy = Taxonomy(tuple(range(1, 31)), things=tuple(k < 20 for k in range(30)))
    categories = [
        {"id": i, "name": n, "isthing": int(t)}
        for i, n, t in zip(taxonomy.ids, taxonomy.names, taxonomy.things or (), strict=True)
    ]
    sides: dict[str, list[dict[str, object]]] = {"truth": [], "prediction": []}
    for k in range(images):
        rng = np.random.default_rng([seed, k])
        truth = street_map(rng, height, width, 14).astype(np.uint8)
        for side, labels in (("truth", truth), ("prediction", warp(rng, truth, 2.0))):
            colours, segments = _segments(labels, np.random.default_rng([seed, k, 1]))
            (folder / side).mkdir(parents=True, exist_ok=True)
            Image.fromarray(colours).save(folder / side / f"{k:05d}.png")
            sides[side].append({"image_id": k, "file_name": f"{k:05d}.png", "segments_info": segments})
    for side, entries in sides.items():
        listed = [{"id": k, "file_name": f"{k:05d}.jpg", "height": height, "width": width} for k in range(images)]
        (folder / f"{side}.json").write_text(
            json.dumps({"images": listed, "annotations": entries, "categories": categories})
        )
    done.write_text("")
    return folder


def _segments(labels: NDArray[np.uint8], rng: np.random.Generator) -> tuple[NDArray[np.uint8], list[dict[str, int]]]:
    """One segment a label and third of the image, under random ids; void stays 0."""
    width = labels.shape[1]
    thirds = (np.arange(width) * 3 // width)[None, :]
    code = np.where(labels == VOID, 0, 1 + labels.astype(np.int64) * 3 + thirds)
    ids = rng.choice(2**24 - 1, 1 + 256 * 3, replace=False) + 1
    ids[0] = 0
    painted = ids[code]
    colours = np.stack([painted & 255, painted >> 8 & 255, painted >> 16 & 255], -1).astype(np.uint8)
    segments = []
    for value, area in zip(*np.unique(code, return_counts=True), strict=True):
        if value:
            category = 1 + int(value - 1) // 3
            segments.append({"id": int(ids[value]), "category_id": category, "iscrowd": 0, "area": int(area)})
    return colours, segments


def warp_panoptic(sources: Sequence[tuple[Path, Path]], target: Path, seed: int) -> Path:
    """Real COCO panoptic truths (JSON, folder) as one, and its warped copies as predictions."""
    done = target / "done"
    if done.exists():
        return target
    for side in ("truth", "prediction"):
        (target / side).mkdir(parents=True, exist_ok=True)
    truths: list[dict[str, Any]] = []
    predictions: list[dict[str, Any]] = []
    categories: Any = None
    for json_path, pngs in sources:
        data = json.loads(json_path.read_text())
        categories = data["categories"]
        for entry in data["annotations"]:
            name = entry["file_name"]
            (target / "truth" / name).write_bytes((pngs / name).read_bytes())
            rng = np.random.default_rng([seed, len(truths)])
            colours = warp(rng, np.asarray(Image.open(pngs / name).convert("RGB")), 2.0)
            Image.fromarray(colours).save(target / "prediction" / name)
            painted = colours.astype(np.int64) @ np.array([1, 256, 65536])
            areas = dict(zip(*(v.tolist() for v in np.unique(painted, return_counts=True)), strict=True))
            kept = [{**s, "area": areas[s["id"]], "iscrowd": 0} for s in entry["segments_info"] if s["id"] in areas]
            truths.append(entry)
            predictions.append({**entry, "segments_info": kept})
    for side, entries in (("truth", truths), ("prediction", predictions)):
        (target / f"{side}.json").write_text(json.dumps({"annotations": entries, "categories": categories}))
    done.write_text("")
    return target


def repeat_pairs(source: Path, target: Path, times: int) -> Path:
    """The pairs of a folder again and again under other names, as links: long runs, without long preparation."""
    done = target / "done"
    if done.exists():
        return target
    for side in ("truth", "prediction"):
        (target / side).mkdir(parents=True, exist_ok=True)
        for path in sorted((source / side).glob("*.png")):
            for turn in range(times):
                link = target / side / f"{turn:04}-{path.name}"
                link.unlink(missing_ok=True)
                link.hardlink_to(path)
        if (listed := source / f"{side}.json").exists():
            data = json.loads(listed.read_text())
            data["annotations"] = [
                {**entry, "image_id": entry["image_id"] + 10**9 * turn, "file_name": f"{turn:04}-{entry['file_name']}"}
                for turn in range(times)
                for entry in data["annotations"]
            ]
            (target / f"{side}.json").write_text(json.dumps(data))
    if (settings := source / "settings.json").exists():
        (target / "settings.json").write_text(settings.read_text())
    done.write_text("")
    return target
