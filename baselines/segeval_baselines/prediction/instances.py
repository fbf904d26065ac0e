"""Instances: what was detected in each image, and the JSON files over all images that COCO's tools expect."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segeval.samples.label_images import write_png
from segeval.samples.taxonomy import Taxonomy, distinct_colour
from segeval.storage.files import write_atomic, write_json
from segeval_baselines.prediction.object_inference import Found, thing_ids
from segeval_baselines.prediction.outputs import Outputs, npz
from segeval_baselines.prediction.pictures import outlined

DIVISOR = 1000
"""Values of instance maps are class * 1000 + instance where there are several classes."""


@dataclass(frozen=True)
class InstanceFiles:
    """``detections/STEM.npz`` (rle, labels, scores, size; boxes as `detection_boxes`), ``instances/STEM`` (maps of
    ids) and, over all images, ``results.json`` (masks) and ``boxes.json`` in COCO's form."""

    outputs: Outputs

    signs: ClassVar[tuple[str, ...]] = ("*.json", "*/*.png", "*/*.npz")
    scored: ClassVar[str] = "results.json"

    def of_image(self, stem: str) -> list[Path]:
        return [self._detections(stem), *self.outputs.overlay(stem)]

    def write(self, found: Found, image: NDArray[np.uint8], stem: str, taxonomy: Taxonomy) -> None:
        """The NPZ comes last."""
        for path in self.outputs.overlay(stem):
            write_png(path, outlined(image, found.top, [distinct_colour(k) for k in range(len(found.labels))]))
        values = coded(found, thing_ids(taxonomy))
        if values is not None:
            write_map(self.outputs.folder / "instances" / stem, values)
        corners, sides = found.boxes[:, :2], found.boxes[:, 2:] - found.boxes[:, :2]
        arrays = {
            "rle": np.array(found.masks, np.str_),
            "labels": found.labels,
            "scores": found.scores,
            "size": np.array(found.size, np.int64),
            "detection_boxes": np.concatenate((corners, sides), axis=1),
        }
        write_atomic(self._detections(stem), npz(arrays))

    def join(self, stems: Sequence[str], taxonomy: Taxonomy) -> None:
        masks: list[dict[str, Any]] = []
        boxes: list[dict[str, Any]] = []
        for stem in stems:
            with np.load(self._detections(stem), allow_pickle=False) as stored:
                names = ("rle", "labels", "scores", "detection_boxes")
                columns = [stored[name].tolist() for name in names]
                size = stored["size"].tolist()
            for text, label, score, box in zip(*columns, strict=True):
                entry = {"image_id": self.outputs.image_id(stem), "category_id": label}
                masks.append({**entry, "segmentation": {"size": size, "counts": text}, "score": score})
                boxes.append({**entry, "bbox": box, "score": score})
        write_json(self.outputs.folder / "results.json", masks)
        write_json(self.outputs.folder / "boxes.json", boxes)

    def _detections(self, stem: str) -> Path:
        return self.outputs.folder / "detections" / f"{stem}.npz"


def coded(found: Found, things: list[int]) -> NDArray[np.int64] | None:
    """A map of instances, the best on top: numbers from 1, or class * 1000 + number where there are several classes.

    None where that can't be written: class 0 among several, or more than 999 instances of a class.
    """
    numbers = np.zeros(len(found.labels), np.int64)
    for ident in things:
        own = found.labels == ident
        numbers[own] = np.arange(1, int(own.sum()) + 1)
    if len(things) > 1:
        if 0 in things or numbers.max(initial=0) >= DIVISOR:
            return None
        numbers += DIVISOR * found.labels
    values: NDArray[np.int64] = np.concatenate(([0], numbers))[found.top]
    return values


def write_map(path: Path, values: NDArray[np.int64]) -> Path:
    """Write a map as a 16-bit PNG, or as a 32-bit TIFF where values need it; the extension is added."""
    if int(values.max()) < 2**16:
        write_png(path.with_name(f"{path.name}.png"), values.astype(np.uint16))
        return path.with_name(f"{path.name}.png")
    stream = io.BytesIO()
    Image.fromarray(values.astype(np.int32)).save(stream, "TIFF", compression="tiff_adobe_deflate")
    return write_atomic(path.with_name(f"{path.name}.tif"), stream.getvalue())
