"""Panoptic maps: a PNG and a list of segments an image, and the JSON file over all images that COCO's tools expect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from segeval.samples.label_images import colours_of_ids, write_png
from segeval.samples.mask_runs import runs_of_map
from segeval.samples.taxonomy import Taxonomy
from segeval.storage.files import write_json
from segeval.storage.json_files import read_json
from segeval_baselines.data.object_truth import categories
from segeval_baselines.prediction.object_inference import PanopticFound
from segeval_baselines.prediction.outputs import Outputs
from segeval_baselines.prediction.pictures import outlined


@dataclass(frozen=True)
class PanopticFiles:
    """``panoptic/STEM.png``, ``segments/STEM.json`` and, over all images, ``panoptic.json``."""

    outputs: Outputs

    signs: ClassVar[tuple[str, ...]] = ("*.json", "*/*.png", "*/*.npz")
    scored: ClassVar[str] = "panoptic.json"

    def of_image(self, stem: str) -> list[Path]:
        return [self._map(stem), self._segments(stem), *self.outputs.overlay(stem)]

    def write(self, found: PanopticFound, image: NDArray[np.uint8], stem: str, taxonomy: Taxonomy) -> None:
        """The list of segments comes last."""
        for path in self.outputs.overlay(stem):
            colours = [taxonomy.colours[taxonomy.index_of(s["category_id"])] for s in found.segments]
            write_png(path, outlined(image, found.ids, colours))
        write_png(self._map(stem), colours_of_ids(found.ids))
        height, width = found.ids.shape
        document = {"height": height, "width": width, "segments_info": segments_info(found)}
        write_json(self._segments(stem), document)

    def join(self, stems: Sequence[str], taxonomy: Taxonomy) -> None:
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for stem in stems:
            kept = read_json(self._segments(stem))
            ident, name = self.outputs.image_id(stem), f"{stem}.png"
            images.append({"id": ident, "file_name": name, "height": kept["height"], "width": kept["width"]})
            annotations.append({"image_id": ident, "file_name": name, "segments_info": kept["segments_info"]})
        document = {"images": images, "annotations": annotations, "categories": categories(taxonomy)}
        write_json(self.outputs.folder / "panoptic.json", document)

    def _map(self, stem: str) -> Path:
        return self.outputs.folder / "panoptic" / f"{stem}.png"

    def _segments(self, stem: str) -> Path:
        return self.outputs.folder / "segments" / f"{stem}.json"


def segments_info(found: PanopticFound) -> list[dict[str, Any]]:
    """The segments as COCO lists them, with area and bbox."""
    ids, runs = runs_of_map(found.ids)
    areas, boxes = runs.measure()
    classes = {segment["id"]: segment["category_id"] for segment in found.segments}
    rows = zip(ids.tolist(), areas.tolist(), boxes.tolist(), strict=True)
    return [{"id": i, "category_id": classes[i], "area": a, "bbox": b, "iscrowd": 0} for i, a, b in rows]
