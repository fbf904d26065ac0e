"""Polygons to runs by the rule of the COCO mask API.

The rule: a vertex moves to `int(5 * x + 0.5)` (truncated) on a grid five times finer; every edge is walked one grid
step at a time along its longer axis, the other coordinate being rounded the same way; wherever the walk passes from
fine column 5c + 2 to 5c + 3, the column c of the image is crossed at row `ceil((v + 0.5) / 5 - 0.5)` with v the
smaller fine row of the two steps. Sorted crossings toggle between background and foreground. Only the crossings
matter, so only the steps next to one are computed here.
"""

from __future__ import annotations

import numpy as np

from segeval.kernels.decoding.rle import BAD_COORDINATE, BAD_RING, POLYGON, VALID
from segeval.kernels.jit import loop

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
def _first_column(x0, x1):  # type: ignore[no-untyped-def]
    """The first image column c of a span of fine columns: the first with 5c + 2 inside."""
    return max(np.int64(0), (min(x0, x1) + 2) // 5)


@loop
def _last_column(x0, x1, width):  # type: ignore[no-untyped-def]
    """The last image column c of a span of fine columns: the last with 5c + 3 inside."""
    return min(width - 1, (max(x0, x1) - 3) // 5)


@loop
def _place(column, toggle, base, slots, toggles):  # type: ignore[no-untyped-def]
    """Put a crossing among those of its column, in ascending order; most columns have two."""
    begin = slots[0, column - base]
    place = begin + slots[1, column - base]
    slots[1, column - base] += 1
    while place > begin and toggles[place - 1] > toggle:
        toggles[place] = toggles[place - 1]
        place -= 1
    toggles[place] = toggle


@loop
def _edge(x0, y0, x1, y1, height, width, base, slots, toggles):  # type: ignore[no-untyped-def]
    """Put the crossings of one edge between fine points into place."""
    column = _first_column(x0, x1)
    last = _last_column(x0, x1, width)
    if column > last:
        return
    dx = abs(x1 - x0)
    dy = abs(y1 - y0)
    if (x0 > x1) if dx >= dy else (y0 > y1):
        x0, x1 = x1, x0
        y0, y1 = y1, y0
    if dx >= dy:
        slope = (y1 - y0) / dx
        while column <= last:
            t = 5 * column + 2 - x0
            v = min(np.int64(y0 + slope * t + 0.5), np.int64(y0 + slope * (t + 1) + 0.5))
            _place(column, column * height + _row(v, height), base, slots, toggles)
            column += 1
        return
    slope = (x1 - x0) / dy
    steps = dy / (x1 - x0)
    while column <= last:
        # The step at which the rounded column passes between 5c + 2 and 5c + 3: a guess, then the exact place.
        target = 5 * column + 3
        t = max(np.int64(1), np.int64((target - 0.5 - x0) * steps))
        if slope > 0:  # the first t with u(t) >= target; the crossing lies between t - 1 and t
            while t > 1 and np.int64(x0 + slope * (t - 1) + 0.5) >= target:
                t -= 1
            while np.int64(x0 + slope * t + 0.5) < target:
                t += 1
        else:  # the first t with u(t) < target
            while t > 1 and np.int64(x0 + slope * (t - 1) + 0.5) < target:
                t -= 1
            while np.int64(x0 + slope * t + 0.5) >= target:
                t += 1
        _place(column, column * height + _row(y0 + t - 1, height), base, slots, toggles)
        column += 1


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
def _slots(numbers, low, high, width, slots):  # type: ignore[no-untyped-def]
    """Count the crossings of each column of an outline and turn the counts into first places.

    Returns the first column and the number of crossings; the latter is -1 where a coordinate is no usable number.
    """
    for k in range(low, high):
        if not (-_LIMIT < numbers[k] < _LIMIT):
            return np.int64(0), np.int64(-1)
    least = most = np.int64(5.0 * numbers[low] + 0.5)
    for k in range(low, high, 2):
        x = np.int64(5.0 * numbers[k] + 0.5)
        least = min(least, x)
        most = max(most, x)
    left = _first_column(least, most)
    right = _last_column(least, most, width)
    for column in range(left, right + 1):
        slots[0, column - left] = 0
    x = np.int64(5.0 * numbers[high - 2] + 0.5)
    for k in range(low, high, 2):
        following = np.int64(5.0 * numbers[k] + 0.5)
        for column in range(_first_column(x, following), _last_column(x, following, width) + 1):
            slots[0, column - left] += 1
        x = following
    total = np.int64(0)
    for column in range(left, right + 1):
        count = slots[0, column - left]
        slots[0, column - left] = total
        slots[1, column - left] = 0
        total += count
    return left, total


@loop
def _ring(numbers, low, high, height, width, base, slots, toggles):  # type: ignore[no-untyped-def]
    """Put the crossings of one closed outline in order."""
    x = np.int64(5.0 * numbers[high - 2] + 0.5)
    y = np.int64(5.0 * numbers[high - 1] + 0.5)
    for k in range(low, high, 2):
        next_x = np.int64(5.0 * numbers[k] + 0.5)
        next_y = np.int64(5.0 * numbers[k + 1] + 0.5)
        _edge(x, y, next_x, next_y, height, width, base, slots, toggles)
        x = next_x
        y = next_y


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
    begin, kinds, low, high, rings, numbers, heights, widths, starts, ends, cursor, first, stop, codes, toggles, slots
):
    """Append the runs of every POLYGON mask, the union of its rings; leave the other kinds alone.

    Mask `i` owns the rings `[low[i], high[i])`; ring `r` is `x, y, x, y, ...` in `numbers[rings[r]:rings[r + 1]]`.
    `toggles` is int32 scratch, and so is `slots` (2, width of the widest image). Returns the mask at which it stopped
    because the scratch or the runs would not hold it (the number of masks when done), the cursor behind the last run,
    and the room that it lacks.
    """
    for i in range(begin, kinds.size):
        if kinds[i] != POLYGON:
            continue
        start = cursor
        first[i] = start
        codes[i] = VALID if high[i] > low[i] else BAD_RING
        for r in range(low[i], high[i]):
            size = rings[r + 1] - rings[r]
            if size < 6 or size & 1:
                codes[i] = BAD_RING
                break
            base, count = _slots(numbers, rings[r], rings[r + 1], widths[i], slots)
            if count < 0:
                codes[i] = BAD_COORDINATE
                break
            room = max(count, 2 * (cursor - start) + count)  # of the runs, or of what a union moves
            if room > toggles.size or cursor + count > starts.size:
                return i, start, room
            _ring(numbers, rings[r], rings[r + 1], heights[i], widths[i], base, slots, toggles)
            middle = cursor
            cursor = _append(toggles, count, starts, ends, cursor)
            if middle > start:
                cursor = _union(starts, ends, start, middle, cursor, toggles)
        stop[i] = cursor
    return np.int64(kinds.size), cursor, np.int64(0)
