"""Reading, decoding and counting a chunk of PNG pairs in one call.

On small images half of the work was Python: opening files, walking through chunks, making arrays. Here all of it is
compiled and free of the interpreter lock. What is not plain (another depth, interlacing, anything damaged or absent) is
not judged: its image is marked, and `segeval.readers` reads it in the ordinary way, which knows the words for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from segeval.kernels.counting.confusion import _count, _move
from segeval.kernels.counting.overlap import _count as _meet
from segeval.kernels.decoding.c_calls import (
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
from segeval.kernels.decoding.png import PADDING, _unfilter
from segeval.kernels.jit import kernel

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
    palette = begun = closed = False
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
            begun = True  # by an empty one too
        elif kind == _IEND:
            break
        else:
            closed = begun
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
    if size <= 0 or size > facts[LENGTH] * 1032:
        return MARKED
    if facts[RAW] > raw.size or facts[OUT] > out.size:
        return LARGER
    if inflated(calls[INFLATE], handle, place(data, facts[START]), facts[LENGTH], place(raw, 0), size) != 0:
        return MARKED
    out[:lead] = 0
    return MARKED if _unfilter(raw, out, lead, height, stride, channels) >= 0 else DONE


@kernel
def _image(
    calls: Any, handle: Any, channels: Any, path: Any, most: Any, data: Any, raw: Any, out: Any, facts: Any
) -> Any:
    """One image of `channels` bytes a pixel into `out`: a grey or a palette's indices, or colours."""
    size = _load(calls, path, data, facts)
    if size < 0:
        return LARGER
    if not _parse(calls, data, size, most, facts):
        return MARKED
    colour = facts[COLOUR]
    if (channels == 1 and colour != 0 and colour != 3) or (channels == 3 and colour != 2):
        return MARKED
    return _decode(calls, handle, channels, data, raw, out, facts)


@kernel
def _pair(
    calls: Any, handle: Any, channels: Any, truth_path: Any, path: Any, most: Any, data: Any, raw: Any, truth: Any,
    prediction: Any, facts: Any,
) -> Any:  # fmt: skip
    """Both images of a pair, which must be of one size."""
    status = _image(calls, handle, channels, truth_path, most, data, raw, truth, facts[0])
    if status == DONE:
        status = _image(calls, handle, channels, path, most, data, raw, prediction, facts[1])
    if status == DONE and (facts[0, HEIGHT] != facts[1, HEIGHT] or facts[0, WIDTH] != facts[1, WIDTH]):
        return MARKED
    return status


@kernel
def _note(calls: Any, channels: Any, truth: Any, facts: Any, about: Any, k: Any) -> Any:
    """What is to be known of an image beside its rows; returns the bytes of its pixels."""
    size = facts[0, HEIGHT] * facts[0, WIDTH] * channels
    about[k, SIZE_0] = facts[0, HEIGHT]
    about[k, SIZE_1] = facts[0, WIDTH]
    about[k, CRC] = crc32(calls[CRC32], place(truth, facts[0, LEAD]), size)
    return size


@kernel
def count_labels(
    calls: Any, handle: Any, paths: Any, begins: Any, first: Any, most: Any, data: Any, raw: Any, truth: Any,
    prediction: Any, facts: Any, about: Any, table: Any, rows: Any, pixels: Any,
) -> Any:  # fmt: skip
    """Count pairs of label maps from `first` on; returns the one that needs more room, or their number.

    Parameters are the C functions and libdeflate's decompressor; the paths, truth and prediction in turn, as uint8 with
    a zero after each, and where each begins; the most pixels admitted; buffers for a file, its filtered rows and both
    maps; `facts` (2, 9) and `about` (n, 5) int64 as named above; a table of 65,536 zeros; `rows` (2, r) and `pixels`
    (r) int64, filled from the beginning with the labels that meet.
    """
    seen = np.zeros(1024, np.uint64)
    used = np.int64(0)
    for k in range(first, about.shape[0]):
        path, other = place(paths, begins[2 * k]), place(paths, begins[2 * k + 1])
        status = _pair(calls, handle, 1, path, other, most, data, raw, truth, prediction, facts)
        if status == DONE and used + min(facts[0, HEIGHT] * facts[0, WIDTH], np.int64(table.size)) > pixels.size:
            status = LARGER
        about[k, STATUS] = status
        if status == LARGER:
            return np.int64(k)
        if status == DONE:
            size = _note(calls, 1, truth, facts, about, k)
            ours, theirs = facts[0, LEAD], facts[1, LEAD]
            seen[:] = 0
            _count(truth[ours : ours + size], prediction[theirs : theirs + size], table, seen)
            used = _move(table, seen, rows[0], rows[1], pixels, used)
        about[k, END] = used
    return np.int64(about.shape[0])


@kernel
def count_colours(
    calls: Any, handle: Any, paths: Any, begins: Any, first: Any, most: Any, data: Any, raw: Any, truth: Any,
    prediction: Any, facts: Any, about: Any, layout: Any, keys: Any, pixels: Any,
) -> Any:  # fmt: skip
    """Count pairs of panoptic maps kept as colours, as `count_labels` does.

    The rows are `keys` uint64, `truth id << 32 | prediction id`, in no order within an image, and `pixels` int64;
    `layout` is that of `overlap.COLOURS`.
    """
    used = np.int64(0)
    for k in range(first, about.shape[0]):
        path, other = place(paths, begins[2 * k]), place(paths, begins[2 * k + 1])
        status = _pair(calls, handle, 3, path, other, most, data, raw, truth, prediction, facts)
        if status == DONE:
            size = _note(calls, 3, truth, facts, about, k)
            ours, theirs = facts[0, LEAD], facts[1, LEAD]
            found, counts = _meet(truth[ours : ours + size], prediction[theirs : theirs + size], 3, layout)
            if used + found.size > pixels.size:
                # Handed on, then tried again; by itself it is too much for this way.
                status = LARGER if used else MARKED
            else:
                keys[used : used + found.size] = found
                pixels[used : used + found.size] = counts
                used += found.size
        about[k, STATUS] = status
        if status == LARGER:
            return np.int64(k)
        about[k, END] = used
    return np.int64(about.shape[0])
