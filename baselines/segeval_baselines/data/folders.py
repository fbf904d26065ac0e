"""Images and label maps of the same stems in two folders, CamVid's among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.readers.classes import read_classes
from segeval.readers.maps.labels import read_labels
from segeval.samples.taxonomy import Taxonomy
from segeval_baselines.data.samples import VOID, Sample, listed_in, listed_stems, read_image, same_stems

_CAMVID = (
    ("Sky", (128, 128, 128)),
    ("Building", (128, 0, 0)),
    ("Pole", (192, 192, 128)),
    ("Road", (128, 64, 128)),
    ("Pavement", (60, 40, 222)),
    ("Tree", (128, 128, 0)),
    ("SignSymbol", (192, 128, 128)),
    ("Fence", (64, 64, 128)),
    ("Car", (64, 0, 128)),
    ("Pedestrian", (64, 64, 0)),
    ("Bicyclist", (0, 128, 192)),
)


@dataclass(frozen=True)
class FolderPair:
    """Images and label maps of the same stems in two folders.

    Parameters
    ----------
    name
        For reports.
    images, labels
        File by key.
    taxonomy
        The classes; any other value must be in `void`.
    void
        Values that are no class.
    """

    name: str
    images: Mapping[str, Path]
    labels: Mapping[str, Path]
    taxonomy: Taxonomy
    void: tuple[int, ...] = (VOID,)

    def keys(self) -> Sequence[str]:
        """The stems, sorted or as the split's list has them."""
        return list(self.images)

    def load(self, key: str) -> Sample:
        """Read one pair; values become positions.

        Raises
        ------
        SegevalError
            For an unreadable file, a value that is no class, or sizes that differ.
        """
        image, values = read_image(self.images[key]), np.array(read_labels(self.labels[key]))
        if values.shape != image.shape[:2]:
            shapes = f"the labels have shape {values.shape}, the image {image.shape[:2]}"
            raise SegevalError(shapes, file=self.labels[key], remedy="give single-channel labels of the image's size")
        return Sample(image, self._positions(values, key))

    def _positions(self, values: NDArray[Any], key: str) -> NDArray[np.uint8]:
        positions = np.full(values.shape, VOID, np.uint8)
        known = np.isin(values, self.void)
        for position, value in enumerate(self.taxonomy.ids):
            here = values == value
            positions[here] = position
            known |= here
        if not known.all():
            raise SegevalError(
                f"value {values[~known].flat[0]} is no class", file=self.labels[key], remedy=self.taxonomy.hint()
            )
        return positions


def open_camvid(place: str, split: str, classes: str | None) -> FolderPair:
    """``SPLIT`` and ``SPLITannot``, and the stems in ``SPLIT.txt``.

    Raises
    ------
    SegevalError
        If something is absent; the message says what.
    """
    root = Path(place)
    names = root / "classes.json"
    if classes or names.is_file():
        taxonomy, void = read_classes(classes or str(names))
    else:
        taxonomy, void = (
            Taxonomy(tuple(range(11)), tuple(n for n, _ in _CAMVID), None, tuple(c for _, c in _CAMVID)),
            None,
        )
    listed = listed_stems(root / f"{split}.txt")
    return _pair(f"CamVid {split}", root / split, root / f"{split}annot", listed, taxonomy, void or (11, VOID))


def open_folder(places: str, split: str, classes: str | None) -> FolderPair:
    """``PATH`` with ``images`` and ``labels``, or ``IMAGES,LABELS[,LISTS]``.

    Raises
    ------
    SegevalError
        If something is absent; the message says what.
    """
    parts = [Path(p) for p in places.split(",")]
    root = parts[0] if len(parts) == 1 else parts[-1]
    images, labels = (root / "images", root / "labels") if len(parts) == 1 else parts[:2]
    found = [p for p in (root / "classes.json", root / "classes.txt", labels / "classes.json") if p.is_file()]
    if not (classes or found):
        raise SegevalError("the classes are unknown", file=root, remedy="give --classes, or write classes.txt there")
    taxonomy, void = read_classes(classes or str(found[0]))
    name = f"{images.parent.name or images.name} {split}"
    return _pair(name, images, labels, listed_in(root, split), taxonomy, void or (VOID,))


def _pair(
    name: str, images: Path, labels: Path, listed: list[str] | None, taxonomy: Taxonomy, void: tuple[int, ...]
) -> FolderPair:
    if len(taxonomy) > VOID:
        raise SegevalError(f"{len(taxonomy)} classes are more than 255", remedy="merge classes")
    return FolderPair(name, *same_stems(images, labels, listed, "add it, or shorten the list"), taxonomy, void)
