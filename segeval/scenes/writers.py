"""Scenes and predictions on disk, in the forms that data sets have: label PNGs, COCO panoptic and COCO instances."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.samples.label_images import colours_of_ids, write_palette, write_png
from segeval.samples.mask_runs import encode_mask, runs_of_map
from segeval.scenes.canvas import CLASSES, Segment
from segeval.scenes.street import Scene
from segeval.storage.files import write_json

INSTANCE_BASE = 1000


def scene_name(index: int) -> str:
    """The stem under which a scene's files are written."""
    return f"scene_{index:04d}"


@dataclass
class TruthWriter:
    """Writes ``semantic/*.png`` (8-bit palette), ``panoptic/*.png`` with ``panoptic.json``, ``instances.json``,
    ``instance_ids/*.png`` (16-bit, class * 1000 + instance) and ``classes.json`` into a folder."""

    folder: Path
    images: list[dict[str, Any]] = field(default_factory=list)
    panoptic: list[dict[str, Any]] = field(default_factory=list)
    instances: list[dict[str, Any]] = field(default_factory=list)

    def add(self, index: int, scene: Scene) -> None:
        """Write a scene's maps and remember its entries; the image id is the scene's index."""
        name = f"{scene_name(index)}.png"
        height, width = scene.labels.shape
        self.images.append({"id": index, "file_name": name, "height": height, "width": width})
        write_palette(self.folder / "semantic" / name, scene.labels, CLASSES)
        segments, masks = measure_segments(scene.ids, scene.segments)
        self.panoptic.append(_panoptic_entry(index, name, segments))
        write_png(self.folder / "panoptic" / name, colours_of_ids(scene.ids))
        write_png(self.folder / "instance_ids" / name, instance_codes(scene))
        for segment, mask in zip(segments, masks, strict=True):
            if segment.pop("isthing"):
                kept = {k: segment[k] for k in ("category_id", "area", "bbox", "iscrowd")}
                entry = {"id": len(self.instances) + 1, "image_id": index, **kept, "segmentation": mask}
                self.instances.append(entry)

    def close(self) -> None:
        """Write the JSON files."""
        listed = categories()
        things = [c for c in listed if c["isthing"]]
        document = {"images": self.images, "categories": listed, "annotations": self.panoptic}
        write_json(self.folder / "panoptic.json", document)
        document = {"images": self.images, "categories": things, "annotations": self.instances}
        write_json(self.folder / "instances.json", document)
        write_json(self.folder / "classes.json", {"categories": listed})


@dataclass
class PredictionWriter:
    """Writes ``semantic/*.png``, ``panoptic/*.png`` with ``panoptic.json``, and ``instances.json`` (COCO results)."""

    folder: Path
    panoptic: list[dict[str, Any]] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        index: int,
        labels: NDArray[np.uint8],
        ids: NDArray[np.int32],
        segments: tuple[Segment, ...],
        detections: tuple[tuple[int, float, NDArray[np.bool_]], ...],
    ) -> None:
        """Write one image's maps and remember its entries; a detection is a class, a score and a mask."""
        name = f"{scene_name(index)}.png"
        write_palette(self.folder / "semantic" / name, labels, CLASSES)
        write_png(self.folder / "panoptic" / name, colours_of_ids(ids))
        measured, _ = measure_segments(ids, segments)
        self.panoptic.append(_panoptic_entry(index, name, measured))
        for category, score, mask in detections:
            entry = {"image_id": index, "category_id": category, "segmentation": encode_mask(mask), "score": score}
            self.results.append(entry)

    def close(self) -> None:
        """Write the JSON files."""
        write_json(self.folder / "panoptic.json", {"annotations": self.panoptic})
        write_json(self.folder / "instances.json", self.results)


# ---- pixels --------------------------------------------------------------------------------------------------


def instance_codes(scene: Scene) -> NDArray[np.uint16]:
    """(H, W) class * 1000 + instance, counted from 1; stuff and crowds are the bare class, void is 255."""
    codes = scene.labels.astype(np.uint16)
    count = 0
    for segment in scene.segments:
        if segment.isthing and not segment.iscrowd:
            count += 1
            codes[scene.ids == segment.id] = segment.category * INSTANCE_BASE + count
    return codes


# ---- entries -------------------------------------------------------------------------------------------------


def categories() -> list[dict[str, Any]]:
    """COCO's list of categories, with colours and ``isthing``."""
    things = CLASSES.things or ()
    columns = zip(CLASSES.ids, CLASSES.names, CLASSES.colours, things, strict=True)
    return [{"id": i, "name": n, "color": list(c), "isthing": int(t)} for i, n, c, t in columns]


def measure_segments(
    ids: NDArray[np.int32], segments: tuple[Segment, ...]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Areas, boxes and compressed masks of the segments of an id map, in one pass over its pixels.

    Returns
    -------
    entries
        ``id category_id area bbox iscrowd isthing`` of each segment.
    masks
        COCO's compressed run lengths, aligned with the entries; void (id 0) has none.
    """
    values, runs = runs_of_map(ids)
    areas, boxes = runs.measure()
    entries, masks = [], []
    for segment in segments:
        row = int(np.searchsorted(values, segment.id))
        entries.append(
            {
                "id": segment.id,
                "category_id": segment.category,
                "area": int(areas[row]),
                "bbox": boxes[row].tolist(),
                "iscrowd": int(segment.iscrowd),
                "isthing": segment.isthing,
            }
        )
        masks.append(runs.compressed(row))
    return entries, masks


def _panoptic_entry(index: int, name: str, segments: list[dict[str, Any]]) -> dict[str, Any]:
    kept = [{k: s[k] for k in ("id", "category_id", "area", "bbox", "iscrowd")} for s in segments]
    return {"image_id": index, "file_name": name, "segments_info": kept}
