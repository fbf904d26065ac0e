"""Masks of instances, decoded: as runs of pixels, or pixel by pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.samples.decoding import BadInstanceError, Runs, Side
from segeval.samples.mask_runs import MaskRuns
from segeval.samples.pairs import Instances


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
