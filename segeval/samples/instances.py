"""Instances of one or many images, column by column."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class InstanceColumns:
    """Instances of one or many images, column by column; those of one image are contiguous, in the order of their file.

    Parameters
    ----------
    classes
        (n) int64 class ids.
    scores
        (n) float64; unused in truth.
    areas
        (n) float64 pixels as stated, or NaN.
    crowd
        (n) uint8; unused in predictions.
    ids
        (n) int64: a truth's annotation id, a prediction's place in its file.
    boxes
        (n, 4) float64 x, y, width, height, or NaN.
    kinds
        (n) uint8: how the mask is written: 0 not at all, 1 polygons, 2 counts, 3 a compressed string.
    low, high
        (n) int64: the mask's span of `rings` (polygons, counts) or of `text` (a quotation mark follows it).
    text
        uint8, compressed strings with doubled backslashes.
    rings, numbers
        int64 and float64: ring `r`, a polygon or counts, is `numbers[rings[r]:rings[r + 1]]`.
    boxes_lead
        Whether the first result of the file has a box (the official scorer then takes all areas from boxes).
    """

    classes: NDArray[np.int64]
    scores: NDArray[np.float64]
    areas: NDArray[np.float64]
    crowd: NDArray[np.uint8]
    ids: NDArray[np.int64]
    boxes: NDArray[np.float64]
    kinds: NDArray[np.uint8]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    text: NDArray[np.uint8]
    rings: NDArray[np.int64]
    numbers: NDArray[np.float64]
    boxes_lead: bool = False

    def take(self, rows: NDArray[np.int64]) -> InstanceColumns:
        """Some of the instances; what they share stays shared."""
        names = ("classes", "scores", "areas", "crowd", "ids", "boxes", "kinds", "low", "high")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})


class Instances(NamedTuple):
    """The instances of one image: rows `[low, high)` of columns that images may share, and the image's size."""

    columns: InstanceColumns
    low: int
    high: int
    height: int
    width: int
