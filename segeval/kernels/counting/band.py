"""The band around the borders of a label map."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.kernels.jit import kernel


@kernel
def _band(labels: Any, reach: Any) -> Any:
    height, width = labels.shape
    inside = np.zeros((height, width), np.uint8)
    # A pixel within d king's moves of another label is within d - 1 of a pixel that touches another label (by a side
    # or a corner), so: mark those, then spread the marks by d - 1, along the rows and then along the columns.
    for y in range(height):
        for x in range(width):
            here = labels[y, x]
            if x + 1 < width and labels[y, x + 1] != here:
                inside[y, x] = 1
                inside[y, x + 1] = 1
            if y + 1 < height:
                for k in range(max(0, x - 1), min(width, x + 2)):
                    if labels[y + 1, k] != here:
                        inside[y, x] = 1
                        inside[y + 1, k] = 1
    spread = reach - 1
    far = -(2**40)
    for y in range(height):
        last = far
        for x in range(width):
            if inside[y, x] == 1:
                for k in range(max(last + spread + 1, x - spread, 0), x):
                    if inside[y, k] == 0:
                        inside[y, k] = 2
                last = x
            elif x - last <= spread:
                inside[y, x] = 2
    latest = np.full(width, far)
    for y in range(height):
        for x in range(width):
            if inside[y, x] == 1 or inside[y, x] == 2:
                for k in range(max(latest[x] + spread + 1, y - spread, 0), y):
                    inside[k, x] = 3
                latest[x] = y
            elif y - latest[x] <= spread:
                inside[y, x] = 3
    return inside


def border_band(labels: NDArray[Any], reach: int) -> NDArray[np.bool_]:
    """Where a label map has another label within some pixels: the square of side 2 d + 1 around it holds two labels.

    Parameters
    ----------
    labels
        (H, W) uint8, or any other integers, which are copied to int64.
    reach
        d, in pixels, at least 1.

    Returns
    -------
    band
        (H, W) bool.
    """
    if labels.dtype != np.uint8:
        labels = labels.astype(np.int64)
    marks: NDArray[np.uint8] = _band(np.ascontiguousarray(labels), np.int64(reach))
    return marks > 0
