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

_LAYOUTS = {
    # bytes of a pixel: (bytes of 64 that hold whole pixels, bits that compare, bits of the id, multiplier)
    2: (64, 0xFFFF_FFFF_FFFF_FFFF, 0xFFFF, 64),
    3: (63, 0x7FFF_FFFF_FFFF_FFFF, 0xFF_FFFF, 43),
    4: (64, 0xFFFF_FFFF_FFFF_FFFF, 0xFFFF_FFFF, 32),
}
_COLOUR_OF_RGBA = 0x7777_7777_7777_7777


@kernel
def _add(keys: Any, counts: Any, key: Any, pixels: Any, shift: Any) -> Any:
    """Add to the entry of a key; 1 if the key is new. A count of 0 marks a free slot."""
    slot = np.int64((key * _SPREAD) >> shift)
    while counts[slot] != 0:
        if keys[slot] == key:
            counts[slot] += pixels
            return 0
        slot = (slot + 1) & (counts.size - 1)
    keys[slot] = key
    counts[slot] = pixels
    return 1


@kernel
def _grow(keys: Any, counts: Any, shift: Any) -> Any:
    larger = np.empty(counts.size * 4, np.uint64)
    amounts = np.zeros(counts.size * 4, np.int64)
    for slot in range(counts.size):
        if counts[slot] != 0:
            _add(larger, amounts, keys[slot], counts[slot], shift)
    return larger, amounts


@kernel
def _read(pixels: Any, i: Any, step: Any) -> Any:
    value = np.uint32(0)
    for k in range(step):
        value |= np.uint32(pixels[i + k]) << np.uint32(8 * k)
    return value


@kernel
def _overlap(truth: Any, prediction: Any, step: Any, block: Any, compare: Any, bits: Any, multiplier: Any) -> Any:
    """Keys `truth id << 32 | prediction id` and their pixels, of two flat uint8 arrays of `step` bytes a pixel."""
    shift = np.uint64(64 - 12)
    keys = np.empty(4096, np.uint64)
    counts = np.zeros(4096, np.int64)
    used = 0
    n = truth.size
    start = 0
    i = 0
    key = _NONE
    while i < n:
        changes = _NONE
        wide = i >= step and i + 64 <= n
        if wide:
            changes = differs(truth, i, truth, i - step) | differs(prediction, i, prediction, i - step)
            changes &= compare
            after = i + block
        else:
            # The first pixel, and those too near the end to be read by 64.
            changes = _ONE
            after = i + step
        while changes != _NONE:
            pixel = (trailing_zeros(changes) * multiplier) >> 7
            at = i + pixel * step
            if at > start:
                used += _add(keys, counts, key, at - start, shift)
                if used * 2 > counts.size:
                    shift -= np.uint64(2)
                    keys, counts = _grow(keys, counts, shift)
            start = at
            if wide:
                here = load32(truth, at) & bits
                other = load32(prediction, at) & bits
            else:
                here = _read(truth, at, step) & bits
                other = _read(prediction, at, step) & bits
            key = np.uint64(here) << _HALF | np.uint64(other)
            changes &= np.uint64(0xFFFF_FFFF_FFFF_FFFE) << np.uint64((pixel + 1) * step - 1)
        i = after
    if n > start:
        used += _add(keys, counts, key, n - start, shift)
    found = np.empty(used, np.uint64)
    pixels = np.empty(used, np.int64)
    k = 0
    for slot in range(counts.size):
        if counts[slot] != 0:
            found[k] = keys[slot]
            pixels[k] = counts[slot] // step
            k += 1
    return found, pixels


@kernel
def _ids(colours: Any, channels: Any) -> Any:
    ids = np.empty(colours.size // channels, np.uint32)
    for k in range(ids.size):
        ids[k] = _read(colours, k * channels, 3)
    return ids


Rows = tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.int64]]


def _rows(truth: NDArray[Any], prediction: NDArray[Any], step: int, alpha: bool = False) -> Rows:
    block, compare, bits, multiplier = _LAYOUTS[step]
    if alpha:
        compare, bits = _COLOUR_OF_RGBA, 0xFF_FFFF
    keys, pixels = _overlap(
        truth.reshape(-1).view(np.uint8),
        prediction.reshape(-1).view(np.uint8),
        step,
        block,
        np.uint64(compare),
        np.uint32(bits),
        multiplier,
    )
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
