"""Undoing the row filters of PNG (PNG specification, third edition, section 9).

The filters store each byte as the difference to its neighbours, and in label maps nearly all differences are zero:
the kernels look for the next byte that is not, 64 at a time, and fill what lies before it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.kernels.jit import kernel
from segeval.kernels.vector import WIDTH, add, copy, differs, nonzero, repeater, summer, trailing_zeros

PADDING = 64
"""Bytes beyond the last row that the kernels may write."""

_sum1, _sum2, _sum3, _sum4 = summer(1), summer(2), summer(3), summer(4)
_repeat1, _repeat2, _repeat3, _repeat4 = repeater(1), repeater(2), repeater(3), repeater(4)


@kernel
def _repeat(out: Any, i: Any, step: Any) -> Any:
    if step == 1:
        _repeat1(out, i)
    elif step == 2:
        _repeat2(out, i)
    elif step == 3:
        _repeat3(out, i)
    else:
        _repeat4(out, i)


@kernel
def _sub(out: Any, at: Any, raw: Any, source: Any, stride: Any, step: Any) -> Any:
    if step == 1:
        _sum1(out, at, raw, source, stride)
    elif step == 2:
        _sum2(out, at, raw, source, stride)
    elif step == 3:
        _sum3(out, at, raw, source, stride)
    elif step == 4:
        _sum4(out, at, raw, source, stride)
    else:
        for k in range(step):
            out[at + k] = raw[source + k]
        for k in range(step, stride):
            out[at + k] = raw[source + k] + out[at + k - step]


@kernel
def _average(out: Any, at: Any, above: Any, raw: Any, source: Any, stride: Any, step: Any) -> Any:
    for k in range(step):
        out[at + k] = raw[source + k] + (out[above + k] >> 1)
    k = step
    while k < stride:
        if step <= 4:
            # No difference, and above the value of the pixel to the left: that value again.
            _repeat(out, at + k, step)
            quiet = trailing_zeros(nonzero(raw, source + k) | differs(out, at + k, out, above + k))
            k += quiet // step * step
            if quiet == WIDTH:
                continue
        for b in range(at + k, min(at + k + step, at + stride)):
            mean = (np.int64(out[b - step]) + np.int64(out[b - at + above])) >> 1
            out[b] = raw[b - at + source] + mean
        k += step


@kernel
def _paeth(out: Any, at: Any, above: Any, raw: Any, source: Any, stride: Any, step: Any) -> Any:
    for k in range(step):
        out[at + k] = raw[source + k] + out[above + k]
    k = step
    while k < stride:
        if step <= 4:
            corner = True
            for b in range(k - step, k):
                corner &= out[at + b] == out[above + b]
            if corner:
                # Left equals upper left, and stays so while there is no difference: a copy of the row above.
                copy(out, at + k, out, above + k)
                quiet = trailing_zeros(nonzero(raw, source + k))
            else:
                # Where above equals upper left, the predictor is left.
                _repeat(out, at + k, step)
                quiet = trailing_zeros(nonzero(raw, source + k) | differs(out, above + k, out, above + k - step))
            k += quiet // step * step
            if quiet == WIDTH:
                continue
        for b in range(k, min(k + step, stride)):
            left = np.int64(out[at + b - step])
            up = np.int64(out[above + b])
            corner_value = np.int64(out[above + b - step])
            to_left = abs(up - corner_value)
            to_up = abs(left - corner_value)
            to_corner = abs(left + up - 2 * corner_value)
            if to_left <= to_up and to_left <= to_corner:
                value = left
            elif to_up <= to_corner:
                value = up
            else:
                value = corner_value
            out[at + b] = raw[source + b] + value
        k += step


@kernel
def _unfilter(raw: Any, source: Any, out: Any, lead: Any, rows: Any, stride: Any, step: Any) -> Any:
    """Undo `rows` rows that start at `raw[source]`; -1, or the row whose filter is unknown.

    `out` has `lead` bytes before the first row, of which the last `stride` are the row above it.
    """
    for row in range(rows):
        kind = raw[source]
        source += 1
        at = lead + row * stride
        above = at - stride
        if kind == 0:
            for k in range(0, stride, WIDTH):
                copy(out, at + k, raw, source + k)
        elif kind == 1:
            _sub(out, at, raw, source, stride, step)
        elif kind == 2:
            for k in range(0, stride, WIDTH):
                add(out, at + k, raw, source + k, out, above + k)
        elif kind == 3:
            _average(out, at, above, raw, source, stride, step)
        elif kind == 4:
            _paeth(out, at, above, raw, source, stride, step)
        else:
            return row
        source += stride
    return -1


def lead_of(stride: int) -> int:
    """Bytes that :func:`unfilter` wants before the first row: a row above it, and what keeps the pixels aligned."""
    return (stride + 2 * WIDTH - 1) // WIDTH * WIDTH


def unfilter(raw: NDArray[np.uint8], out: NDArray[Any], height: int, stride: int, step: int) -> int:
    """Undo the filters of an image.

    Parameters
    ----------
    raw
        (height * (stride + 1),) uint8, as inflated: each row after the byte that names its filter.
    out
        uint8 of at least lead_of(stride) + height * stride + PADDING; the image begins at lead_of(stride).
    height, stride
        Rows, and bytes in a row.
    step
        Bytes of a pixel, at least 1.

    Returns
    -------
    row
        -1, or the first row whose filter does not exist.
    """
    lead = lead_of(stride)
    out[:lead] = 0
    # Kernels read up to 64 bytes beyond a row, so the rows that this would carry out of `raw` are undone from a copy.
    careful = min(height, PADDING // (stride + 1) + 1)
    safe = height - careful
    bad: int = _unfilter(raw, 0, out, lead, safe, stride, step)
    if bad >= 0:
        return bad
    tail = np.zeros(careful * (stride + 1) + PADDING, np.uint8)
    tail[: careful * (stride + 1)] = raw[safe * (stride + 1) :]
    bad = _unfilter(tail, 0, out, lead + safe * stride, careful, stride, step)
    return bad + safe if bad >= 0 else -1
