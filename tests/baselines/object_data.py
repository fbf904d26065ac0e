"""Small data sets with objects, written in each of the layouts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Array = np.ndarray[Any, Any]

HEIGHT, WIDTH = 10, 12
CATEGORIES = (
    {"id": 3, "name": "cat", "supercategory": "animal", "isthing": 1},
    {"id": 7, "name": "dog", "supercategory": "animal", "isthing": 1},
    {"id": 9, "name": "bus", "supercategory": "vehicle", "isthing": 1},
    {"id": 20, "name": "grass", "supercategory": "plant", "isthing": 0},
    {"id": 21, "name": "tree", "supercategory": "plant", "isthing": 0},
)


def picture(seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> Array:
    """A random image."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def save(path: Path, pixels: Array) -> None:
    """An array as an image file, its folders made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def box(top: int, left: int, bottom: int, right: int) -> Array:
    """The mask of a box."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top:bottom, left:right] = True
    return mask


def counts(mask: Array) -> list[int]:
    """COCO's uncompressed run lengths."""
    flat = np.concatenate(([0], mask.T.ravel().astype(int), [2]))
    borders = np.flatnonzero(np.diff(flat) != 0)
    return np.diff(np.concatenate(([0], borders))).tolist()


def write_coco(root: Path, split: str = "train") -> list[Array]:
    """An instances JSON with a polygon, both run lengths and a crowd, and an image without annotations."""
    from segeval.scenes.writers import encode_mask

    masks = [box(1, 2, 4, 6), box(5, 0, 9, 3), box(3, 4, 8, 11), box(0, 8, 10, 12)]
    left, top, right, bottom = 2, 1, 6, 4
    forms: list[Any] = [
        [[left, top, right, top, right, bottom, left, bottom]],
        encode_mask(masks[1]),
        {"size": [HEIGHT, WIDTH], "counts": counts(masks[2])},
        {"size": [HEIGHT, WIDTH], "counts": counts(masks[3])},
    ]
    annotations = [
        {"id": k, "image_id": 41, "category_id": c, "segmentation": f, "iscrowd": int(k == 3), "area": 1, "bbox": []}
        for k, (c, f) in enumerate(zip((7, 3, 9, 3), forms, strict=True))
    ]
    for entry in annotations:
        del entry["bbox"], entry["area"]
    images = [
        {"id": 41, "file_name": "one.png", "height": HEIGHT, "width": WIDTH},
        {"id": 40, "file_name": "two.png", "height": HEIGHT, "width": WIDTH},
    ]
    for k, entry in enumerate(images):
        save(root / f"{split}2017" / str(entry["file_name"]), picture(k))
    document = {"images": images, "annotations": annotations, "categories": list(CATEGORIES[:3])}
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    (root / "annotations" / f"instances_{split}2017.json").write_text(json.dumps(document))
    return masks


def write_panoptic(root: Path, split: str = "val") -> Array:
    """Segments of two animals (one of them a crowd), a bus, grass and a tree, with a void column; returns the ids."""
    ids = np.full((HEIGHT, WIDTH), 500_000, np.int32)  # grass
    ids[:3] = 70  # tree
    ids[4:7, 1:4] = 900  # dog
    ids[4:7, 4:6] = 65_537  # cat
    ids[7:9, 6:11] = 12  # bus
    ids[:, -1] = 0
    segments = [(900, 7, 0), (65_537, 3, 1), (12, 9, 0), (500_000, 20, 0), (70, 21, 0)]
    info = [{"id": i, "category_id": c, "iscrowd": g, "area": int((ids == i).sum())} for i, c, g in segments]
    colours = np.stack([ids & 255, (ids >> 8) & 255, ids >> 16], axis=-1).astype(np.uint8)
    save(root / "panoptic" / split / "one.png", colours)
    save(root / "images" / split / "one.png", picture())
    document = {
        "images": [{"id": 5, "file_name": "one.png", "height": HEIGHT, "width": WIDTH}],
        "annotations": [{"image_id": 5, "file_name": "one.png", "segments_info": info}],
        "categories": list(CATEGORIES),
    }
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    (root / "annotations" / f"panoptic_{split}.json").write_text(json.dumps(document))
    return ids


def write_nuclei(root: Path) -> Array:
    """The layout of dsb2018: an index, images, 16-bit maps; one image a split."""
    ids = np.zeros((HEIGHT, WIDTH), np.uint16)
    ids[0:5, 1:5], ids[0:5, 5:9], ids[6:9, 2:9] = 1, 2, 300
    lines = ["id,file,split,width,height"]
    for k, split in enumerate(("train", "val", "test"), 1):
        save(root / "images" / f"n{k}.png", picture(k))
        save(root / "masks" / f"n{k}.png", ids)
        lines.append(f"{k},n{k},{split},{WIDTH},{HEIGHT}")
    (root / "index.csv").write_text("\n".join(lines) + "\n")
    return ids


def write_instances(root: Path) -> Array:
    """Images and maps of class * 1000 + instance, a crowd and stuff among them, with lists and classes."""
    ids = np.zeros((HEIGHT, WIDTH), np.uint16)
    ids[0:3, 0:3], ids[0:3, 3:6], ids[5:9, 1:5], ids[5:9, 6:9], ids[9] = 1001, 1002, 2001, 2, 3
    for stem in ("a", "b"):
        save(root / "images" / f"{stem}.png", picture())
        save(root / "masks" / f"{stem}.png", ids)
    (root / "train.txt").write_text("a\n")
    (root / "val.txt").write_text("b\n")
    classes = [("cell", 1, 1), ("tissue", 2, 1), ("slide", 3, 0)]
    text = json.dumps([{"name": n, "id": i, "isthing": t} for n, i, t in classes])
    (root / "classes.json").write_text(text)
    return ids
