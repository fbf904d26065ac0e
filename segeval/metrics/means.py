"""Ratios and means with one rule for what is undefined: NaN, and NaN leaves the mean."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def ratio(above: NDArray[Any], below: NDArray[Any]) -> NDArray[np.float64]:
    """Above / below, NaN where below is 0."""
    out = np.full(np.broadcast_shapes(np.shape(above), np.shape(below)), np.nan)
    np.divide(above, below, out=out, where=np.asarray(below) != 0)
    return out


def sum_over_classes(values: NDArray[Any]) -> NDArray[np.float64]:
    """Sum over the last axis, from the first class to the last: the same bits for one data set and for a stack."""
    if not values.shape[-1]:
        return np.zeros(values.shape[:-1])
    # Unlike a sum, which adds in pairs, running sums are taken one after the other.
    running: NDArray[np.float64] = np.add.accumulate(values, axis=-1, dtype=np.float64)
    return running[..., -1]


def mean_over_classes(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the last axis of what is not NaN; NaN where nothing is defined.

    Adds from the first class to the last, as the official scorers' loops do, so that one data set and a stack of
    resampled ones give the same bits (numpy's own sum groups its terms by the shape of the array).
    """
    defined = ~np.isnan(values)
    return ratio(sum_over_classes(np.where(defined, values, 0.0)), defined.sum(axis=-1))
