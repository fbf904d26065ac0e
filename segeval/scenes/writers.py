"""Scenes and predictions on disk, in the forms that data sets have: label PNGs, COCO panoptic and COCO instances."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segeval.errors import SegevalError
from segeval.files import write_atomic
from segeval.kernels import rle
from segeval.scenes.canvas import CLASSES, Segment
from segeval.scenes.street import Scene, make_scene

# The first level already halves twice what higher ones gain little on, in a tenth of their time.
_COMPRESSION = 1
INSTANCE_BASE = 1000


def scene_name(index: int) -> str:
    """The stem under which a scene's files are written."""
    return f"scene_{index:04d}"


def write_scenes(
    folder: str | os.PathLike[str],
    count: int,
    *,
    seed: int = 0,
    height: int = 192,
    width: int = 256,
    progress: Callable[[int, int], object] | None = None,
) -> Path:
    """Make scenes 0 to `count` - 1 and write them with their truth in every form.

    Parameters
    ----------
    folder
        Receives ``images/*.png`` and, in ``truth``, what `TruthWriter` lists.
    count
        How many scenes.
    seed, height, width
        As for `make_scene`.
    progress
        Called with the scenes written and `count`.

    Raises
    ------
    SegevalError
        If `count` is below 1, or the folder can't be written to.
    """
    if count < 1:
        raise SegevalError(f"{count} scenes can't be written", remedy="ask for 1 or more")
    root = Path(folder)
    truth = TruthWriter(root / "truth")
    for index in range(count):
        scene = make_scene(index, seed=seed, height=height, width=width)
        write_png(root / "images" / f"{scene_name(index)}.png", scene.image)
        truth.add(index, scene)
        if progress:
            progress(index + 1, count)
    truth.close()
    return root


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
        write_labels(self.folder / "semantic" / name, scene.labels)
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
        write_labels(self.folder / "semantic" / name, labels)
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


def write_png(path: Path, pixels: NDArray[Any]) -> None:
    """An array as a PNG: uint8 grey or RGB, or uint16 grey."""
    _save(path, Image.fromarray(pixels))


def write_labels(path: Path, labels: NDArray[np.uint8]) -> None:
    """A label map as an 8-bit PNG whose palette holds the classes' colours; void is black."""
    image = Image.fromarray(labels)
    palette = np.zeros((256, 3), np.uint8)
    palette[list(CLASSES.ids)] = CLASSES.colours
    image.putpalette(palette.tobytes())
    _save(path, image)


def _save(path: Path, image: Image.Image) -> None:
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=_COMPRESSION)
    write_atomic(path, stream.getvalue())


def colours_of_ids(ids: NDArray[np.int32]) -> NDArray[np.uint8]:
    """(H, W, 3) colours with id = R + 256 G + 65536 B."""
    return np.stack([ids & 255, (ids >> 8) & 255, ids >> 16], axis=-1).astype(np.uint8)


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
    height, width = ids.shape
    values, starts, ends = rle.label_runs(_columns(ids))
    order = np.argsort(values, kind="stable")
    values, starts, ends = values[order], starts[order], ends[order]
    entries, masks = [], []
    for segment in segments:
        low, high = np.searchsorted(values, [segment.id, segment.id + 1]).tolist()
        first, last = starts[low:high], ends[low:high] - 1
        left, right = int(first[0]) // height, int(last[-1]) // height
        # A run that goes round into the next column touches the top and the bottom.
        wraps = bool((first // height != last // height).any())
        top = 0 if wraps else int((first % height).min())
        bottom = height - 1 if wraps else int((last % height).max())
        entries.append(
            {
                "id": segment.id,
                "category_id": segment.category,
                "area": int((ends[low:high] - starts[low:high]).sum()),
                "bbox": [left, top, right - left + 1, bottom - top + 1],
                "iscrowd": int(segment.iscrowd),
                "isthing": segment.isthing,
            }
        )
        counts = rle.encode(starts, ends, low, high, height * width).tobytes().decode("ascii")
        masks.append({"size": [height, width], "counts": counts})
    return entries, masks


def encode_mask(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """A mask as COCO's compressed run lengths."""
    _, starts, ends = rle.label_runs(_columns(mask))
    counts = rle.encode(starts, ends, 0, len(starts), mask.size).tobytes().decode("ascii")
    return {"size": list(mask.shape), "counts": counts}


def _columns(pixels: NDArray[Any]) -> NDArray[np.uint32]:
    return pixels.T.astype(np.uint32, order="C").reshape(-1)


def _panoptic_entry(index: int, name: str, segments: list[dict[str, Any]]) -> dict[str, Any]:
    kept = [{k: s[k] for k in ("id", "category_id", "area", "bbox", "iscrowd")} for s in segments]
    return {"image_id": index, "file_name": name, "segments_info": kept}


def write_json(path: Path, document: Any) -> None:
    """Compact JSON: a line of its own would help nobody to read run lengths."""
    write_atomic(path, json.dumps(document, separators=(",", ":")))
