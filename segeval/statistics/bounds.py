"""From resampled numbers to the two ends of an interval."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from segeval.statistics.resampling import Interval

# A bound needs this share of the resamples to be defined: a number that rests on one image has 0.63, on two 0.86.
LEAST_DEFINED = 0.8

_NORMAL = NormalDist()


def bounds(
    samples: NDArray[np.float64],
    estimate: NDArray[np.float64],
    interval: Interval,
    left: NDArray[np.float64] | None = None,
    limits: tuple[ArrayLike, ArrayLike] = (0.0, 1.0),
) -> NDArray[np.float64]:
    """Lower and upper bound (2, ...) of estimates (...) from resampled ones (B, ...).

    `left` holds the leave-one-out estimates (N, ...) that every method but ``percentile`` needs; `limits` are the
    least and the most that is possible, as far as it broadcasts to the estimates: 0 and 1 for a score, -1 and 1 for a
    difference of scores. Undefined resamples are left out. Where the estimate
    is undefined, or more than a fifth of the resamples are, because the number rests on a single image, both bounds
    are NaN. Where all resamples agree, both bounds are their value.
    """
    shape = samples.shape[1:]
    lowest, highest = (np.broadcast_to(np.asarray(end, np.float64), shape).reshape(-1) for end in limits)
    flat = np.sort(samples.reshape(len(samples), -1), axis=0)  # NaN sorts last
    middle = estimate.reshape(-1)
    defined = (~np.isnan(flat)).sum(axis=0)
    tails = np.array([interval.alpha / 2, 1 - interval.alpha / 2])
    levels = np.repeat(tails[:, None], flat.shape[1], axis=1)
    aside = None if left is None else left.reshape(len(left), -1)
    if interval.method == "bca":
        assert aside is not None
        levels = bca_levels(flat, middle, defined, aside, tails)
    out = np.stack([_quantile(flat, defined, q) for q in levels])
    if interval.method == "scaled":
        assert aside is not None
        alike = flat[0] == _quantile(flat, defined, np.ones(flat.shape[1]))
        out = np.where(alike, out, np.clip(_scaled(out, flat, middle, aside), lowest, highest))
    out[:, np.isnan(middle) | (defined < LEAST_DEFINED * len(flat))] = np.nan
    return out.reshape(2, *shape)


def _scaled(
    ends: NDArray[np.float64], samples: NDArray[np.float64], estimate: NDArray[np.float64], left: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Percentiles (2, C) moved to the estimate, and widened to the spread that the jackknife finds.

    estimate + (percentile - mean of the resamples) * max(1, s_jackknife / s_bootstrap). Resampling repeats images, so
    its mean is off (AP rises, rare classes drop out) and, where few images hold a class, its spread is too small; the
    jackknife's variance is biased upward instead (Efron & Stein 1981).
    """
    mean, _ = _moments(samples)
    moved: NDArray[np.float64] = estimate + (ends - mean) * stretch(samples, left)
    return moved


def stretch(samples: NDArray[np.float64], left: NDArray[np.float64]) -> NDArray[np.float64]:
    """max(1, s_jackknife / s_bootstrap) of resampled (B, C) and leave-one-out numbers (N, C); 1 without spread."""
    _, spread = _moments(samples)
    _, wide = _moments(left)
    count = (~np.isnan(left)).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = wide * np.sqrt(np.maximum(count - 1, 0)) / spread
    factor: NDArray[np.float64] = np.maximum(1.0, np.nan_to_num(ratio, nan=1.0, posinf=1.0))
    return factor


def _moments(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation (over the count) of what is defined in each column."""
    there = ~np.isnan(values)
    count = np.where(there.any(axis=0), there.sum(axis=0), np.nan)
    mean = np.where(there, values, 0).sum(axis=0) / count
    return mean, np.sqrt(np.where(there, (values - mean) ** 2, 0).sum(axis=0) / count)


def _quantile(
    ascending: NDArray[np.float64], defined: NDArray[np.int64], q: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Quantiles of columns with linear interpolation, the same at both ends: q and 1 - q mirror each other."""
    place = np.clip(q, 0, 1) * (np.maximum(defined, 1) - 1)
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(defined, 1) - 1)
    column = np.arange(ascending.shape[1])
    low, high = ascending[below, column], ascending[above, column]
    between: NDArray[np.float64] = np.where(low == high, low, low + (high - low) * (place - below))
    return between


def bca_levels(
    ascending: NDArray[np.float64],
    estimate: NDArray[np.float64],
    defined: NDArray[np.int64],
    left: NDArray[np.float64],
    tails: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The quantiles (2, C) that BCa takes instead of the tails.

    With z0 from the share of resamples below the estimate (ties count half) and a from the third moment of the
    leave-one-out estimates: Phi(z0 + (z0 + z) / (1 - a (z0 + z))). A share of 0 or 1 is taken as half a resample.
    """
    below = (ascending < estimate).sum(axis=0) + 0.5 * (ascending == estimate).sum(axis=0)
    count = np.maximum(defined, 1)
    share = np.clip(below / count, 0.5 / count, 1 - 0.5 / count)
    z0 = _inverse_normal(share)
    with np.errstate(invalid="ignore"):
        there = ~np.isnan(left)
        mean = np.where(there, left, 0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
        away = np.where(there, mean - left, 0.0)
    # Scaled by the largest, so that cubes of tiny deviations don't vanish.
    largest = np.abs(away).max(axis=0)
    away = away / np.where(largest > 0, largest, 1.0)
    square = (away**2).sum(axis=0)
    a = (away**3).sum(axis=0) / np.where(square > 0, 6 * square**1.5, 1.0)
    out = np.empty((2, len(z0)))
    for row, tail in enumerate(tails):
        z = z0 + _NORMAL.inv_cdf(float(tail))
        room = 1 - a * z
        # Past the pole the transformation has no meaning but its limit: the end of the resamples.
        moved = np.where(room > 0, z0 + z / np.where(room > 0, room, 1.0), np.sign(z) * 40.0)
        out[row] = [_NORMAL.cdf(v) for v in moved.tolist()]
    return out


def _inverse_normal(share: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([_NORMAL.inv_cdf(p) for p in share.tolist()])
