"""Instances out of class probabilities: connected components, or a watershed from the insides of objects."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segeval.errors import SegevalError

METHODS = ("components", "watershed")
_FOUR = ndimage.generate_binary_structure(2, 1)
# Levels between 0 and 1 at which the watershed floods.
_LEVELS = 20


class Separated(NamedTuple):
    """The instances of one image.

    Attributes
    ----------
    ids
        (H, W) int32, 1 to N; 0 is the background.
    labels, scores
        (N,) each instance's class (of the inner classes, from 1) and confidence in [0, 1].
    """

    ids: NDArray[np.int32]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]


def separate(
    inside: NDArray[np.floating],
    border: NDArray[np.floating],
    method: str = "watershed",
    *,
    sure: float = 0.7,
    least: int = 12,
) -> Separated:
    """Instances of an image's class probabilities.

    An object's pixels are those where inside and border together are more likely than not. With ``components`` each
    connected region of them is an instance. With ``watershed`` an instance grows from each connected region whose
    inside is sure, over the object's pixels, the surest first; a region without such a seed is one instance.

    Parameters
    ----------
    inside
        (T, H, W) probabilities of the classes of objects.
    border
        (H, W) probability of pixels where objects touch.
    method
        ``components`` or ``watershed``.
    sure
        The probability of inside from which on a pixel is part of a seed.
    least
        Pixels that an instance has at least; smaller ones are left out.

    Returns
    -------
    Separated
        Instances of the class that is likeliest over their pixels; the score is the mean probability of being an
        object.

    Raises
    ------
    SegevalError
        For an unknown method.
    """
    if method not in METHODS:
        raise SegevalError(f"{method!r} separates no instances", remedy=f"take {' or '.join(METHODS)}")
    core = inside.sum(axis=0)
    whole = core + border
    mask = whole > 0.5
    ids, count = ndimage.label(mask, _FOUR)
    if method == "watershed":
        seeds, _ = ndimage.label((core > sure) & mask, _FOUR)
        # A region without a seed is its own.
        bare = np.setdiff1d(np.arange(1, count + 1), ids[seeds > 0])
        seeds[np.isin(ids, bare)] += seeds.max() + ids[np.isin(ids, bare)]
        ids = flood(seeds.astype(np.int32), core, mask)
    areas = np.bincount(ids.ravel())
    kept = np.flatnonzero(areas[1:] >= least) + 1
    number = np.zeros(len(areas), np.int32)
    number[kept] = np.arange(1, len(kept) + 1)
    ids = number[ids]
    index = np.arange(1, len(kept) + 1)
    if not len(kept):
        return Separated(ids, np.zeros(0, np.int64), np.zeros(0))
    by_class = np.stack([ndimage.mean(share, ids, index) for share in inside])
    return Separated(
        ids, by_class.argmax(axis=0).astype(np.int64) + 1, np.asarray(ndimage.mean(whole, ids, index)).clip(0, 1)
    )


def flood(seeds: NDArray[np.int32], height: NDArray[np.floating], mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Grow seeds over a mask, from the highest pixels down, so that they meet where it is lowest.

    Parameters
    ----------
    seeds
        (H, W): 0, or the number of a seed.
    height
        (H, W) in [0, 1]; it is looked at in twenty levels.
    mask
        Where they may grow. What no seed reaches stays 0.

    Returns
    -------
    ndarray
        (H, W) numbers. Pixels that two seeds reach in the same round get the larger number.
    """
    out = np.where(mask, seeds, 0).astype(np.int32)
    for level in range(_LEVELS - 1, -1, -1):
        dry = mask & (out == 0) & (height * _LEVELS >= level)
        rows, columns = np.nonzero(dry)
        while len(rows):
            around = np.zeros(len(rows), np.int32)
            for down, across in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                y, x = rows + down, columns + across
                within = (y >= 0) & (y < out.shape[0]) & (x >= 0) & (x < out.shape[1])
                np.maximum(around, np.where(within, out[y * within, x * within], 0), out=around)
            wet = around > 0
            if not wet.any():
                break
            out[rows[wet], columns[wet]] = around[wet]
            rows, columns = rows[~wet], columns[~wet]
    return out
