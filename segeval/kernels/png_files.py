"""Reading, decoding and counting a chunk of PNG pairs in one call.

On small images half of the work was Python: opening files, walking through chunks, making arrays. Here all of it is
compiled and free of the interpreter lock. What is not plain (another depth, interlacing, anything damaged or absent) is
not judged: its image is marked, and `segeval.readers` reads it in the ordinary way, which knows the words for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from segeval.kernels.c_calls import (
    CLOSE,
    CRC32,
    FLAGS,
    INFLATE,
    OPEN,
    READ,
    close,
    crc32,
    inflated,
    opened,
    place,
    read,
)
from segeval.kernels.confusion import _count, _move
from segeval.kernels.jit import kernel
from segeval.kernels.png import PADDING, _unfilter

DONE, MARKED, LARGER = 0, 1, 2
"""What became of an image: counted; left to others; its files, or its rows, need more room than there is."""

HEIGHT, WIDTH, COLOUR, START, LENGTH, FILE, RAW, OUT, LEAD = range(9)
"""Places in `facts`: a header, where the compressed image lies, and the room that file, rows and pixels need."""

STATUS, SIZE_0, SIZE_1, CRC, END = range(5)
"""Columns of `about`: an image's status, height, width, CRC-32 of its truth, and where its rows end."""

# The eight bytes of a PNG, and the length and name of its first chunk, which is IHDR.
_BEGINNING = np.frombuffer(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", np.uint8)
_IDAT, _IEND, _PLTE = 0x49444154, 0x49454E44, 0x504C5445


@kernel
def _word(data: Any, at: Any) -> Any:
    value = np.int64(0)
    for k in range(4):
        value = value << 8 | np.int64(data[at + k])
    return value


@kernel
def _load(calls: Any, path: Any, data: Any, facts: Any) -> Any:
    """Read a file; its size, or 0 where that fails, or below 0 where `data` is too small."""
    descriptor = opened(calls[OPEN], path, calls[FLAGS])
    if descriptor < 0:
        return np.int64(0)
    size = read(calls[READ], descriptor, place(data, 0), data.size)
    close(calls[CLOSE], descriptor)
    if size == data.size:
        facts[FILE] = 2 * size
        return np.int64(-1)
    return max(size, np.int64(0))


@kernel
def _parse(calls: Any, data: Any, size: Any, most: Any, facts: Any) -> Any:
    """Walk through the chunks and check their sums; the IDATs are moved together. False where it is no plain PNG."""
    if size < 57:
        return False
    for k in range(16):
        if data[k] != _BEGINNING[k]:
            return False
    facts[WIDTH], facts[HEIGHT], facts[COLOUR] = _word(data, 16), _word(data, 20), data[25]
    if data[24] != 8 or data[26] != 0 or data[27] != 0 or data[28] != 0:
        return False
    if not 0 < facts[WIDTH] < 2**31 or not 0 < facts[HEIGHT] < 2**31 or facts[WIDTH] * facts[HEIGHT] > most:
        return False
    if crc32(calls[CRC32], place(data, 12), 17) != _word(data, 29):
        return False
    facts[START], facts[LENGTH] = 0, 0
    palette = closed = False
    at = np.int64(33)
    while True:
        if at + 12 > size:
            return False
        length, kind = _word(data, at), _word(data, at + 4)
        end = at + 12 + length
        if end > size or crc32(calls[CRC32], place(data, at + 4), length + 4) != _word(data, end - 4):
            return False
        if kind == _IDAT:
            if closed:
                return False
            if facts[LENGTH] == 0:
                facts[START] = at + 8
            else:
                to = facts[START] + facts[LENGTH]
                for k in range(length):
                    data[to + k] = data[at + 8 + k]
            facts[LENGTH] += length
        elif kind == _IEND:
            break
        else:
            closed = facts[LENGTH] > 0
            palette = palette or kind == _PLTE
            if kind & 0x20000000 == 0 and kind != _PLTE:
                return False
        at = end
    return facts[LENGTH] > 0 and (palette or facts[COLOUR] != 3)


@kernel
def _decode(calls: Any, handle: Any, channels: Any, data: Any, raw: Any, out: Any, facts: Any) -> Any:
    """Inflate and undo the filters into `out`, where the pixels begin at facts[LEAD]."""
    height, stride = facts[HEIGHT], facts[WIDTH] * channels
    size = height * (stride + 1)
    lead = (stride + 2 * 64 - 1) // 64 * 64
    facts[RAW], facts[OUT], facts[LEAD] = size + PADDING, lead + height * stride + PADDING, lead
    if size > facts[LENGTH] * 1032:
        return MARKED
    if facts[RAW] > raw.size or facts[OUT] > out.size:
        return LARGER
    if inflated(calls[INFLATE], handle, place(data, facts[START]), facts[LENGTH], place(raw, 0), size) != 0:
        return MARKED
    out[:lead] = 0
    return MARKED if _unfilter(raw, out, lead, height, stride, channels) >= 0 else DONE


@kernel
def _labels(calls: Any, handle: Any, path: Any, most: Any, data: Any, raw: Any, out: Any, facts: Any) -> Any:
    """One label map of a byte a pixel into `out`."""
    size = _load(calls, path, data, facts)
    if size < 0:
        return LARGER
    if not _parse(calls, data, size, most, facts) or (facts[COLOUR] != 0 and facts[COLOUR] != 3):
        return MARKED
    return _decode(calls, handle, 1, data, raw, out, facts)


@kernel
def count_labels(
    calls: Any, handle: Any, paths: Any, begins: Any, first: Any, most: Any, data: Any, raw: Any, truth: Any,
    prediction: Any, table: Any, rows: Any, pixels: Any, facts: Any, about: Any,
) -> Any:  # fmt: skip
    """Count pairs of label maps from `first` on; returns the one that needs more room, or their number.

    Parameters are the C functions and libdeflate's decompressor; the paths, truth and prediction in turn, as uint8 with
    a zero after each, and where each begins; the most pixels admitted; buffers for a file, its filtered rows and both
    maps; a table of 65,536 zeros; `rows` (2, r) and `pixels` (r) int64, filled from the beginning with the labels that
    meet; `facts` (2, 9) and `about` (n, 5) int64 as named above.
    """
    seen = np.zeros(1024, np.uint64)
    used = np.int64(0)
    for k in range(first, about.shape[0]):
        status = DONE
        for side in range(2):
            if status == DONE:
                path = place(paths, begins[2 * k + side])
                status = _labels(
                    calls, handle, path, most, data, raw, truth if side == 0 else prediction, facts[side]
                )  # fmt: skip
        height, width = facts[0, HEIGHT], facts[0, WIDTH]
        if status == DONE and (height != facts[1, HEIGHT] or width != facts[1, WIDTH]):
            status = MARKED
        size = height * width
        if status == DONE and used + min(size, np.int64(table.size)) > pixels.size:
            status = LARGER
        about[k, STATUS] = status
        if status == LARGER:
            return np.int64(k)
        if status == DONE:
            ours, theirs = facts[0, LEAD], facts[1, LEAD]
            about[k, SIZE_0], about[k, SIZE_1] = height, width
            about[k, CRC] = crc32(calls[CRC32], place(truth, ours), size)
            seen[:] = 0
            _count(truth[ours : ours + size], prediction[theirs : theirs + size], table, seen)
            used = _move(table, seen, rows[0], rows[1], pixels, used)
        about[k, END] = used
    return np.int64(about.shape[0])
