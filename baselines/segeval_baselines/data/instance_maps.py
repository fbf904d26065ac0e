"""Images and maps of instance ids of the same stems, nuclei among them."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segeval.errors import SegevalError
from segeval.readers.maps.instances import InstanceFolder
from segeval.samples.mask_runs import dense_masks
from segeval.samples.pairs import Key
from segeval.samples.taxonomy import Taxonomy
from segeval_baselines.data.objects import ObjectSample, listed_classes, thing_labels
from segeval_baselines.data.samples import listed_in, read_image, same_stems

NUCLEI = Taxonomy((1,), ("nucleus",), (True,))
"""The one class of the nuclei."""

_OBJECT = Taxonomy((0,), ("object",), (True,))


@dataclass(frozen=True)
class InstanceMaps:
    """Images and maps of instance ids of the same stems.

    Parameters
    ----------
    name
        For reports.
    images
        File by key.
    maps
        The maps: ids of one class, or class * 1000 + instance, below 1000 a crowd of that class.
    taxonomy
        The classes.
    ids
        COCO image ids of the keys, where there are any.
    """

    name: str
    images: Mapping[str, Path]
    maps: InstanceFolder
    taxonomy: Taxonomy
    ids: Mapping[str, int] | None = None

    def keys(self) -> Sequence[str]:
        """The stems, sorted or as the split's list has them."""
        return list(self.images)

    def image_ids(self) -> Mapping[str, Key | None]:
        """The ids of the data set's index, or None."""
        return {key: self.ids[key] if self.ids else None for key in self.images}

    def load(self, key: str) -> ObjectSample:
        """An image and its instances.

        Raises
        ------
        SegevalError
            For an unreadable file, a class that is none, or sizes that differ.
        """
        image, found = read_image(self.images[key]), self.maps.load(key)
        if (found.height, found.width) != image.shape[:2]:
            shapes = f"the map is {found.width}x{found.height}, the image {image.shape[1]}x{image.shape[0]}"
            raise SegevalError(shapes, file=self.maps.file(key), remedy="give a map of the image's size")
        label = thing_labels(self.taxonomy)
        columns, rows = found.columns, slice(found.low, found.high)
        labels = np.array([label.get(c, 0) for c in columns.classes[rows].tolist()], np.int64)
        kept = labels > 0  # the classes may list stuff, which is no object
        masks = dense_masks(found, file=self.maps.file(key), key=key)
        return ObjectSample(image, masks[kept], labels[kept], columns.crowd[rows].astype(bool)[kept])


def open_nuclei(place: str, split: str, classes: str | None) -> InstanceMaps:
    """``images`` and ``masks``, and their ids, files and splits in ``index.csv``.

    Raises
    ------
    SegevalError
        If something is absent, or the index is no such table.
    """
    root = Path(place)
    taxonomy, index = listed_classes(classes) or NUCLEI, root / "index.csv"
    try:
        with index.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        chosen = {row["file"]: int(row["id"]) for row in rows if row["split"] == split}
    except OSError:
        raise SegevalError("no such file", file=index, remedy="give the folder that holds index.csv") from None
    except (KeyError, TypeError, ValueError):
        raise SegevalError("lacks the columns id, file and split", file=index, remedy="write it again") from None
    if not chosen:
        splits = ", ".join(sorted({row["split"] for row in rows}))
        raise SegevalError(f"lists no image of the split {split}", file=index, remedy=f"its splits are {splits}")
    if len(set(chosen.values())) < len(chosen):
        ident, count = Counter(chosen.values()).most_common(1)[0]
        raise SegevalError(f"gives the id {ident} to {count} images", file=index, remedy="give each image its own id")
    return _maps(f"{root.name} {split}", root, list(chosen), taxonomy, chosen)


def open_instances(place: str, split: str, classes: str | None) -> InstanceMaps:
    """``images`` and ``masks``, and lists of stems; one class unless they are listed.

    Raises
    ------
    SegevalError
        If something is absent; the message says what.
    """
    root, taxonomy = Path(place), listed_classes(classes) or _OBJECT
    return _maps(f"{root.name} {split}", root, listed_in(root, split), taxonomy)


def _maps(
    name: str, root: Path, keys: list[str] | None, taxonomy: Taxonomy, ids: Mapping[str, int] | None = None
) -> InstanceMaps:
    images, maps = same_stems(root / "images", root / "masks", keys, "add it")
    return InstanceMaps(name, images, InstanceFolder(maps, "truth", taxonomy), taxonomy, ids)
