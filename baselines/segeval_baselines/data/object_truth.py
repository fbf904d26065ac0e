"""The truth of a split as files that `segeval score` reads, and its images as a folder that `segeval predict` reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.samples.label_images import colours_of_ids, write_png
from segeval.samples.mask_runs import encode_mask, runs_of_map
from segeval.samples.pairs import Key
from segeval.samples.taxonomy import Taxonomy
from segeval.storage.files import write_json
from segeval_baselines.data.objects import ObjectSample, ObjectSamples, image_id, thing_positions
from segeval_baselines.data.samples import VOID

_MOST_IDS = 2**16 - 1


class Truth(NamedTuple):
    """What was written.

    Attributes
    ----------
    instances
        ``instances.json``: the things as COCO instances, crowds flagged.
    panoptic
        ``panoptic.json`` beside the folder ``panoptic`` of PNGs, if the classes of pixels are known; else None.
    instance_ids
        Folder ``instance_ids`` of 16-bit PNGs, if all things are of one class, none overlap and none are crowds.
    classes
        ``classes.json``: the things, for ``--classes`` with folders of predictions.
    most_objects
        Objects of the image that has most. Above 100, score with ``--max-dets 1 10 N`` and N at least this.
    """

    instances: Path
    panoptic: Path | None
    instance_ids: Path | None
    classes: Path
    most_objects: int


def export_truth(samples: ObjectSamples, folder: str | Path) -> Truth:
    """Write the truth of a split.

    Things stay apart whatever their classes were made of; the stuff of one class is one segment an image. An image
    without a COCO id has its key as id, which is how `segeval predict` names it too.

    Parameters
    ----------
    samples
        The split.
    folder
        Receives what `Truth` lists.

    Raises
    ------
    SegevalError
        If a sample can't be read, things of a panoptic sample share pixels, or the folder can't be written to.
    """
    root, taxonomy = Path(folder), samples.taxonomy
    positions = thing_positions(taxonomy)
    ids = samples.image_ids()
    images: list[dict[str, Any]] = []
    instances: list[dict[str, Any]] = []
    panoptic: list[dict[str, Any]] = []
    written: list[Path] = []
    plain, most = len(positions) == 1, 0
    for key in samples.keys():
        sample = samples.load(key)
        ident = image_id(ids, key)
        height, width = sample.image.shape[:2]
        images.append({"id": ident, "file_name": f"{key}.png", "height": height, "width": width})
        instances += _annotations(sample, taxonomy, ident, len(instances))
        most = max(most, int((~sample.crowd).sum()))
        single = not sample.crowd.any() and not _overlap(sample) and len(sample.masks) <= _MOST_IDS
        plain = plain and single
        if plain:
            written.append(root / "instance_ids" / f"{key}.png")
            write_png(written[-1], numbered(sample).astype(np.uint16))
        if sample.semantic is not None:
            map_of_ids, segments = panoptic_map(sample, taxonomy, key)
            write_png(root / "panoptic" / f"{key}.png", colours_of_ids(map_of_ids))
            panoptic.append({"image_id": ident, "file_name": f"{key}.png", "segments_info": segments})
    if not plain:
        for path in written:  # until an image came that such a map can't hold
            path.unlink()
    listed = categories(taxonomy)
    things = [entry for entry in listed if entry["isthing"]]
    found = write_json(root / "instances.json", {"images": images, "annotations": instances, "categories": things})
    document = {"images": images, "annotations": panoptic, "categories": listed}
    joined = write_json(root / "panoptic.json", document) if panoptic else None
    classes = write_json(root / "classes.json", {"categories": things})
    return Truth(found, joined, root / "instance_ids" if plain else None, classes, most)


def export_images(samples: ObjectSamples, folder: str | Path) -> Path:
    """Write a split's images as ``KEY.png``; returns the folder."""
    for key in samples.keys():
        write_png(Path(folder) / f"{key}.png", samples.load(key).image)
    return Path(folder)


def categories(taxonomy: Taxonomy) -> list[dict[str, Any]]:
    """COCO's list of categories, with colours and ``isthing``; all are things where the taxonomy doesn't tell."""
    things = taxonomy.things or (True,) * len(taxonomy)
    columns = zip(taxonomy.ids, taxonomy.names, taxonomy.colours, things, strict=True)
    return [{"id": i, "name": n, "color": list(c), "isthing": int(t)} for i, n, c, t in columns]


def numbered(sample: ObjectSample) -> NDArray[np.int32]:
    """(H, W): the number of each pixel's object, from 1; 0 where there is none, the later one where there are two."""
    ids = np.zeros(sample.image.shape[:2], np.int32)
    for number, mask in enumerate(sample.masks, 1):
        ids[mask] = number
    return ids


def panoptic_map(
    sample: ObjectSample, taxonomy: Taxonomy, key: object = None
) -> tuple[NDArray[np.int32], list[dict[str, Any]]]:
    """Segment ids (H, W) of a sample with classes of pixels, and its ``segments_info``.

    Things are 1 to N in their order, then come the classes of stuff that occur.

    Raises
    ------
    SegevalError
        If things share pixels, or there are no classes of pixels.
    """
    if sample.semantic is None or _overlap(sample):
        what = "has no classes of pixels" if sample.semantic is None else "has things that share pixels"
        raise SegevalError(what, key=key, remedy="score it as instances")
    ids, positions = numbered(sample), thing_positions(taxonomy)
    kinds: dict[int, tuple[int, bool]] = {}
    for number, (label, crowd) in enumerate(zip(sample.labels.tolist(), sample.crowd.tolist(), strict=True), 1):
        kinds[number] = taxonomy.ids[positions[label - 1]], crowd
    for position in sorted(set(np.unique(sample.semantic).tolist()) - {VOID} - set(positions)):
        number = len(kinds) + 1
        ids[(sample.semantic == position) & (ids == 0)] = number
        kinds[number] = taxonomy.ids[position], False
    present, runs = runs_of_map(ids)
    areas, boxes = runs.measure()
    segments = []
    for number, area, box in zip(present.tolist(), areas.tolist(), boxes.tolist(), strict=True):
        category, crowd = kinds[number]
        entry = {"id": number, "category_id": category, "area": area, "bbox": box, "iscrowd": int(crowd)}
        segments.append(entry)
    return ids, segments


def _annotations(sample: ObjectSample, taxonomy: Taxonomy, ident: Key, before: int) -> list[dict[str, Any]]:
    """The things of one image as COCO annotations, numbered on from those before."""
    positions, found = thing_positions(taxonomy), []
    columns = zip(sample.masks, sample.labels.tolist(), sample.crowd.tolist(), strict=True)
    for number, (mask, label, crowd) in enumerate(columns, before + 1):
        rows, across = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = [0, 0, 0, 0]
        if len(rows):
            left, top = int(across[0]), int(rows[0])
            box = [left, top, int(across[-1]) + 1 - left, int(rows[-1]) + 1 - top]
        entry = {"id": number, "image_id": ident, "category_id": taxonomy.ids[positions[label - 1]]}
        shape = {"segmentation": encode_mask(mask), "area": int(mask.sum()), "bbox": box, "iscrowd": int(crowd)}
        found.append({**entry, **shape})
    return found


def _overlap(sample: ObjectSample) -> bool:
    return bool(len(sample.masks) > 1 and (sample.masks.sum(axis=0, dtype=np.int32) > 1).any())
