"""Run-length masks: every representation becomes ordered foreground runs.

A run is a half-open range of pixels `[start, end)` counted down the columns (position = column * height + row), as
COCO counts them. The runs of many masks lie one mask after the other in two shared int32 arrays; mask `i` owns
`[first[i], stop[i])` of them, in ascending order, never empty and never touching.
"""

from __future__ import annotations

import numpy as np

from segeval.kernels.jit import kernel

# How a mask was written down.
ABSENT, POLYGON, COUNTS, COMPRESSED = 0, 1, 2, 3

# What can be wrong with a mask.
VALID, BAD_TOTAL, BAD_CHARACTER, NEGATIVE_COUNT, BAD_COORDINATE, BAD_RING = range(6)

_QUOTE = 34
_BACKSLASH = 92


@kernel
def grown(array, size):  # type: ignore[no-untyped-def]
    """The array itself, or a copy of at least `size` items with room to spare."""
    if size <= array.size:
        return array
    larger = np.empty(size + size // 2, array.dtype)
    larger[: array.size] = array
    return larger


@kernel
def _count(text, at):  # type: ignore[no-untyped-def]
    """One number of a compressed string: five bits a character, least significant first, sign-extended."""
    value = np.int64(0)
    shift = np.int64(0)
    while True:
        character = np.int64(text[at])
        at += 1
        if character == _BACKSLASH:  # JSON writes it twice
            at += 1
        character -= 48
        if character < 0 or character > 63 or shift > 55:
            return value, np.int64(-1)
        value |= (character & 31) << shift
        shift += 5
        if character < 32:
            if character & 16:
                value -= np.int64(1) << shift
            return value, at


@kernel
def _decode_compressed(text, at, pixels, starts, ends, cursor):  # type: ignore[no-untyped-def]
    """Runs of one compressed string, which ends at a quotation mark; returns the new cursor and a code."""
    begin = cursor
    position = np.int64(0)
    gap = np.int64(0)
    length = np.int64(0)
    pair = 0
    while text[at] != _QUOTE:
        value, at = _count(text, at)
        if at < 0:
            return begin, BAD_CHARACTER
        # From the fourth count on, a count is written as its difference from the one before the last.
        gap = value + gap if pair > 1 else value
        if gap < 0:
            return begin, NEGATIVE_COUNT
        position += gap
        if position > pixels or text[at] == _QUOTE:
            break
        value, at = _count(text, at)
        if at < 0:
            return begin, BAD_CHARACTER
        length = value + length if pair > 0 else value
        if length < 0:
            return begin, NEGATIVE_COUNT
        if position + length > pixels:
            return begin, BAD_TOTAL
        if length > 0:
            if cursor > begin and ends[cursor - 1] == position:
                cursor -= 1
            else:
                starts[cursor] = position
            position += length
            ends[cursor] = position
            cursor += 1
        pair += 1
    if position != pixels:
        return begin, BAD_TOTAL
    return cursor, VALID


@kernel
def _decode_counts(numbers, low, high, pixels, starts, ends, cursor):  # type: ignore[no-untyped-def]
    """Runs of one list of counts, background first; returns the new cursor and a code."""
    begin = cursor
    position = np.int64(0)
    for index in range(low, high):
        number = numbers[index]
        if not (0.0 <= number <= 2147483647.0) or number != np.floor(number):
            return begin, NEGATIVE_COUNT
        length = np.int64(number)
        if position + length > pixels:
            return begin, BAD_TOTAL
        if (index - low) & 1 and length > 0:
            if cursor > begin and ends[cursor - 1] == position:
                cursor -= 1
            else:
                starts[cursor] = position
            ends[cursor] = position + length
            cursor += 1
        position += length
    if position != pixels:
        return begin, BAD_TOTAL
    return cursor, VALID


@kernel
def decode(kinds, low, high, text, rings, numbers, heights, widths, starts, ends, cursor, first, stop, codes):  # type: ignore[no-untyped-def]
    """Append the runs of every COMPRESSED and COUNTS mask; leave the other kinds alone.

    `[low, high)` is a COMPRESSED mask's span in `text`, a quotation mark following it; a COUNTS mask is the ring `low`:
    `numbers[rings[low]:rings[low + 1]]`.
    Returns the run arrays, larger if they had to grow, and the cursor behind the last run.
    """
    for i in range(kinds.size):
        kind = kinds[i]
        if kind != COMPRESSED and kind != COUNTS:
            continue
        begin, end = low[i], high[i]
        if kind == COUNTS:
            begin, end = rings[low[i]], rings[low[i] + 1]
        starts = grown(starts, cursor + (end - begin) // 2 + 1)
        ends = grown(ends, cursor + (end - begin) // 2 + 1)
        first[i] = cursor
        pixels = heights[i] * widths[i]
        if kind == COMPRESSED:
            cursor, code = _decode_compressed(text, begin, pixels, starts, ends, cursor)
        else:
            cursor, code = _decode_counts(numbers, begin, end, pixels, starts, ends, cursor)
        stop[i] = cursor
        codes[i] = code
    return starts, ends, cursor


@kernel
def measure(starts, ends, first, stop, heights, areas, boxes):  # type: ignore[no-untyped-def]
    """Area and bounding box (column and row ranges, half-open) of every mask; an empty mask has an empty box."""
    for i in range(first.size):
        height = heights[i]
        area = np.int64(0)
        if first[i] == stop[i]:
            areas[i] = 0
            boxes[i, 0] = boxes[i, 1] = boxes[i, 2] = boxes[i, 3] = 0
            continue
        left = starts[first[i]] // height
        base = left * height
        top = height
        bottom = np.int64(0)
        for r in range(first[i], stop[i]):
            start = np.int64(starts[r])
            end = np.int64(ends[r])
            area += end - start
            while start >= base + height:  # runs are in order, so the column only moves right
                base += height
            low = start - base
            high = end - base
            if high > height:  # spills into the next column
                low = np.int64(0)
                high = height
            top = min(top, low)
            bottom = max(bottom, high)
        areas[i] = area
        boxes[i, 0] = left
        boxes[i, 1] = top
        boxes[i, 2] = (ends[stop[i] - 1] - 1) // height + 1
        boxes[i, 3] = bottom


@kernel
def encode(starts, ends, low, high, pixels):  # type: ignore[no-untyped-def]
    """The compressed string of the runs `[low, high)` as bytes."""
    total = 2 * (high - low) + 1
    text = np.empty(7 * total, np.uint8)
    at = 0
    gap = np.int64(0)
    length = np.int64(0)
    position = np.int64(0)
    for index in range(total):
        run = low + index // 2
        if index & 1:
            count = np.int64(ends[run]) - starts[run]
            value = count - length if index > 2 else count
            length = count
            position = np.int64(ends[run])
        else:
            count = (np.int64(starts[run]) if run < high else pixels) - position
            if run == high and count == 0 and index > 0:
                break  # a mask that reaches the last pixel ends with its foreground
            value = count - gap if index > 2 else count
            gap = count
        more = True
        while more:
            bits = value & 31
            value >>= 5
            more = value != -1 if bits & 16 else value != 0
            text[at] = bits + (32 if more else 0) + 48
            at += 1
    return text[:at].copy()


@kernel
def label_runs(labels):  # type: ignore[no-untyped-def]
    """Runs of equal nonzero values in a flat column-major map: their values, starts and ends, in order of position."""
    values = np.empty(256, np.uint32)
    starts = np.empty(256, np.int32)
    ends = np.empty(256, np.int32)
    count = 0
    position = 0
    while position < labels.size:
        value = labels[position]
        begin = position
        position += 1
        while position < labels.size and labels[position] == value:
            position += 1
        if value != 0:
            if count == values.size:
                values = grown(values, count + 1)
                starts = grown(starts, count + 1)
                ends = grown(ends, count + 1)
            values[count] = value
            starts[count] = begin
            ends[count] = position
            count += 1
    return values[:count].copy(), starts[:count].copy(), ends[:count].copy()


@kernel
def paint(starts, ends, low, high, flat):  # type: ignore[no-untyped-def]
    """Set the pixels of the runs `[low, high)` to 1 in a flat column-major mask."""
    for r in range(low, high):
        for position in range(starts[r], ends[r]):
            flat[position] = 1
