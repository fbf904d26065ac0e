"""Predictions made of the truth by known damage, of several kinds and strengths: ``python -m benchmarks.perturb``.

What a report or a comparison should say about such a run is known beforehand.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[Any]
Damage = Callable[[Array, float, np.random.Generator], Array]


def shift(labels: Array, strength: float, rng: np.random.Generator) -> Array:
    """Moved by some pixels, the edge repeated: errors at borders only."""
    d = max(1, round(strength))
    return np.pad(labels, ((d, 0), (d, 0)), mode="edge")[:-d, :-d]


def coarse(labels: Array, strength: float, rng: np.random.Generator) -> Array:
    """One label a block: ragged borders, small and thin things gone."""
    block = max(1, round(strength))
    height, width = labels.shape
    rows = np.minimum(np.arange(height) // block * block + block // 2, height - 1)
    columns = np.minimum(np.arange(width) // block * block + block // 2, width - 1)
    return np.ascontiguousarray(labels[rows[:, None], columns[None, :]])


def patches(labels: Array, strength: float, rng: np.random.Generator) -> Array:
    """Rectangles filled with a label from elsewhere in the image; the strength is the share of the area."""
    out = labels.copy()
    height, width = labels.shape
    for _ in range(rng.poisson(strength * 40)):
        h, w = (max(2, round(size * rng.uniform(0.06, 0.22))) for size in (height, width))
        y, x = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
        out[y : y + h, x : x + w] = labels[rng.integers(height), rng.integers(width)]
    return out


DAMAGES: dict[str, Damage] = {"shift": shift, "coarse": coarse, "patches": patches}


def generator(seed: int, name: str) -> np.random.Generator:
    """The random numbers of one image, whatever the order of images."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def damaged_labels(truth: Path, out: Path, kind: str, strength: float, seed: int, jitter: float) -> None:
    """A folder of label PNGs, damaged; each image's strength varies by the jitter."""
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(truth.glob("*.png")):
        rng = generator(seed, path.name)
        labels = np.asarray(Image.open(path))
        here = strength * float(np.exp(jitter * rng.standard_normal()))
        Image.fromarray(DAMAGES[kind](labels, here, rng)).save(out / path.name)


def damaged_panoptic(
    truth: Path, folder: Path, out: Path, kind: str, strength: float, swap: float, drop: float, seed: int, jitter: float
) -> None:
    """A panoptic JSON and its PNGs, the pixels damaged, some segments of another class, some gone."""
    data = json.loads(truth.read_text())
    target = out / "panoptic"
    target.mkdir(parents=True, exist_ok=True)
    classes = [c["id"] for c in data["categories"]]
    things = {c["id"]: c["isthing"] for c in data["categories"]}
    annotations = []
    for entry in data["annotations"]:
        rng = generator(seed, entry["file_name"])
        colours = np.asarray(Image.open(folder / entry["file_name"]).convert("RGB")).astype(np.uint32)
        ids = colours[..., 0] + 256 * colours[..., 1] + 65536 * colours[..., 2]
        here = strength * float(np.exp(jitter * rng.standard_normal()))
        ids = DAMAGES[kind](ids, here, rng)
        segments = []
        for segment in entry["segments_info"]:
            category = segment["category_id"]
            if rng.random() < drop:
                ids[ids == segment["id"]] = 0
                continue
            if rng.random() < swap:
                alike = [c for c in classes if things[c] == things[category]]
                category = alike[(alike.index(category) + 1) % len(alike)]
            if (ids == segment["id"]).any() and not segment.get("iscrowd"):
                segments.append({"id": segment["id"], "category_id": category})
            else:
                ids[ids == segment["id"]] = 0
        planes = np.stack([ids & 255, ids >> 8 & 255, ids >> 16], -1).astype(np.uint8)
        Image.fromarray(planes).save(target / entry["file_name"])
        annotations.append({**entry, "segments_info": segments})
    (out / "panoptic.json").write_text(json.dumps({"annotations": annotations}))


def main() -> None:
    """Make one damaged folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("truth", type=Path, help="a folder of label PNGs, or a COCO panoptic JSON")
    parser.add_argument("out", type=Path)
    parser.add_argument("--pngs", type=Path, help="the folder of the panoptic JSON's PNGs")
    parser.add_argument("--kind", choices=tuple(DAMAGES), default="shift")
    parser.add_argument("--strength", type=float, default=4.0)
    parser.add_argument("--jitter", type=float, default=0.3, help="how much the strength varies between images")
    parser.add_argument("--swap", type=float, default=0.0, help="share of segments that get another class")
    parser.add_argument("--drop", type=float, default=0.0, help="share of segments that vanish")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.truth.suffix == ".json":
        damaged_panoptic(
            *(args.truth, args.pngs, args.out, args.kind, args.strength, args.swap, args.drop, args.seed, args.jitter)
        )
    else:
        damaged_labels(args.truth, args.out, args.kind, args.strength, args.seed, args.jitter)


if __name__ == "__main__":
    main()
