"""What data with objects give: an image, a mask for each thing, and the classes of the pixels where they are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from segeval.readers.classes import read_classes
from segeval.samples.pairs import Key
from segeval.samples.taxonomy import Taxonomy
from segeval_baselines.data.samples import Split


class ObjectSample(NamedTuple):
    """One image with its objects.

    Attributes
    ----------
    image
        (H, W, 3) uint8 RGB.
    masks
        (N, H, W) bool; they may overlap.
    labels
        (N,) int64 in 1..T: the class's place among the taxonomy's things, and 1; 0 is the background's.
    crowd
        (N,) bool: whether the mask stands for a group. Groups are no objects to learn from.
    semantic
        (H, W) uint8 positions in the whole taxonomy, or `VOID`; None where the data know things only.
    """

    image: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    labels: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    semantic: NDArray[np.uint8] | None = None


class ObjectSamples(Split[ObjectSample], Protocol):
    """A split with objects, whose classes tell things from stuff."""

    def image_ids(self) -> Mapping[str, Key | None]:
        """The COCO image id of each key, or None where there is none."""
        ...


def thing_positions(taxonomy: Taxonomy) -> list[int]:
    """Positions of the things in the whole taxonomy: label k is at place k - 1."""
    things = taxonomy.things or (True,) * len(taxonomy)
    return [position for position, thing in enumerate(things) if thing]


def thing_labels(taxonomy: Taxonomy) -> dict[int, int]:
    """The label 1..T of each thing's class id."""
    return {taxonomy.ids[position]: label for label, position in enumerate(thing_positions(taxonomy), 1)}


def image_id(ids: Mapping[str, Key | None], key: str) -> Key:
    """What an image is called in files: its COCO image id, or its key where there is none."""
    ident = ids[key]
    return key if ident is None else ident


def listed_classes(classes: str | None) -> Taxonomy | None:
    """The classes that replace a data set's own, or None.

    Raises
    ------
    SegevalError
        If the file holds none.
    """
    return read_classes(classes)[0] if classes else None
