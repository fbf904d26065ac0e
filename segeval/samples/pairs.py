"""What readers hand to metrics: one image's truth and prediction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Key = int | str


class Pair(NamedTuple):
    """One image: its key, its truth and its prediction, and the files that they came from (for messages)."""

    key: Key
    truth: Any
    prediction: Any
    truth_file: str | None = None
    prediction_file: str | None = None


@dataclass(frozen=True)
class Segments:
    """The segments of one panoptic map, sorted by id.

    Parameters
    ----------
    ids
        int64, unique, ascending, without void.
    classes
        int64 class ids, aligned with `ids`.
    crowd
        bool, aligned with `ids`.
    areas
        int64 pixels as a file states them, or -1 where it doesn't.
    last_crowd
        bool: the crowd region of its class that counts. The official scorer keeps one crowd a class and image,
        the last in the order of the JSON.
    """

    ids: NDArray[np.int64]
    classes: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    areas: NDArray[np.int64]
    last_crowd: NDArray[np.bool_]


class Counted(NamedTuple):
    """What stands in place of a truth's pixels where a device has counted them: overlaps sorted by truth, prediction.

    Parameters
    ----------
    shape
        Height and width.
    crc
        CRC-32 of the truth's bytes, as `segeval.samples.labels.crc_of` gives it.
    truth, prediction, pixels
        int64: the pairs of labels (or segment ids) that occur, and their pixels.
    """

    shape: tuple[int, int]
    crc: int
    truth: NDArray[np.int64]
    prediction: NDArray[np.int64]
    pixels: NDArray[np.int64]


class PanopticMap(NamedTuple):
    """Pixels and segments of one image.

    `pixels` is (H, W) integer segment ids, or (H, W, 3 or 4) uint8 with id = R + 256 G + 65536 B, or `Counted`.
    """

    pixels: Any
    segments: Segments


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
