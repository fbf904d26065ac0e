"""Counting the pairs (truth segment, predicted segment) of two maps of segment ids.

Ids are too many for a table, so pairs are counted in a hash table, once a run: 64 bytes of each map are compared at
once with the bytes of the pixel before. PNG panoptic maps are read as the RGB bytes that they are; making 32-bit ids
of them first would cost more than the counting.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.kernels.jit import kernel
from segeval.kernels.vector import differs, load32, trailing_zeros

_ONE = np.uint64(1)
_NONE = np.uint64(0)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)
_ABOVE = np.uint64(2**64 - 2)

_COLOUR = np.uint32(0xFF_FFFF)

_LAYOUTS = {
    # bytes of a pixel: (bytes of 64 that hold whole pixels, bits that compare, bits of the id, multiplier)
    2: (64, 0xFFFF_FFFF_FFFF_FFFF, 0xFFFF, 64),
    3: (63, 0x7FFF_FFFF_FFFF_FFFF, 0xFF_FFFF, 43),
    4: (64, 0xFFFF_FFFF_FFFF_FFFF, 0xFFFF_FFFF, 32),
}
_COLOUR_OF_RGBA = 0x7777_7777_7777_7777


def _layout(step: int, alpha: bool = False) -> tuple[int, np.uint64, np.uint32, int]:
    """How 64 bytes hold pixels of `step` bytes, as the kernels want to know it."""
    block, compare, bits, multiplier = _LAYOUTS[step]
    if alpha:
        compare, bits = _COLOUR_OF_RGBA, 0xFF_FFFF
    return block, np.uint64(compare), np.uint32(bits), multiplier


COLOURS = _layout(3)
"""The layout of RGB."""


@kernel
def _read(pixels: Any, i: Any, step: Any) -> Any:
    value = np.uint32(0)
    for k in range(step):
        value |= np.uint32(pixels[i + k]) << np.uint32(8 * k)
    return value


@kernel
def _fill(truth: Any, prediction: Any, step: Any, layout: Any, keys: Any, counts: Any, state: Any) -> Any:
    """Count runs until the hash table is half full or the maps end; `state` is where it stopped.

    A function of its own, with all it does written out: calls of other kernels, and names that are given another array,
    count references to arrays, which costs more than the counting.
    """
    block, compare, bits, multiplier = layout
    i, start, used = state[0], state[1], state[2]
    n = truth.size
    last = np.uint64(counts.size - 1)
    shift = np.uint64(64 - trailing_zeros(np.uint64(counts.size)))
    most = counts.size // 2 - 64
    key = np.uint64(_read(truth, start, step) & bits) << _HALF | np.uint64(_read(prediction, start, step) & bits)
    while i <= n and used < most:
        # The last id of 64 bytes is read with up to two bytes more.
        wide = i + 66 <= n
        if wide:
            changes = differs(truth, i, truth, i - step) | differs(prediction, i, prediction, i - step)
            changes &= compare
            after = i + block
        else:
            # Pixels too near the end to be read by 64; the last "change" is the end.
            changes = _ONE
            after = i + step
        while changes != _NONE:
            pixel = (trailing_zeros(changes) * multiplier) >> 7
            changes &= _ABOVE << np.uint64((pixel + 1) * step - 1)
            at = i + pixel * step
            slot = (key * _SPREAD) >> shift
            while keys[slot] != key and counts[slot] != 0:
                slot = (slot + _ONE) & last
            if counts[slot] == 0:
                keys[slot] = key
                used += 1
            counts[slot] += at - start
            start = at
            if wide:
                here = load32(truth, at) & bits
                other = load32(prediction, at) & bits
                key = np.uint64(here) << _HALF | np.uint64(other)
            elif at < n:
                key = np.uint64(_read(truth, at, step) & bits) << _HALF | np.uint64(_read(prediction, at, step) & bits)
        i = after
    state[0], state[1], state[2] = i, start, used


@kernel
def _grow(keys: Any, counts: Any, larger: Any, amounts: Any) -> Any:
    last = np.uint64(amounts.size - 1)
    shift = np.uint64(64 - trailing_zeros(np.uint64(amounts.size)))
    for old in range(counts.size):
        if counts[old] != 0:
            slot = (keys[old] * _SPREAD) >> shift
            while amounts[slot] != 0:
                slot = (slot + _ONE) & last
            larger[slot] = keys[old]
            amounts[slot] = counts[old]


@kernel
def _count(truth: Any, prediction: Any, step: Any, layout: Any) -> Any:
    """Keys `truth id << 32 | prediction id` and their pixels, of two flat uint8 arrays of `step` bytes a pixel."""
    # An open hash table; a count of 0 marks a free slot.
    keys = np.empty(4096, np.uint64)
    counts = np.zeros(4096, np.int64)
    # The byte that comes next, where the current run begins, the entries used.
    state = np.array([step, 0, 0])
    _fill(truth, prediction, step, layout, keys, counts, state)
    while state[0] <= truth.size:
        larger = np.empty(counts.size * 4, np.uint64)
        amounts = np.zeros(counts.size * 4, np.int64)
        _grow(keys, counts, larger, amounts)
        keys, counts = larger, amounts
        _fill(truth, prediction, step, layout, keys, counts, state)
    found = np.empty(state[2], np.uint64)
    pixels = np.empty(state[2], np.int64)
    k = 0
    for old in range(counts.size):
        if counts[old] != 0:
            found[k] = keys[old]
            pixels[k] = counts[old] // step
            k += 1
    return found, pixels


@kernel
def _ids(colours: Any, channels: Any) -> Any:
    n = colours.size // channels
    ids = np.empty(n, np.uint32)
    # Four bytes are read for each but the last, which has perhaps only three.
    for k in range(n - 1):
        ids[k] = load32(colours, k * channels) & _COLOUR
    ids[n - 1] = _read(colours, (n - 1) * channels, 3)
    return ids


Rows = tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.int64]]


def _rows(truth: NDArray[Any], prediction: NDArray[Any], step: int, alpha: bool = False) -> Rows:
    if truth.size == 0:
        return np.empty(0, np.uint32), np.empty(0, np.uint32), np.empty(0, np.int64)
    maps = (truth.reshape(-1).view(np.uint8), prediction.reshape(-1).view(np.uint8))
    keys, pixels = _count(*maps, step, _layout(step, alpha))
    order = keys.argsort()
    keys = keys[order]
    return (keys >> _HALF).astype(np.uint32), keys.astype(np.uint32), pixels[order]


def overlap_rgb(truth: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> Rows:
    """Count the pairs of segments of two panoptic maps kept as colours.

    Parameters
    ----------
    truth, prediction
        (h, w, 3) or (h, w, 4) uint8, C-contiguous, of one height and width. The id of a segment is
        R + 256 G + 65536 B; a fourth channel is ignored.

    Returns
    -------
    truth_id, prediction_id, pixels
        uint32, uint32, int64: one entry per pair of ids that occurs, sorted by (truth id, prediction id).
    """
    channels = truth.shape[-1]
    if channels != prediction.shape[-1]:
        return overlap_ids(rgb_ids(truth), rgb_ids(prediction))
    return _rows(truth, prediction, channels, alpha=channels == 4)


def overlap_ids(truth: NDArray[Any], prediction: NDArray[Any]) -> Rows:
    """Count the pairs of segments of two maps of ids.

    Parameters
    ----------
    truth, prediction
        Integers, C-contiguous, of one size; ids from 0 to 2^32 - 1.

    Returns
    -------
    truth_id, prediction_id, pixels
        uint32, uint32, int64: one entry per pair of ids that occurs, sorted by (truth id, prediction id).
    """
    if truth.dtype == np.uint16 and prediction.dtype == np.uint16:
        return _rows(truth, prediction, 2)
    return _rows(_as_u32(truth), _as_u32(prediction), 4)


def rgb_ids(colours: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """The segment ids R + 256 G + 65536 B of a panoptic map kept as colours.

    Parameters
    ----------
    colours
        (h, w, 3) or (h, w, 4) uint8, C-contiguous; a fourth channel is ignored.

    Returns
    -------
    ids
        (h, w) uint32.
    """
    ids: NDArray[np.uint32] = _ids(colours.reshape(-1), colours.shape[-1]).reshape(colours.shape[:-1])
    return ids


def _as_u32(labels: NDArray[Any]) -> NDArray[Any]:
    if labels.dtype in (np.int32, np.uint32):
        return labels
    return labels.astype(np.uint32)
