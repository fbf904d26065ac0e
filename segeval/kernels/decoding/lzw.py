"""LZW and PackBits as TIFF has them (TIFF 6.0, sections 9 and 13)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.kernels.jit import kernel

_CLEAR, _END, _FIRST = 256, 257, 258
_CODES = 4096


@kernel
def _lzw(data: Any, out: Any) -> Any:
    """A string of the table is what the output held when it was made, so a place and a length stand for it."""
    place = np.zeros(_CODES, np.int64)
    length = np.zeros(_CODES, np.int64)
    bits: Any = 0
    n: Any = 0
    held, width, free, at = 0, 9, _FIRST, 0
    before, before_length = 0, 0
    while n < out.size:
        while held < width:
            if at == data.size:
                return n
            bits = bits << 8 | np.int64(data[at])
            held += 8
            at += 1
        code = bits >> (held - width)
        held -= width
        bits &= (1 << held) - 1
        if code == _CLEAR:
            width, free, before_length = 9, _FIRST, 0
            continue
        if code == _END:
            return n
        if code < _CLEAR:
            start, size = -1, 1
        elif code < free:
            start, size = place[code], length[code]
        elif code == free and before_length > 0:
            start, size = before, before_length + 1
        else:
            return -1
        if start < 0:
            out[n] = code
        else:
            # Byte by byte, for the last one may be the first that is written here.
            for k in range(min(size, out.size - n)):
                out[n + k] = out[start + k]
        if before_length > 0 and free < _CODES:
            place[free] = before
            length[free] = before_length + 1
            free += 1
            # One code early, which TIFF made a rule of.
            if free + 1 == 1 << width and width < 12:
                width += 1
        before, before_length = n, size
        n += size
    return out.size


@kernel
def _packbits(data: Any, out: Any) -> Any:
    at: Any = 0
    n: Any = 0
    while n < out.size and at < data.size:
        head = np.int64(data[at])
        at += 1
        if head < 128:
            size = head + 1
            if at + size > data.size:
                return n
            for k in range(min(size, out.size - n)):
                out[n + k] = data[at + k]
            at += size
            n += size
        elif head > 128:
            if at == data.size:
                return n
            size = 257 - head
            for k in range(min(size, out.size - n)):
                out[n + k] = data[at]
            at += 1
            n += size
    return min(n, out.size)


def unpack_lzw(data: NDArray[np.uint8], out: NDArray[np.uint8]) -> bool:
    """Decode LZW, codes from the highest bit on.

    Parameters
    ----------
    data
        The codes; what comes after the output is full is ignored.
    out
        uint8 of the size that is wanted.

    Returns
    -------
    right
        False if the codes are damaged or end before the output is full.
    """
    return bool(_lzw(data, out) == out.size)


def unpack_packbits(data: NDArray[np.uint8], out: NDArray[np.uint8]) -> bool:
    """Decode PackBits.

    Parameters
    ----------
    data
        The runs; what comes after the output is full is ignored.
    out
        uint8 of the size that is wanted.

    Returns
    -------
    right
        False if the runs end before the output is full.
    """
    return bool(_packbits(data, out) == out.size)
