"""The masks and boxes of a chunk of images, decoded to runs in reused scratch."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.samples.instances import InstanceColumns, Instances

# Beyond so many detections in an image insertion is no way to sort them.
MOST_INSERTED = 256

Array = NDArray[Any]


class Runs:
    """Scratch for the foreground runs of a chunk; grows and is reused."""

    def __init__(self) -> None:
        self.starts = np.empty(1 << 16, np.int32)
        self.ends = np.empty(1 << 16, np.int32)
        self.toggles = np.empty(1 << 10, np.int32)
        self.counts = np.empty(1 << 10, np.int64)
        self.slots = np.empty((2, 1 << 10), np.int32)

    def hold(self, runs: int, toggles: int = 0, counts: int = 0, slots: int = 0) -> None:
        """Grow to hold so much; runs are kept, scratch is not."""
        if runs > len(self.starts):
            more = np.empty(runs + runs // 2 - len(self.starts), np.int32)
            self.starts, self.ends = np.concatenate([self.starts, more]), np.concatenate([self.ends, more])
        if toggles > len(self.toggles):
            self.toggles = np.empty(2 * toggles, np.int32)
        if slots > self.slots.shape[1]:
            self.slots = np.empty((2, slots), np.int32)
        if counts > len(self.counts):
            self.counts = np.empty(2 * counts, np.int64)


class Side:
    """The truths (sorted by class within each image) or the predictions of a chunk of images, gathered."""

    def __init__(self, parts: Sequence[Instances], by_class: bool) -> None:
        columns = parts[0].columns
        counts = np.array([p.high - p.low for p in parts], np.int64)
        self.offsets = np.concatenate([[0], np.cumsum(counts)])
        first, last = parts[0].low, parts[-1].high
        self.rows: Any = slice(first, last)
        if last - first != self.offsets[-1] or any(a.high != b.low for a, b in pairwise(parts)):
            starts = np.array([p.low for p in parts], np.int64)
            self.rows = np.arange(self.offsets[-1]) + np.repeat(starts - self.offsets[:-1], counts)
        self.columns: InstanceColumns = columns
        self.image = np.repeat(np.arange(len(parts)), counts)
        self.heights = np.array([p.height for p in parts], np.int64)[self.image]
        self.widths = np.array([p.width for p in parts], np.int64)[self.image]
        self.classes = columns.classes[self.rows]
        if by_class:
            sequence = self.sorted(self.classes, np.zeros(len(self.classes)), False)
            self.classes = self.classes[sequence]
            self.rows = sequence + first if isinstance(self.rows, slice) else self.rows[sequence]
        self.boxes = columns.boxes[self.rows]
        self.kinds = columns.kinds[self.rows]
        size = len(self.classes)
        self.first, self.stop = np.zeros(size, np.int64), np.zeros(size, np.int64)
        self.pixels = np.zeros(size, np.int64)
        self.corners = np.zeros((size, 4), np.int64)

    def sorted(self, classes: Array, scores: Array, class_agnostic: bool) -> NDArray[np.int64]:
        """Each image's rows by class and descending score, or by descending score and class; stable."""
        if int(np.diff(self.offsets).max()) > MOST_INSERTED:
            keys = (classes, -scores) if class_agnostic else (-scores, classes)
            return np.lexsort((*keys, self.image))
        from segeval.kernels.counting import matching

        out = np.arange(len(classes))
        matching.order(self.offsets, classes, scores, class_agnostic, out)
        return out

    def geometry(self, masks: bool) -> tuple[Array, Array]:
        """Boxes as x, y, width, height, and spans of runs: first, stop, pixels."""
        spans = np.column_stack([self.first, self.stop, self.pixels])
        absent = np.isnan(self.boxes[:, 0])
        if not masks and not absent.any():
            return self.boxes, spans
        corners = self.corners.astype(np.float64)
        corners[:, 2:] -= corners[:, :2]
        return corners if masks else np.where(absent[:, None], corners, self.boxes), spans

    def decode(self, runs: Runs, cursor: int) -> int:
        """Find the runs of the masks, their areas and boxes; returns the cursor behind the last run."""
        from segeval.kernels.decoding import polygon, rle

        c, rows = self.columns, self.rows
        codes = np.zeros(len(self.classes), np.uint8)
        low, high = c.low[rows], c.high[rows]
        size, place = (self.heights, self.widths), (self.first, self.stop, codes)
        given = (self.kinds, low, high)
        runs.hold(cursor, slots=int(self.widths.max(initial=0)) + 1)
        row = 0 if (self.kinds == rle.POLYGON).any() else len(codes)
        while row < len(codes):
            row, cursor, room = polygon.rasterise(
                row, *given, c.rings, c.numbers, *size, runs.starts, runs.ends, cursor, *place, runs.toggles, runs.slots
            )
            runs.hold(cursor + room, toggles=room)
        encoded = self.kinds > rle.POLYGON
        if encoded.any():
            spans = np.where(self.kinds == rle.COMPRESSED, high - low, 0)
            spans[self.kinds == rle.COUNTS] = np.diff(c.rings)[low[self.kinds == rle.COUNTS]]
            runs.hold(cursor + int(spans.sum()) // 2 + len(spans), counts=int(spans.max()) + 2)
            cursor = rle.decode(
                *given, c.text, c.rings, c.numbers, *size, runs.counts, runs.starts, runs.ends, cursor, *place
            )
            _give_back(c.text, low[self.kinds == rle.COMPRESSED], high[self.kinds == rle.COMPRESSED])
        if codes.any():
            self._refuse(int(np.flatnonzero(codes)[0]), codes)
        rle.measure(runs.starts, runs.ends, self.first, self.stop, self.heights, self.pixels, self.corners)
        return cursor

    def _refuse(self, row: int, codes: Array) -> None:
        from segeval.kernels.decoding import rle

        h, w = self.heights[row], self.widths[row]
        problem, remedy = {
            rle.BAD_TOTAL: (f"a run-length mask that does not cover {h} x {w} pixels", "encode it at the image's size"),
            rle.BAD_CHARACTER: ("a run-length string with a character that is none of its alphabet", "encode it again"),
            rle.NEGATIVE_COUNT: ("a run-length mask with a count that is no natural number", "encode it again"),
            rle.BAD_COORDINATE: ("a polygon with a coordinate that is no usable number", "give pixels"),
            rle.BAD_RING: ("a polygon with fewer than three points, or half a point", "give x, y of at least 3 points"),
        }[int(codes[row])]
        raise BadInstanceError(row, f"has {problem}", remedy)


class BadInstanceError(Exception):
    """A row of a chunk that can't be used; becomes a SegevalError once its image is known."""

    def __init__(self, row: int, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.row, self.problem, self.remedy = row, problem, remedy


def _give_back(text: Array, low: Array, high: Array) -> None:
    """Return the pages of a mapped file that were just read, so that memory does not grow with the file.

    Not where masks of one chunk are scattered over the file: its other pages would be read again and again.
    """
    mapped = text.base
    while isinstance(mapped, (np.ndarray, memoryview)):
        mapped = mapped.base if isinstance(mapped, np.ndarray) else mapped.obj
    if not isinstance(mapped, mmap.mmap) or not len(low) or not hasattr(mmap, "MADV_DONTNEED"):
        return
    first, last = int(low.min()), int(high.max())
    if last - first < 4 * int((high - low).sum()):
        begin, end = -(-first // mmap.PAGESIZE) * mmap.PAGESIZE, last // mmap.PAGESIZE * mmap.PAGESIZE
        if end > begin:
            mapped.madvise(mmap.MADV_DONTNEED, begin, end - begin)
