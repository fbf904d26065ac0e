"""Run-length masks: every representation becomes ordered foreground runs.

A run is a half-open range of pixels `[start, end)` counted down the columns (position = column * height + row), as
COCO counts them. The runs of many masks lie one mask after the other in two shared int32 arrays; mask `i` owns
`[first[i], stop[i])` of them, in ascending order, never empty and never touching.
"""

from __future__ import annotations

import numpy as np

from segeval.kernels.jit import kernel, loop

# How a mask was written down.
ABSENT, POLYGON, COUNTS, COMPRESSED = 0, 1, 2, 3

# What can be wrong with a mask.
VALID, BAD_TOTAL, BAD_CHARACTER, NEGATIVE_COUNT, BAD_COORDINATE, BAD_RING = range(6)

_BACKSLASH = 92


@loop
def _counts_of(text, at, end, counts):  # type: ignore[no-untyped-def]
    """The numbers of a compressed string: five bits a character, least significant first, sign-extended.

    Returns how many there are, or -1. Only the rare backslash branches: what comes next can't be foreseen.
    """
    size = np.int64(0)
    value = np.int64(0)
    shift = np.int64(0)
    wrong = np.int64(0)
    while at < end:
        character = np.int64(text[at])
        if character == _BACKSLASH:  # JSON writes it twice
            at += 1
            wrong |= np.int64(text[at] != _BACKSLASH)
        at += 1
        character -= 48
        wrong |= character >> 6  # negative, or 64 and more
        value |= (character & 31) << shift
        shift += 5
        counts[size] = value - (((character >> 4) & 1) << shift)
        more = (character >> 5) & 1
        size += 1 - more
        value &= -more
        shift &= -more
        wrong |= shift >> 5  # no count has 35 bits
    return np.int64(-1) if wrong != 0 or shift != 0 else size


@loop
def _decode_compressed(text, at, end, pixels, counts, starts, ends, cursor):  # type: ignore[no-untyped-def]
    """Runs of one compressed string; returns the new cursor and a code."""
    size = _counts_of(text, at, end, counts)
    if size < 0:
        return cursor, BAD_CHARACTER
    counts[size] = 0  # where the string ends with background
    begin = cursor
    position = np.int64(0)
    gap = np.int64(0)
    length = np.int64(0)
    negative = np.int64(0)
    empty = False
    for pair in range((size + 1) // 2):
        # From the fourth count on, a count is written as its difference from the one before the last.
        gap = counts[2 * pair] + (gap if pair > 1 else 0)
        if 2 * pair + 1 == size:
            position += gap
            negative |= gap
            break
        length = counts[2 * pair + 1] + (length if pair > 0 else 0)
        negative |= gap | length
        empty |= (length == 0) | ((gap == 0) & (pair > 0))
        position += gap
        starts[cursor] = position
        position += length
        ends[cursor] = position
        cursor += 1
    if negative < 0:
        return begin, NEGATIVE_COUNT
    if position != pixels:
        return begin, BAD_TOTAL
    return (_tidied(starts, ends, begin, cursor) if empty else cursor), VALID


@loop
def _tidied(starts, ends, begin, cursor):  # type: ignore[no-untyped-def]
    """Drop empty runs and join touching ones; returns the new cursor."""
    out = begin
    for r in range(begin, cursor):
        if ends[r] == starts[r]:
            continue
        if out > begin and ends[out - 1] == starts[r]:
            ends[out - 1] = ends[r]
        else:
            starts[out] = starts[r]
            ends[out] = ends[r]
            out += 1
    return out


@loop
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
        if (index - low) & 1:
            starts[cursor] = position
            ends[cursor] = position + length
            cursor += 1
        position += length
    if position != pixels:
        return begin, BAD_TOTAL
    return _tidied(starts, ends, begin, cursor), VALID


@loop
def decode(kinds, low, high, text, rings, numbers, heights, widths, counts, starts, ends, cursor, first, stop, codes):  # type: ignore[no-untyped-def]
    """Append the runs of every COMPRESSED and COUNTS mask; leave the other kinds alone.

    `[low, high)` is a COMPRESSED mask's span in `text`, a quotation mark following it; a COUNTS mask is the ring `low`:
    `numbers[rings[low]:rings[low + 1]]`. The arrays of runs must hold half of the characters and counts, and one more
    a mask; `counts` is int64 scratch for the characters of one mask and one more. Returns the cursor behind the last
    run.
    """
    for i in range(kinds.size):
        kind = kinds[i]
        if kind != COMPRESSED and kind != COUNTS:
            continue
        first[i] = cursor
        pixels = heights[i] * widths[i]
        if kind == COMPRESSED:
            cursor, code = _decode_compressed(text, low[i], high[i], pixels, counts, starts, ends, cursor)
        else:
            cursor, code = _decode_counts(numbers, rings[low[i]], rings[low[i] + 1], pixels, starts, ends, cursor)
        stop[i] = cursor
        codes[i] = code
    return cursor


@loop
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
def _doubled(array):  # type: ignore[no-untyped-def]
    """A copy with room for twice as many."""
    larger = np.empty(2 * array.size, array.dtype)
    larger[: array.size] = array
    return larger


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
                values = _doubled(values)
                starts = _doubled(starts)
                ends = _doubled(ends)
            values[count] = value
            starts[count] = begin
            ends[count] = position
            count += 1
    return values[:count].copy(), starts[:count].copy(), ends[:count].copy()


@loop
def paint(starts, ends, low, high, flat):  # type: ignore[no-untyped-def]
    """Set the pixels of the runs `[low, high)` to 1 in a flat column-major mask."""
    for r in range(low, high):
        for position in range(starts[r], ends[r]):
            flat[position] = 1
