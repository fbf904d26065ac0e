"""Masks as runs of pixels down the columns: the form in which COCO encodes and measures them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.samples.decoding import BadInstanceError, Runs, Side
from segeval.samples.instances import Instances


class MaskRuns(NamedTuple):
    """Masks of one image; mask `i` owns the runs `[first[i], stop[i])`, in order, none empty and none touching.

    Parameters
    ----------
    starts, ends
        int32: half-open ranges of positions, position = column * height + row.
    first, stop
        int64, one a mask.
    height, width
        Of the image.
    """

    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    first: NDArray[np.int64]
    stop: NDArray[np.int64]
    height: int
    width: int

    def measure(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Areas (n) in pixels, and boxes (n, 4) as x, y, width, height; an empty mask has an empty box."""
        from segeval.kernels.decoding import rle

        count = len(self.first)
        areas, boxes = np.empty(count, np.int64), np.empty((count, 4), np.int64)
        rle.measure(self.starts, self.ends, self.first, self.stop, np.full(count, self.height), areas, boxes)
        boxes[:, 2:] -= boxes[:, :2]
        return areas, boxes

    def compressed(self, mask: int) -> dict[str, Any]:
        """A mask as COCO's compressed run lengths."""
        from segeval.kernels.decoding import rle

        low, high = int(self.first[mask]), int(self.stop[mask])
        text = rle.encode(self.starts, self.ends, low, high, self.height * self.width)
        return {"size": [self.height, self.width], "counts": text.tobytes().decode("ascii")}

    def positions(self, mask: int) -> NDArray[np.int64]:
        """The positions of a mask's pixels, ascending."""
        own = slice(int(self.first[mask]), int(self.stop[mask]))
        starts = self.starts[own].astype(np.int64)
        lengths = self.ends[own] - starts
        before = np.cumsum(lengths) - lengths
        positions: NDArray[np.int64] = np.arange(int(lengths.sum())) + np.repeat(starts - before, lengths)
        return positions

    def take(self, masks: Any) -> MaskRuns:
        """Some of the masks, by position; the runs stay shared."""
        return self._replace(first=self.first[masks], stop=self.stop[masks])


def runs_of_map(ids: NDArray[Any]) -> tuple[NDArray[np.int64], MaskRuns]:
    """The distinct nonzero values of a map (H, W), ascending, and their masks."""
    from segeval.kernels.decoding import rle

    height, width = ids.shape
    values, starts, ends = rle.label_runs(ids.T.astype(np.uint32, order="C").reshape(-1))
    order = np.argsort(values, kind="stable")
    distinct, first, counts = np.unique(values[order], return_index=True, return_counts=True)
    first = first.astype(np.int64)
    return distinct.astype(np.int64), MaskRuns(starts[order], ends[order], first, first + counts, height, width)


def encode_mask(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """A mask (H, W) as COCO's compressed run lengths."""
    _, runs = runs_of_map(mask)
    if not len(runs.first):
        none = np.zeros(1, np.int64)
        runs = runs._replace(first=none, stop=none)
    return runs.compressed(0)


def runs_of_instances(found: Instances, *, file: object | None = None, key: object | None = None) -> MaskRuns:
    """The masks of an image, decoded.

    Raises
    ------
    SegevalError
        For masks that can't be decoded, and boxes without a mask.
    """
    side, scratch = Side([found], False), Runs()
    if (side.kinds == 0).any():
        raise SegevalError("holds a box without a mask", file=file, key=key, remedy="give masks: boxes have no pixels")
    try:
        end = side.decode(scratch, 0)
    except BadInstanceError as error:
        raise SegevalError(
            f"instance {error.row + 1} of this image {error.problem}", file=file, key=key, remedy=error.remedy
        ) from None
    return MaskRuns(
        scratch.starts[:end].copy(), scratch.ends[:end].copy(), side.first, side.stop, found.height, found.width
    )


def dense_masks(found: Instances, *, file: object | None = None, key: object | None = None) -> NDArray[np.bool_]:
    """The masks of an image, pixel by pixel: (N, H, W).

    Parameters
    ----------
    found
        Polygons, run lengths, or both.
    file, key
        Where they came from, for messages.

    Raises
    ------
    SegevalError
        For masks that can't be decoded, and boxes without a mask.
    """
    from segeval.kernels.decoding import rle

    # Runs go down the columns.
    flat = np.zeros((found.high - found.low, found.width * found.height), np.uint8)
    if len(flat):
        runs = runs_of_instances(found, file=file, key=key)
        for mask, first, stop in zip(flat, runs.first, runs.stop, strict=True):
            rle.paint(runs.starts, runs.ends, first, stop, mask)
    columns = flat.view(bool).reshape(-1, found.width, found.height)
    return np.ascontiguousarray(columns.transpose(0, 2, 1))
