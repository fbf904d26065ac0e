"""References for instances and panoptic maps: what a score is without any network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.files import write_json
from segeval.label_images import colours_of_ids, write_png
from segeval.readers.json_files import read_json
from segeval.taxonomy import Taxonomy
from segeval_baselines.datasets import VOID, Sample
from segeval_baselines.object_samples import ObjectSamples, thing_positions
from segeval_baselines.references import REFERENCES, Counted, count

OBJECT_REFERENCES = {
    "no-instances": ("instance", "no detection at all"),
    "no-segments": ("panoptic", "no segment at all"),
    "stuff-mode": ("panoptic", "at each pixel the most frequent class of stuff, one segment a class, and no things"),
}
"""Task and explanation of each."""


def task_of(reference: str) -> str:
    """Which score a reference gets."""
    return "semantic" if reference in REFERENCES else OBJECT_REFERENCES[reference][0]


def about(reference: str) -> str:
    """What a reference is."""
    return REFERENCES[reference].about if reference in REFERENCES else OBJECT_REFERENCES[reference][1]


@dataclass(frozen=True)
class StuffLabels:
    """A split with objects as label maps in which every thing is void."""

    objects: ObjectSamples

    @property
    def name(self) -> str:
        """For reports."""
        return self.objects.name

    @property
    def taxonomy(self) -> Taxonomy:
        """All classes."""
        return self.objects.taxonomy

    def keys(self) -> Sequence[str]:
        """The images."""
        return self.objects.keys()

    def load(self, key: str) -> Sample:
        """An image and its stuff.

        Raises
        ------
        SegevalError
            If the data know no stuff.
        """
        sample = self.objects.load(key)
        if sample.semantic is None:
            raise SegevalError("has no classes of pixels", key=key, remedy="leave out the reference stuff-mode")
        things = np.isin(sample.semantic, thing_positions(self.taxonomy))
        return Sample(sample.image, np.where(things, np.uint8(VOID), sample.semantic))


def predict_object_reference(reference: str, train: ObjectSamples, truth: Path, out: Path) -> None:
    """Write a reference's predictions of the images that a truth lists.

    Parameters
    ----------
    reference
        A name of `OBJECT_REFERENCES`.
    train
        What it is counted on.
    truth
        ``instances.json`` or ``panoptic.json``.
    out
        ``results.json``, or ``panoptic.json`` beside a folder ``panoptic``.
    """
    if reference == "no-instances":
        write_json(out, [])
        return
    document = read_json(truth)
    counted = count("mode", StuffLabels(train)) if reference == "stuff-mode" else None
    annotations = []
    for image in document["images"]:
        ids, segments = _segments(counted, train.taxonomy, int(image["height"]), int(image["width"]))
        name = f"{Path(image['file_name']).stem}.png"
        write_png(out.parent / "panoptic" / name, colours_of_ids(ids))
        annotations.append({"image_id": image["id"], "file_name": name, "segments_info": segments})
    listed = {name: document[name] for name in ("images", "categories")}
    write_json(out, {**listed, "annotations": annotations})


def _segments(
    counted: Counted | None, taxonomy: Taxonomy, height: int, width: int
) -> tuple[NDArray[np.int32], list[dict[str, Any]]]:
    ids = np.zeros((height, width), np.int32)
    if counted is None:
        return ids, []
    labels = counted.labels(np.zeros((height, width, 3), np.uint8))
    segments = []
    for number, position in enumerate(np.unique(labels).tolist(), 1):
        here = labels == position
        ids[here] = number
        rows, columns = np.flatnonzero(here.any(axis=1)), np.flatnonzero(here.any(axis=0))
        left, top = int(columns[0]), int(rows[0])
        box = [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top]
        entry = {"id": number, "category_id": taxonomy.ids[position], "area": int(here.sum()), "bbox": box}
        segments.append({**entry, "iscrowd": 0})
    return ids, segments
