"""Undoing the row filters of PNG (PNG specification, third edition, section 9).

The filters store each byte as the difference to its neighbours, and in label maps nearly all differences are zero:
the kernels look for the next byte that is not, 64 at a time, and fill what lies before it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.kernels.jit import kernel
from segeval.kernels.vector import WIDTH, add, copy, differs, filler, load32, nonzero, summer, trailing_zeros

PADDING = 64
"""Bytes beyond the last row that the kernels may read and write."""

_sum1, _sum2, _sum3, _sum4 = summer(1), summer(2), summer(3), summer(4)
_U = np.uint64
_NONE = np.uint64(0)
_fill1, _fill2, _fill3, _fill4 = filler(1), filler(2), filler(3), filler(4)


@kernel
def _predicted(left: Any, up: Any, corner: Any) -> Any:
    """Paeth's predictor: whichever of the three is nearest to left + up - corner."""
    to_left, to_up, to_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
    value = up if to_up <= to_corner else corner
    return left if to_left <= to_up and to_left <= to_corner else value


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
    multiplier = (127 + step) // step  # x * multiplier >> 7 is x // step for x up to 64
    left = np.uint32(0)
    k = 0
    while k < stride:
        # No difference, and above the value of the pixel to the left: that value again.
        if step == 1:
            _fill1(out, at + k, left)
        elif step == 2:
            _fill2(out, at + k, left)
        elif step == 3:
            _fill3(out, at + k, left)
        else:
            _fill4(out, at + k, left)
        changes = nonzero(raw, source + k) | differs(out, at + k, out, above + k)
        k += ((trailing_zeros(changes) * multiplier) >> 7) * step
        if changes == _NONE or k >= stride:
            continue
        before, left = left, np.uint32(0)
        for b in range(step):
            mean = (((before >> _U(8 * b)) & _U(255)) + _U(out[_U(above + k + b)])) >> _U(1)
            value = (_U(raw[_U(source + k + b)]) + mean) & _U(255)
            out[_U(at + k + b)] = value
            left |= np.uint32(value << _U(8 * b))
        k += step


@kernel
def _paeth(out: Any, at: Any, above: Any, raw: Any, source: Any, stride: Any, step: Any) -> Any:
    multiplier = (127 + step) // step
    pixel = np.uint32((1 << 8 * step) - 1)
    # The pixels to the left and above it stay in registers: reading back what was just written in pieces is slow.
    left = corner = np.uint32(0)
    burst = 1
    k = 0
    while k < stride:
        if left == corner:
            # It stays so while there is no difference: a copy of the row above.
            copy(out, at + k, out, above + k)
            changes = nonzero(raw, source + k)
            quiet = ((trailing_zeros(changes) * multiplier) >> 7) * step
            if quiet:
                left = corner = load32(out, above + k + quiet - step) & pixel
        else:
            # Where above equals upper left, the predictor is left.
            if step == 1:
                _fill1(out, at + k, left)
            elif step == 2:
                _fill2(out, at + k, left)
            elif step == 3:
                _fill3(out, at + k, left)
            else:
                _fill4(out, at + k, left)
            changes = nonzero(raw, source + k) | differs(out, above + k, out, above + k - step)
            quiet = ((trailing_zeros(changes) * multiplier) >> 7) * step
        k += quiet
        if changes == _NONE:
            continue
        # Where nothing is quiet, more and more pixels are undone before the next look.
        burst = 2 if quiet else min(2 * burst, 16)
        for _ in range(min(burst, (stride - k) // step)):
            up = load32(out, above + k) & pixel
            before, left = left, np.uint32(0)
            for b in range(0, 8 * step, 8):
                x, y, z = (before >> _U(b)) & _U(255), (up >> _U(b)) & _U(255), (corner >> _U(b)) & _U(255)
                value = (_predicted(np.int64(x), np.int64(y), np.int64(z)) + np.int64(raw[_U(source + k)])) & 255
                out[_U(at + k)] = value
                left |= np.uint32(value << b)
                k += 1
            corner = up
            if left == corner:
                break


@kernel
def _slow(out: Any, at: Any, above: Any, raw: Any, source: Any, stride: Any, step: Any, kind: Any) -> Any:
    """Average and Paeth where pixels are larger than 4 bytes."""
    for k in range(stride):
        left = np.int64(out[at + k - step]) if k >= step else 0
        corner = np.int64(out[above + k - step]) if k >= step else 0
        up = np.int64(out[above + k])
        out[at + k] = raw[source + k] + ((left + up) >> 1 if kind == 3 else _predicted(left, up, corner))


@kernel
def _unfilter(raw: Any, out: Any, lead: Any, rows: Any, stride: Any, step: Any) -> Any:
    """Undo all rows; -1, or the row whose filter is unknown.

    `out` has `lead` bytes before the first row, of which the last `stride` are the row above it.
    """
    for row in range(rows):
        source = row * (stride + 1) + 1
        kind = raw[source - 1]
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
        elif (kind == 3 or kind == 4) and step > 4:
            _slow(out, at, above, raw, source, stride, step, kind)
        elif kind == 3:
            _average(out, at, above, raw, source, stride, step)
        elif kind == 4:
            _paeth(out, at, above, raw, source, stride, step)
        else:
            return row
    return -1


@kernel
def swap_bytes(values: Any) -> None:
    """Turn big-endian uint16 values, viewed as native ones, into native ones."""
    for k in range(values.size):
        value = np.uint32(values[k])
        values[k] = value >> np.uint32(8) | value << np.uint32(8)


def lead_of(stride: int) -> int:
    """Bytes that :func:`unfilter` wants before the first row: a row above it, and what keeps the pixels aligned."""
    return (stride + 2 * WIDTH - 1) // WIDTH * WIDTH


def unfilter(raw: NDArray[np.uint8], out: NDArray[Any], height: int, stride: int, step: int) -> int:
    """Undo the filters of an image.

    Parameters
    ----------
    raw
        uint8 of at least height * (stride + 1) + PADDING, as inflated: each row after the byte that names its filter.
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
    bad: int = _unfilter(raw, out, lead, height, stride, step)
    return bad
