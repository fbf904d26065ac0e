"""Polygons to runs by the rule of the COCO mask API.

The rule: a vertex moves to `int(5 * x + 0.5)` (truncated) on a grid five times finer; every edge is walked one grid
step at a time along its longer axis, the other coordinate being rounded the same way; wherever the walk passes from
fine column 5c + 2 to 5c + 3, the column c of the image is crossed at row `ceil((v + 0.5) / 5 - 0.5)` with v the
smaller fine row of the two steps. Sorted crossings toggle between background and foreground. Only the crossings
matter, so only the steps next to one are computed here.
"""

from __future__ import annotations

import numpy as np

from segeval.kernels.jit import loop
from segeval.kernels.rle import BAD_COORDINATE, BAD_RING, POLYGON, VALID

# Beyond this a fine coordinate would leave the 32-bit integers that the rule is defined on.
_LIMIT = 4.0e8


@loop
def _row(v, height):  # type: ignore[no-untyped-def]
    """Image row of a crossing at fine row `v`."""
    if v < 2:  # (v + 0.5) / 5 - 0.5 <= 0
        return np.int64(0)
    row = np.int64(v + 2) // 5  # the ceiling of (v + 0.5) / 5 - 0.5, that is of (v - 2) / 5
    return min(row, height)


@loop
def _edge(x0, y0, x1, y1, height, width, toggles, count):  # type: ignore[no-untyped-def]
    """Append the crossings of one edge between fine points."""
    dx = abs(x1 - x0)
    dy = abs(y1 - y0)
    if dx == 0:
        return count
    if (x0 > x1) if dx >= dy else (y0 > y1):
        x0, x1 = x1, x0
        y0, y1 = y1, y0
    low = min(x0, x1)
    high = max(x0, x1)
    column = max(np.int64(0), (low + 2) // 5)  # first column with 5 * column + 2 >= low
    last = min(width - 1, (high - 3) // 5)  # last column with 5 * column + 3 <= high
    if dx >= dy:
        slope = (y1 - y0) / dx
        while column <= last:
            t = 5 * column + 2 - x0
            v = min(np.int64(y0 + slope * t + 0.5), np.int64(y0 + slope * (t + 1) + 0.5))
            toggles[count] = column * height + _row(v, height)
            count += 1
            column += 1
        return count
    slope = (x1 - x0) / dy
    while column <= last:
        # The step at which the rounded column passes between 5c + 2 and 5c + 3: a guess, then the exact place.
        target = 5 * column + 3
        t = np.int64((target - 0.5 - x0) / slope)
        if slope > 0:  # the first t with u(t) >= target; the crossing lies between t - 1 and t
            while t > 0 and np.int64(x0 + slope * (t - 1) + 0.5) >= target:
                t -= 1
            while np.int64(x0 + slope * t + 0.5) < target:
                t += 1
        else:  # the first t with u(t) < target
            while t > 0 and np.int64(x0 + slope * (t - 1) + 0.5) < target:
                t -= 1
            while np.int64(x0 + slope * t + 0.5) >= target:
                t += 1
        toggles[count] = column * height + _row(y0 + t - 1, height)
        count += 1
        column += 1
    return count


@loop
def _sort(values, count):  # type: ignore[no-untyped-def]
    """Shell sort; an outline meets most columns in order, which it exploits."""
    gap = 1
    while gap < count // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for i in range(gap, count):
            value = values[i]
            j = i - gap
            while j >= 0 and values[j] > value:
                values[j + gap] = values[j]
                j -= gap
            values[j + gap] = value
        gap //= 3


@loop
def _union(starts, ends, first, middle, stop, spare):  # type: ignore[no-untyped-def]
    """Merge the runs `[first, middle)` with the runs `[middle, stop)` in place; returns the new stop."""
    for r in range(first, stop):
        spare[2 * (r - first)] = starts[r]
        spare[2 * (r - first) + 1] = ends[r]
    a = 0
    size = middle - first
    b = size
    count = stop - first
    out = first
    while a < size or b < count:
        if b >= count or (a < size and spare[2 * a] <= spare[2 * b]):
            start, end = spare[2 * a], spare[2 * a + 1]
            a += 1
        else:
            start, end = spare[2 * b], spare[2 * b + 1]
            b += 1
        if out > first and start <= ends[out - 1]:
            ends[out - 1] = max(ends[out - 1], end)
        else:
            starts[out] = start
            ends[out] = end
            out += 1
    return out


@loop
def _room(numbers, low, high, width):  # type: ignore[no-untyped-def]
    """The most crossings that an outline can have, -1 where a coordinate is no usable number."""
    room = np.int64(0)
    for k in range(low, high):
        if not (-_LIMIT < numbers[k] < _LIMIT):
            return np.int64(-1)
    x = np.int64(5.0 * numbers[high - 2] + 0.5)
    for k in range(low, high, 2):
        following = np.int64(5.0 * numbers[k] + 0.5)
        room += min(width, abs(following - x) // 5 + 1)
        x = following
    return room


@loop
def _ring(numbers, low, high, height, width, toggles):  # type: ignore[no-untyped-def]
    """Sorted crossings of one closed outline; returns their number."""
    count = np.int64(0)
    x = np.int64(5.0 * numbers[high - 2] + 0.5)
    y = np.int64(5.0 * numbers[high - 1] + 0.5)
    for k in range(low, high, 2):
        next_x = np.int64(5.0 * numbers[k] + 0.5)
        next_y = np.int64(5.0 * numbers[k + 1] + 0.5)
        count = _edge(x, y, next_x, next_y, height, width, toggles, count)
        x = next_x
        y = next_y
    _sort(toggles, count)
    return count


@loop
def _append(toggles, count, starts, ends, cursor):  # type: ignore[no-untyped-def]
    """Runs between sorted crossings, from the cursor on; returns the new cursor."""
    begin = cursor
    for k in range(0, count - 1, 2):
        if toggles[k] == toggles[k + 1]:
            continue
        if cursor > begin and ends[cursor - 1] == toggles[k]:
            cursor -= 1
        else:
            starts[cursor] = toggles[k]
        ends[cursor] = toggles[k + 1]
        cursor += 1
    return cursor


@loop
def rasterise(  # type: ignore[no-untyped-def]
    begin, kinds, low, high, rings, numbers, heights, widths, starts, ends, cursor, first, stop, codes, toggles
):
    """Append the runs of every POLYGON mask, the union of its rings; leave the other kinds alone.

    Mask `i` owns the rings `[low[i], high[i])`; ring `r` is `x, y, x, y, ...` in `numbers[rings[r]:rings[r + 1]]`.
    `toggles` is int32 scratch. Returns the mask at which it stopped because the scratch or the runs would not hold it
    (the number of masks when done), the cursor behind the last run, and the room that it lacks.
    """
    for i in range(begin, kinds.size):
        if kinds[i] != POLYGON:
            continue
        first[i] = cursor
        stop[i] = cursor
        code = VALID if high[i] > low[i] else BAD_RING
        room = np.int64(0)
        for r in range(low[i], high[i]):
            size = rings[r + 1] - rings[r]
            crossings = _room(numbers, rings[r], rings[r + 1], widths[i]) if size >= 6 and not size & 1 else 0
            if size < 6 or size & 1:
                code = BAD_RING
            elif crossings < 0:
                code = BAD_COORDINATE
            room += crossings
        codes[i] = code
        if code != VALID:
            continue
        if room > toggles.size or cursor + room > starts.size:
            return i, cursor, room
        start = cursor
        for r in range(low[i], high[i]):
            count = _ring(numbers, rings[r], rings[r + 1], heights[i], widths[i], toggles)
            middle = cursor
            cursor = _append(toggles, count, starts, ends, cursor)
            if middle > start:
                cursor = _union(starts, ends, start, middle, cursor, toggles)
        stop[i] = cursor
    return np.int64(kinds.size), cursor, np.int64(0)
