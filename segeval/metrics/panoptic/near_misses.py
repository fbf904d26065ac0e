"""Panoptic segments that found their like, but not by half: overlaps too poor to match."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segeval.metrics.means import ratio
from segeval.samples.taxonomy import positions

Ints = NDArray[np.int64]

# From this IoU on a segment is about another one.
FLOOR = 0.1

# Neither matched nor excused.
UNMATCHED = 2


def near_misses(
    overlap: tuple[Ints, Ints, Ints], truth: Ints, prediction: Ints, truth_state: Ints, matched: Ints
) -> tuple[Ints, Ints]:
    """Class positions of the missed truths and of the false predictions that meet their class by an IoU of 0.1 or more.

    Parameters
    ----------
    overlap
        Truth ids, predicted ids and pixels of every pair that meets; 0 is void.
    truth, prediction, truth_state, matched
        As `kernels.segments.match` leaves and returns them. What it matched with another class is of the wrong class,
        and not counted here.

    Returns
    -------
    missed, invented
        One entry for each such segment.
    """
    t, p = (positions(ids, table[0]) for ids, table in zip(overlap[:2], (truth, prediction), strict=True))
    known, pixels = p < prediction.shape[1], overlap[2]
    in_void = np.zeros(prediction.shape[1], np.int64)
    outside = known & (t == truth.shape[1])
    np.add.at(in_void, p[outside], pixels[outside])
    both = known & (t < truth.shape[1])
    t, p, pixels = t[both], p[both], pixels[both]
    alike = (truth[1, t] == prediction[1, p]) & (truth[2, t] == 0)
    t, p, pixels = t[alike], p[alike], pixels[alike]
    near = ratio(pixels, truth[4, t] + prediction[4, p] - pixels - in_void[p]) >= FLOOR
    elsewhere = matched[:, matched[4] == 0]
    out = []
    for table, state, at, taken in (
        (truth, truth_state, t[near], elsewhere[0]),
        (prediction, prediction[2], p[near], elsewhere[1]),
    ):
        poor = np.zeros(table.shape[1], bool)
        poor[at] = True
        poor[taken] = False
        out.append(table[1, poor & (state == UNMATCHED)])
    return out[0], out[1]
