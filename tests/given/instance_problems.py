"""Random instance problems that hold the cases on which scorers differ, and the official scorer's answer to them."""

from __future__ import annotations

import contextlib
import copy
import io
import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as mask_api
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

HEIGHT, WIDTH = 130, 150

FEATURES = (
    "crowd",
    "tie_within",
    "tie_across",
    "half",
    "empty_image",
    "area_1024",
    "area_9216",
    "over_100",
    "empty_class",
    "equal_ious",
)


def rectangle(x: int, y: int, w: int, h: int) -> dict[str, Any]:
    """A filled rectangle as a compressed mask."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8, order="F")
    mask[y : y + h, x : x + w] = 1
    return compressed(mask)


def compressed(mask: np.ndarray) -> dict[str, Any]:
    rle = mask_api.encode(np.asfortranarray(mask))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


def counts(mask: np.ndarray) -> dict[str, Any]:
    """A mask as uncompressed counts."""
    flat = np.concatenate([[0], mask.T.ravel(), [2]])
    borders = np.flatnonzero(np.diff(flat)).tolist()
    values = [b - a for a, b in zip([0, *borders], borders, strict=False)]
    return {"size": [HEIGHT, WIDTH], "counts": values}


def _blob(rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    cy, cx = rng.uniform(0, HEIGHT), rng.uniform(0, WIDTH)
    ry, rx = rng.uniform(2, 50, 2)
    return (((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1).astype(np.uint8)


def problem(seed: int, features: set[str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """An instances JSON and results with masks and boxes; every feature that is asked for is in it."""
    rng = np.random.default_rng(seed)
    images = [{"id": int(i), "height": HEIGHT, "width": WIDTH} for i in rng.permutation(40)[: rng.integers(2, 5)] + 1]
    classes = [{"id": i, "name": f"c{i}"} for i in (2, 3, 7)]
    used = [2, 3] if "empty_class" in features else [2, 3, 7]
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []

    def truth(image: int, kind: int, segmentation: Any, area: float, box: list[float], crowd: int = 0) -> None:
        annotations.append(
            {"id": len(annotations) + 1, "image_id": image, "category_id": kind, "segmentation": segmentation}
            | {"area": area, "bbox": box, "iscrowd": crowd}
        )

    def result(image: int, kind: int, segmentation: Any, score: float) -> None:
        box = mask_api.toBbox({"size": segmentation["size"], "counts": segmentation["counts"].encode()}).tolist()
        results.append(
            {"image_id": image, "category_id": kind, "segmentation": segmentation, "bbox": box, "score": score}
        )

    digits = int(rng.integers(1, 4))
    filled = images[1:] if "empty_image" in features else images
    for image in filled:
        for _ in range(rng.integers(1, 6)):
            kind, mask = int(rng.choice(used)), _blob(rng)
            if not mask.any():
                continue
            box = mask_api.toBbox(mask_api.encode(np.asfortranarray(mask))).tolist()
            if rng.random() < 0.5:
                x, y, w, h = box
                polygon = [[x, y, x + w, y + 0.3 * h, x + w, y + h, x + 0.2 * w, y + h]]
                truth(image["id"], kind, polygon, 0.8 * w * h, box)
            else:
                truth(image["id"], kind, compressed(mask), float(mask.sum()), box)
            for _ in range(rng.integers(0, 4)):
                moved = np.roll(mask, tuple(rng.integers(-8, 9, 2)), (0, 1))
                result(
                    image["id"],
                    int(rng.choice([kind, kind, kind, rng.choice(used)])),
                    compressed(moved),
                    round(float(rng.random()), digits),
                )
    where = filled[-1]["id"]
    if "crowd" in features:
        mask = _blob(rng) | _blob(rng)
        mask[40:80, 40:80] = 1
        truth(where, 2, counts(mask), float(mask.sum()), [40, 40, 40, 40], 1)
        for k in range(3):
            result(where, 2, rectangle(42 + 9 * k, 45, 8, 20 + 30 * k), 0.5)
    if "half" in features:
        truth(where, 3, rectangle(10, 10, 20, 10), 200, [10, 10, 20, 10])
        result(where, 3, rectangle(10, 10, 10, 10), 0.6)
    for side, name in ((32, "area_1024"), (96, "area_9216")):
        if name in features:
            truth(where, 2, rectangle(5, 5, side, side), side * side, [5, 5, side, side])
            result(where, 2, rectangle(7, 5, side, side), 0.7)
            result(where, 3, rectangle(20, 20, side, side), 0.8)
    if "equal_ious" in features:
        for x in (60, 64):
            truth(where, 2, rectangle(x, 90, 20, 10), 200, [x, 90, 20, 10])
        result(where, 2, rectangle(62, 90, 20, 10), 0.9)  # as near to the one as to the other
        result(where, 2, rectangle(60, 90, 20, 10), 0.8)
        result(where, 2, rectangle(64, 90, 20, 10), 0.7)
    if "tie_within" in features:
        for k in range(4):
            result(where, 2, rectangle(5 + 9 * k, 5, 30, 32), 0.5)
    if "tie_across" in features:
        for image in images:
            result(image["id"], 3, rectangle(10, 10, 20, 12), 0.6)
            result(image["id"], 2, rectangle(10, 10, 30, 30), 0.5)
    if "over_100" in features:
        for _ in range(110):
            x, y = (int(v) for v in rng.integers(0, 60, 2))
            result(where, 2, rectangle(x, y, 40, 40), round(float(rng.random()), 2))
    rng.shuffle(annotations)  # type: ignore[arg-type]
    rng.shuffle(results)  # type: ignore[arg-type]
    for place, annotation in enumerate(annotations):
        annotation["id"] = place + 1
    return {"images": images, "annotations": annotations, "categories": classes}, results


def features_of(data: dict[str, Any], results: list[dict[str, Any]], iou: str) -> set[str]:
    """Which cases a problem really holds, found from the finished data."""
    found = set()
    by_cell: dict[tuple[int, int], list[dict[str, Any]]] = {}
    images_of: dict[tuple[int, float], set[int]] = {}
    for r in results:
        by_cell.setdefault((r["image_id"], r["category_id"]), []).append(r)
        images_of.setdefault((r["category_id"], r["score"]), set()).add(r["image_id"])
    if any(len({r["score"] for r in cell}) < len(cell) for cell in by_cell.values()):
        found.add("tie_within")
    if any(len(images) > 1 for images in images_of.values()):
        found.add("tie_across")
    if any(len(cell) > 100 for cell in by_cell.values()):
        found.add("over_100")
    if any(a["iscrowd"] for a in data["annotations"]):
        found.add("crowd")
    touched = {a["image_id"] for a in data["annotations"]}
    if any(i["id"] not in touched for i in data["images"]):
        found.add("empty_image")
    if {a["category_id"] for a in data["annotations"]} < {c["id"] for c in data["categories"]}:
        found.add("empty_class")
    for area in (1024, 9216):
        if any(a["area"] == area for a in data["annotations"]):
            found.add(f"area_{area}")
    near: dict[int, list[float]] = defaultdict(list)
    for a in data["annotations"]:
        for r in by_cell.get((a["image_id"], a["category_id"]), []):
            if isinstance(a["segmentation"], list) or a["iscrowd"]:
                continue
            pair = [[r["bbox"]], [a["bbox"]]] if iou == "bbox" else [[r["segmentation"]], [a["segmentation"]]]
            overlap = mask_api.iou(*pair, [0])[0, 0]
            if overlap == 0.5:
                found.add("half")
            near[id(r)].append(overlap)
    if any(len(set(ious)) < len(ious) for ious in ([v for v in own if v >= 0.5] for own in near.values())):
        found.add("equal_ious")
    return found


def official(
    data: dict[str, Any], results: list[dict[str, Any]], iou: str, change: Callable[[Any], None] | None = None
) -> COCOeval:
    """pycocotools' evaluation, quiet; `change` may set its parameters."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = copy.deepcopy(data)
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(copy.deepcopy(results)), iou)
        if change is not None:
            change(evaluation.params)
        evaluation.evaluate()
        evaluation.accumulate()
        if len(evaluation.params.maxDets) == 3:
            evaluation.summarize()
    return evaluation


def only(results: list[dict[str, Any]], *fields: str) -> list[dict[str, Any]]:
    """Results with image, category and score, and the named fields."""
    return [{k: r[k] for k in ("image_id", "category_id", "score", *fields)} for r in results]


def write(folder: Path, data: dict[str, Any], results: list[dict[str, Any]]) -> tuple[Path, Path]:
    """The two JSON files."""
    paths = folder / "truth.json", folder / "results.json"
    for path, content in zip(paths, (data, results), strict=True):
        path.write_text(json.dumps(content))
    return paths
