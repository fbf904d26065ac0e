"""Counting the pairs (truth label, predicted label) of two label maps.

Label maps are runs of one value, so the counting kernel asks 64 pixels at once where either map changes, and touches
its table once a run. Where a map is noise (changes in more than a third of the 64 pixels) it counts each pixel.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.kernels.counting.overlap import overlap_ids
from segeval.kernels.jit import kernel
from segeval.kernels.vector import differs, population, trailing_zeros

LABELS = 256
"""Labels that one byte can hold; a table has LABELS * LABELS entries, at `truth << 8 | prediction`."""

_kept = threading.local()

_NOISY = 22
_MANY = 64
_ONE = np.uint64(1)
_NONE = np.uint64(0)


@kernel
def _mark(table: Any, seen: Any) -> Any:
    for word in range(seen.size):
        bits = _NONE
        for k in range(64):
            bits |= np.uint64(table[word * 64 + k] != 0) << np.uint64(k)
        seen[word] = bits


@kernel
def _count(truth: Any, prediction: Any, table: Any, seen: Any) -> Any:
    # Calls between kernels count references to the arrays, which costs more than the counting: hence one function.
    n = truth.size
    if n == 0:
        return
    start = 0
    key = np.int64(truth[0]) << 8 | np.int64(prediction[0])
    noisy = 0
    burst = 64
    i = 1
    while i + 64 <= n:
        changes = differs(truth, i, truth, i - 1) | differs(prediction, i, prediction, i - 1)
        if changes != _NONE and population(changes) > _NOISY:
            if table[key] == 0:
                seen[key >> 6] |= _ONE << np.uint64(key & 63)
            table[key] += i - start
            noisy += 1
            if noisy < _MANY:
                for k in range(64):
                    key = np.int64(truth[np.uint64(i + k)]) << 8 | np.int64(prediction[np.uint64(i + k)])
                    if table[key] == 0:
                        seen[key >> 6] |= _ONE << np.uint64(key & 63)
                    table[key] += 1
            else:
                # Noise in long stretches is not asked about again so soon.
                burst = min(burst, n - i)
                for k in range(burst):
                    key = np.int64(truth[np.uint64(i + k)]) << 8 | np.int64(prediction[np.uint64(i + k)])
                    table[key] += 1
            start = i + burst
            i = start
            if noisy >= _MANY:
                burst = min(2 * burst, 512)
        else:
            burst = 64
            while changes != _NONE:
                at = i + trailing_zeros(changes)
                if table[key] == 0:
                    seen[key >> 6] |= _ONE << np.uint64(key & 63)
                table[key] += at - start
                start = at
                key = np.int64(truth[np.uint64(at)]) << 8 | np.int64(prediction[np.uint64(at)])
                changes &= changes - _ONE
            i += 64
    if table[key] == 0:
        seen[key >> 6] |= _ONE << np.uint64(key & 63)
    table[key] += i - start
    for k in range(i, n):
        other = np.int64(truth[k]) << 8 | np.int64(prediction[k])
        if table[other] == 0:
            seen[other >> 6] |= _ONE << np.uint64(other & 63)
        table[other] += 1
    if noisy >= _MANY:
        _mark(table, seen)


@kernel
def _move(table: Any, seen: Any, truth: Any, prediction: Any, pixels: Any, at: Any) -> Any:
    """Move the entries that `seen` marks into columns from `at` on, in order; returns where they end."""
    for word in range(seen.size):
        bits = seen[word]
        while bits != _NONE:
            key = word * 64 + trailing_zeros(bits)
            truth[at] = key >> 8
            prediction[at] = key & 255
            pixels[at] = table[key]
            table[key] = 0
            at += 1
            bits &= bits - _ONE
    return at


@kernel
def _take(table: Any, seen: Any) -> Any:
    """The entries that `seen` marks, in order; they are zero afterwards."""
    entries = 0
    for word in range(seen.size):
        entries += population(seen[word])
    truth = np.empty(entries, np.int32)
    prediction = np.empty(entries, np.int32)
    pixels = np.empty(entries, np.int64)
    _move(table, seen, truth, prediction, pixels, 0)
    return truth, prediction, pixels


@kernel
def _rows(truth: Any, prediction: Any, table: Any) -> Any:
    seen = np.zeros(1024, np.uint64)
    _count(truth, prediction, table, seen)
    return _take(table, seen)


def scratch_table() -> NDArray[np.int64]:
    """This thread's table for :func:`confusion_rows_u8`: fresh pages for each image would cost more than counting."""
    table: NDArray[np.int64] | None = getattr(_kept, "table", None)
    if table is None:
        table = _kept.table = np.zeros(LABELS**2, np.int64)
    return table


def confusion_rows_u8(
    truth: NDArray[np.uint8], prediction: NDArray[np.uint8], scratch_table: NDArray[Any]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
    """Count the pairs of labels of two label maps.

    Only the entries that were touched are read and cleared, so small images do not pay for the size of the table.

    Parameters
    ----------
    truth, prediction
        uint8, of one length, C-contiguous.
    scratch_table
        int64 or int32 of 65,536 zeros; zeros again afterwards.

    Returns
    -------
    truth, prediction, pixels
        One entry per pair of labels that occurs, sorted by (truth, prediction).
    """
    rows: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]] = _rows(
        truth.reshape(-1), prediction.reshape(-1), scratch_table
    )
    return rows


def confusion_rows_any(
    truth: NDArray[Any], prediction: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Count the pairs of labels of two label maps of any integer type.

    Parameters
    ----------
    truth, prediction
        Integers of one size; labels from 0 to 2^32 - 1.

    Returns
    -------
    truth, prediction, pixels
        One entry per pair of labels that occurs, sorted by (truth, prediction).
    """
    truths, predictions, pixels = overlap_ids(truth, prediction)
    return truths.astype(np.int64), predictions.astype(np.int64), pixels
