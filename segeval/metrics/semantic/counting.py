"""Counting an image's pairs of labels: whole maps at once, and large ones some rows at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.kernels.decoding.inflate import crc32
from segeval.metrics.semantic.channels import NOT_CUT, is_floating
from segeval.samples.blocks import BlockedMap, windows
from segeval.samples.labels import NOTHING, as_labels, crc_of, smallest
from segeval.samples.pairs import CountedOverlaps, NoPrediction, Pair

# Truth labels, predicted labels and pixels of one image.
Columns = tuple[NDArray[Any], NDArray[Any], NDArray[np.int64]]

# Rows of counts beyond which those of one pair of labels are added up.
_MANY = 2**18


def count(truth: NDArray[Any], prediction: NDArray[Any], cut: int = NOT_CUT) -> CountedOverlaps:
    """What overlaps in two label maps of one size."""
    height, width = truth.shape
    return CountedOverlaps((height, width), crc_of(smallest(truth)), *_columns(truth, prediction), cut)


def in_blocks(pair: Pair) -> bool:
    """Whether an image can be counted by blocks: one side is read so, and both are label maps of one size."""
    truth, prediction = pair.truth, pair.prediction
    if not isinstance(truth, BlockedMap) and not isinstance(prediction, BlockedMap):
        return False
    if isinstance(prediction, NoPrediction):
        return len(truth.shape) == 2
    return len(truth.shape) == 2 and truth.shape == prediction.shape and _labels(prediction)


def _labels(prediction: NDArray[Any] | BlockedMap) -> bool:
    """Whether a map holds whole numbers; other floats are told by all of them what they are."""
    if not is_floating(prediction):
        return True
    blocks = prediction.read() if isinstance(prediction, BlockedMap) else [prediction]
    return all(bool((block == np.floor(block)).all()) for block in blocks)


def count_blocks(pair: Pair) -> CountedOverlaps:
    """What overlaps in two label maps of which one at least is read by blocks: as `count` of the whole.

    Raises
    ------
    SegevalError
        As `as_labels`, for the first block that is no part of a label map.
    """
    shape, absent = pair.truth.shape, isinstance(pair.prediction, NoPrediction)
    nothing = np.broadcast_to(np.uint32(NOTHING), shape)
    digest = _Digest(pair.truth.dtype)
    found: list[Columns] = []
    rows = 0
    for truth, prediction in windows(pair.truth, nothing if absent else pair.prediction):
        truth = as_labels(truth, "truth", file=pair.truth_file, key=pair.key, signed=True)
        if not absent:
            prediction = as_labels(prediction, "prediction", file=pair.prediction_file, key=pair.key, signed=True)
        digest.add(truth)
        found.append(_columns(truth, prediction))
        rows += len(found[-1][2])
        if rows > _MANY:
            found = [_added(found)]
            rows = len(found[0][2])
    return CountedOverlaps((shape[0], shape[1]), digest.crc(), *_added(found))


def _columns(truth: NDArray[Any], prediction: NDArray[Any]) -> Columns:
    from segeval.kernels.counting import confusion

    if truth.dtype == prediction.dtype == np.uint8:
        return confusion.confusion_rows_u8(truth.ravel(), prediction.ravel(), confusion.scratch_table())
    return confusion.confusion_rows_any(truth.ravel(), prediction.ravel())


def _added(found: list[Columns]) -> Columns:
    """The sums over blocks, sorted by truth and prediction."""
    truth, prediction, pixels = (np.concatenate([c[k] for c in found]).astype(np.int64) for k in range(3))
    order = np.lexsort((prediction, truth))
    truth, prediction, pixels = truth[order], prediction[order], pixels[order]
    first = np.ones(len(truth), bool)
    first[1:] = (truth[1:] != truth[:-1]) | (prediction[1:] != prediction[:-1])
    begins = np.flatnonzero(first)
    return truth[begins], prediction[begins], np.add.reduceat(pixels, begins)


class _Digest:
    """The checksum of a map in the smallest type that holds it, which only its last block decides."""

    def __init__(self, dtype: object) -> None:
        kinds = (np.uint8,) if dtype == np.uint8 else (np.uint8, np.uint16, np.uint32)
        self._crcs: dict[Any, int] = dict.fromkeys(kinds, 0)

    def add(self, labels: NDArray[Any]) -> None:
        """Go on with some rows."""
        high = int(labels.max())
        for kind in tuple(self._crcs):
            if high > np.iinfo(kind).max:
                del self._crcs[kind]
            else:
                self._crcs[kind] = crc32(np.ascontiguousarray(labels, kind), self._crcs[kind])

    def crc(self) -> int:
        """Of all rows."""
        return next(iter(self._crcs.values()))
