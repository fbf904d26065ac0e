"""What a conversion writes: one writer a form. Writing an image is safe on many threads; the JSON comes last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.conversion.categories import Entries, taxonomy_of, things_of
from segeval.conversion.coding import channels_of, codes_of
from segeval.conversion.content import ListedSegment, Partition, Stack, numbered, relabel
from segeval.conversion.naming import NamedImage
from segeval.errors import SegevalError
from segeval.samples.label_images import colours_of_ids, write_palette, write_png
from segeval.samples.labels import smallest
from segeval.samples.mask_runs import runs_of_map
from segeval.storage.files import write_atomic, write_json

# What an image must be before it is written.
SHAPES = {
    "labels": "labels",
    "coco-panoptic": "partition",
    "panoptic-coded": "partition",
    "panoptic-channels": "partition",
    "coco-instances": "stack",
    "coco-results": "stack",
    "instance-ids": "partition",
    "instance-npz": "stack",
}
INSTANCE_FORMS = ("coco-instances", "coco-results", "instance-ids", "instance-npz")
WITHOUT_CROWDS = ("coco-results", "instance-npz")
# Each class is at most one crowd, or one stuff segment, of an image.
WITHOUT_JSON = ("panoptic-coded", "panoptic-channels", "instance-ids")

_JSON_NAMES = {
    "coco-panoptic": "panoptic.json",
    "coco-instances": "instances.json",
    "coco-results": "results.json",
}
_LARGEST_IN_PNG = 2**16 - 1
_LARGEST_IN_COLOURS = 2**24 - 1

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class ConversionTarget:
    """Where and how images are written.

    Parameters
    ----------
    form
        A name of `SHAPES`.
    out
        A folder; for the three forms with a JSON also that JSON.
    categories
        The classes.
    void
        The value of void in labels and codes.
    document
        What the JSON holds beside images, annotations and categories.
    """

    form: str
    out: Path
    categories: Entries | None
    void: int
    document: dict[str, Any] = field(default_factory=dict)

    @property
    def json(self) -> Path | None:
        """The JSON, if this form has one."""
        name = _JSON_NAMES.get(self.form)
        if name is None:
            return None
        return self.out if self.out.suffix.lower() == ".json" else self.out / name

    @property
    def folder(self) -> Path:
        """The folder of the images' files."""
        return self.json.with_suffix("") if self.json is not None else self.out

    @property
    def places(self) -> tuple[Path, ...]:
        """What it writes: a folder, a JSON, or both."""
        if self.json is None:
            return (self.out,)
        return (self.json, self.folder) if self.form == "coco-panoptic" else (self.json,)

    @property
    def things(self) -> frozenset[int]:
        """The things among the classes; for instances all classes, unless they say."""
        found = things_of(self.categories)
        if found is None:
            return frozenset(entry["id"] for entry in self.categories or ())
        return found

    def write(self, image: NamedImage, content: Any) -> Rows:
        """Write an image's files; returns its rows in the JSON."""
        path = self.folder / image.name
        if self.form == "labels":
            self._labels(path, content)
        elif self.form == "coco-panoptic":
            return [self._panoptic(path, image, content)]
        elif self.form == "panoptic-coded":
            codes = codes_of(content, self.things, self.void, file=image.file, key=image.key)
            _write_map(path, codes)
        elif self.form == "panoptic-channels":
            write_png(_png(path), channels_of(content, self.things, file=image.file, key=image.key))
        elif self.form == "instance-ids":
            _write_map(path, self._instance_map(content, image))
        elif self.form == "instance-npz":
            _write_npz(path, content)
        else:
            return self._instances(image, content)
        return []

    def finish(self, images: Sequence[dict[str, Any]], rows: Rows) -> None:
        """Write the JSON, if there is one."""
        if self.json is None:
            return
        if self.form == "coco-results":
            write_json(self.json, rows)
            return
        if self.form == "coco-instances":
            rows = [{"id": k + 1} | row for k, row in enumerate(rows)]
        document = self.document | {"images": list(images), "annotations": rows}
        if self.categories is not None:
            document["categories"] = list(self.categories)
        write_json(self.json, document)

    def _labels(self, path: Path, labels: NDArray[Any]) -> None:
        taxonomy = taxonomy_of(self.categories)
        labels = smallest(labels)
        if labels.dtype.itemsize > 1:
            _write_map(path, labels)
        elif taxonomy is not None and max(taxonomy.ids) <= 255:
            write_palette(_png(path), labels, taxonomy)
        else:
            write_png(_png(path), labels)

    def _panoptic(self, path: Path, image: NamedImage, partition: Partition) -> dict[str, Any]:
        partition = _small_ids(partition)
        write_png(_png(path), colours_of_ids(partition.ids))
        values, runs = runs_of_map(partition.ids)
        areas, boxes = runs.measure()
        listed = []
        for segment in partition.segments:
            row = int(np.searchsorted(values, segment.id))
            entry = {"id": segment.id, "category_id": segment.category, "iscrowd": int(segment.crowd)}
            entry |= {"bbox": boxes[row].tolist(), "area": int(areas[row])}
            listed.append(entry if segment.score == 1.0 else entry | {"score": segment.score})
        return {"image_id": image.entry["id"], "file_name": f"{image.name}.png", "segments_info": listed}

    def _instances(self, image: NamedImage, stack: Stack) -> Rows:
        areas, boxes = stack.runs.measure()
        rows = []
        for k, segment in enumerate(stack.instances):
            row = {"image_id": image.entry["id"], "category_id": segment.category}
            row["segmentation"] = stack.runs.compressed(k)
            if self.form == "coco-results":
                rows.append(row | {"score": segment.score})
                continue
            row |= {"area": int(areas[k]), "bbox": boxes[k].tolist(), "iscrowd": int(segment.crowd)}
            rows.append(row | {"instance_id": segment.id} if segment.id else row)
        return rows

    def _instance_map(self, partition: Partition, image: NamedImage) -> NDArray[np.uint32]:
        if len(self.categories or ()) != 1:
            every = frozenset(entry["id"] for entry in self.categories or ())
            return codes_of(partition, every, 0, file=image.file, key=image.key)
        if any(segment.crowd for segment in partition.segments):
            raise SegevalError(
                "holds a crowd, which a map of ids can't tell from an instance",
                file=image.file,
                key=image.key,
                remedy="give --classes with more than one class, or take --to coco-instances",
            )
        return partition.ids


def _small_ids(partition: Partition) -> Partition:
    """Ids that fit in three bytes."""
    if all(s.id <= _LARGEST_IN_COLOURS for s in partition.segments):
        return partition
    fresh = numbered([ListedSegment(0, s.category, s.crowd, s.score) for s in partition.segments])
    table = {old.id: new.id for old, new in zip(partition.segments, fresh, strict=True)}
    return Partition(relabel(partition.ids, table), fresh)


def _png(path: Path) -> Path:
    # Not with_suffix, which would cut a name that has a dot in it.
    return path.with_name(path.name + ".png")


def _write_map(path: Path, values: NDArray[Any]) -> None:
    """A 16-bit PNG, or an NPY file where values do not fit; of the two only one is there afterwards."""
    png, npy = _png(path), path.with_name(path.name + ".npy")
    if int(values.max(initial=0)) <= _LARGEST_IN_PNG:
        write_png(png, values.astype(np.uint16))
        npy.unlink(missing_ok=True)
    else:
        write_atomic(npy, lambda stream: np.save(stream, values, allow_pickle=False))
        png.unlink(missing_ok=True)


def _write_npz(path: Path, stack: Stack) -> None:
    masks = [stack.runs.compressed(k)["counts"] for k in range(len(stack.instances))]
    arrays: dict[str, Any] = {
        "rle": np.array(masks, dtype=np.str_),
        "size": np.array([stack.runs.height, stack.runs.width], np.int64),
        "labels": np.array([s.category for s in stack.instances], np.int64),
        "scores": np.array([s.score for s in stack.instances], np.float64),
    }
    write_atomic(path.with_name(path.name + ".npz"), lambda stream: np.savez_compressed(stream, **arrays))
