"""One pass over the bytes of COCO JSON into columns, without a Python object per annotation.

The scanner reads arrays of flat records (annotations, results, images). What it does not follow, it does not guess:
it reports a surprise, and the caller reads the file with the standard library instead, to the same columns.
"""

from __future__ import annotations

import numpy as np

from segeval.kernels.decoding.json_tokens import COUNT_LIST, OTHER, SIZE, following, key, number, skip
from segeval.kernels.decoding.rle import COMPRESSED, COUNTS, POLYGON
from segeval.kernels.jit import loop

# Rows of the integer columns beyond the first six FIELDS; the real columns are score, area and bbox.
KIND, LOW, HIGH, SIZE_HEIGHT, SIZE_WIDTH, AT = range(6, 12)
INTEGERS, REALS = 12, 6

DONE, SURPRISE, MORE_RECORDS, MORE_RINGS, MORE_NUMBERS = range(5)


@loop
def _list(text, at, numbers, count):  # type: ignore[no-untyped-def]
    """Append the numbers of the array at `at`; returns the place behind it (-1: surprise) and the new count, which is
    beyond the end of `numbers` if they do not fit."""
    character, at = following(text, at)
    if character != 91:
        return np.int64(-1), count
    character, at = following(text, at + 1)
    if character == 93:
        return at + 1, count
    while True:
        _, _, real, at = number(text, at)
        if at < 0:
            return at, count
        if count >= numbers.size:
            return at, np.int64(numbers.size + 1)
        numbers[count] = real
        count += 1
        character, at = following(text, at)
        if character == 93:
            return at + 1, count
        if character != 44:
            return np.int64(-1), count
        _, at = following(text, at + 1)


@loop
def _counts_string(text, at):  # type: ignore[no-untyped-def]
    """Place of the quotation mark that closes a compressed mask; no escape but the doubled backslash is followed."""
    while True:
        while at + 32 <= text.size:
            block = text[at : at + 32]
            special = False
            for k in range(32):  # without a way out, so that it is done in a few wide instructions
                special |= (block[k] == 34) | (block[k] == 92) | (block[k] < 32) | (block[k] > 127)
            if special:
                break
            at += 32
        last = min(at + 32, text.size)
        while at < last:
            character = text[at]
            if character == 34:
                return at
            if character < 32 or character > 127:
                return np.int64(-1)
            if character == 92:
                at += 1
                if at >= text.size or text[at] != 92:
                    return np.int64(-1)
            at += 1
        if at >= text.size:
            return np.int64(-1)


@loop
def _rle(text, at, row, integers, rings, numbers, ends):  # type: ignore[no-untyped-def]
    """Read `{"size": [h, w], "counts": ...}`; returns the place behind it, -1 on a surprise."""
    seen = 0
    character, at = following(text, at + 1)
    while True:
        name, at = key(text, at)
        if at < 0 or (name >= SIZE and name != OTHER and seen >> (name - SIZE) & 1):
            return np.int64(-1)
        if name == SIZE:
            seen |= 1
            for k in range(2):
                if text[at] != (44 if k else 91):
                    return np.int64(-1)
                _, at = following(text, at + 1)
                value, whole, _, at = number(text, at)
                if at < 0 or not whole:
                    return np.int64(-1)
                integers[SIZE_HEIGHT + k, row] = value
                _, at = following(text, at)
            if text[at] != 93:
                return np.int64(-1)
            at += 1
        elif name == COUNT_LIST:
            seen |= 2
            if text[at] == 34:
                integers[KIND, row] = COMPRESSED
                integers[LOW, row] = at + 1
                at = _counts_string(text, at + 1)
                if at < 0:
                    return at
                integers[HIGH, row] = at
                at += 1
            else:
                integers[KIND, row] = COUNTS
                integers[LOW, row] = ends[0]
                integers[HIGH, row] = ends[0] + 1
                at, ends[1] = _list(text, at, numbers, ends[1])
                ends[0] += 1
                rings[ends[0]] = ends[1]
                if at < 0 or ends[1] > numbers.size:
                    return at
        else:
            at = skip(text, at)
            if at < 0:
                return at
        character, at = following(text, at)
        if character == 125:
            return at + 1 if seen == 3 else np.int64(-1)
        if character != 44:
            return np.int64(-1)
        at += 1


@loop
def _segmentation(text, at, row, integers, rings, numbers, ends):  # type: ignore[no-untyped-def]
    """Read one segmentation into the columns; `ends` counts rings and numbers. -1 is a surprise."""
    if text[at] == 123:
        return _rle(text, at, row, integers, rings, numbers, ends)
    if text[at] != 91:
        return np.int64(-1)
    integers[KIND, row] = POLYGON
    integers[LOW, row] = ends[0]
    character, at = following(text, at + 1)
    while character != 93:
        if ends[0] + 2 >= rings.size:
            ends[0] = rings.size
            return at
        at, ends[1] = _list(text, at, numbers, ends[1])
        if at < 0 or ends[1] > numbers.size:
            return at
        ends[0] += 1
        rings[ends[0]] = ends[1]
        character, at = following(text, at)
        if character == 44:
            character, at = following(text, at + 1)
            if character != 91:
                return np.int64(-1)
        elif character != 93:
            return np.int64(-1)
    integers[HIGH, row] = ends[0]
    return at + 1


@loop
def scan(text, at, masks, integers, reals, present, rings, numbers, state, ends, corners):  # type: ignore[no-untyped-def]
    """Read an array of flat records into columns.

    Parameters are the text, the place of the array's bracket, whether segmentations are read (else their grammar is
    checked and their presence noted), integer columns (INTEGERS, n) int64, real columns (REALS, n) float64 (score,
    area, bbox), bits of the present fields (n) uint16, ring offsets (m + 1) int64, numbers float64 and
    `state` = records, rings, numbers, place; `ends` (2) int64 and `corners` (4) float64 are scratch.
    A MORE_ code asks for larger columns: call again with the same state.
    """
    ends[0] = state[1]
    ends[1] = state[2]
    if state[3] == 0:
        character, at = following(text, at)
        if character != 91:
            return SURPRISE
        character, at = following(text, at + 1)
        if character == 93:
            state[3] = at + 1
            return DONE
    else:
        at = state[3]
    while True:
        row = state[0]
        state[3] = at
        if row >= present.size:
            return MORE_RECORDS
        if ends[0] + 2 >= rings.size:
            return MORE_RINGS
        if text[at] != 123:
            return SURPRISE
        for k in range(INTEGERS):
            integers[k, row] = 0
        for k in range(REALS):
            reals[k, row] = 0.0
        integers[AT, row] = at
        seen = np.uint16(0)
        character, at = following(text, at + 1)
        while character != 125:
            name, at = key(text, at)
            if at < 0 or (name < SIZE and seen >> np.uint16(name) & np.uint16(1)):
                return SURPRISE
            if name < SIZE:
                seen |= np.uint16(1 << name)
            if name < 8:
                value, whole, real, at = number(text, at)
                if name < 6:
                    integers[name, row] = value
                    if not whole:
                        return SURPRISE
                else:
                    reals[name - 6, row] = real
            elif name == 8:
                at, size = _list(text, at, corners, 0)
                if size != 4:
                    return SURPRISE
                for k in range(4):
                    reals[2 + k, row] = corners[k]
            elif name == 9 and masks:
                at = _segmentation(text, at, row, integers, rings, numbers, ends)
                if ends[0] >= rings.size:
                    return MORE_RINGS
                if ends[1] > numbers.size:
                    return MORE_NUMBERS
            else:
                at = skip(text, at)
            if at < 0:
                return SURPRISE
            character, at = following(text, at)
            if character == 44:
                at += 1
            elif character != 125:
                return SURPRISE
        present[row] = seen
        state[0] = row + 1
        state[1] = ends[0]
        state[2] = ends[1]
        character, at = following(text, at + 1)
        if character == 93:
            state[3] = at + 1
            return DONE
        if character != 44:
            return SURPRISE
        _, at = following(text, at + 1)
