"""Is a difference real? Two tests on the same images, and Holm's correction for making several of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segeval.metrics.reweighting import Reweighted
from segeval.statistics.bounds import stretch
from segeval.statistics.resampling import Interval, chunks, every_swap, swapped
from segeval.threads import available_workers, in_threads

# Differences that are equal on paper may differ by their rounding; counted as equal, which never helps a claim.
EQUAL = 1e-12


def bootstrap_p(
    samples: NDArray[np.float64], observed: NDArray[np.float64], left: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Two-sided p of differences (M) from bootstrapped ones (B, M): the paired bootstrap, shifted to no difference.

    p = (1 + #{f |d* - m| >= |d|}) / (B + 1) with m the mean of the d* (Efron & Tibshirani 1993, chapter 16; Davison &
    Hinkley 1997 for the 1). With leave-one-out differences `left` (N, M), f is that of the scaled interval
    (`interval_bounds.stretch`), else 1, which calls too much different where classes are rare. Undefined resamples
    leave the count; NaN where d is undefined, or half of the resamples.
    """
    there = ~np.isnan(samples)
    mean = np.where(there, samples, 0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    factor = 1.0 if left is None else stretch(samples, left)
    return _share(factor * np.abs(samples - mean), observed, known=1)


def randomization_p(
    first: Reweighted,
    second: Reweighted,
    interval: Interval,
    unit: NDArray[np.int64],
    workers: int | None = None,
) -> NDArray[np.float64]:
    """Two-sided p (V) of the headline values: the paired randomization test (Fisher 1935; Noreen 1989).

    If the systems were the same, each image's two outcomes could as well be swapped. p is the share of random swaps
    whose difference is at least the observed one, (1 + count) / (R + 1), or the exact share where all 2^n swaps are
    no more than the resamples. NaN where swapping has no meaning.
    """
    units = int(unit.max()) + 1
    exact = units < 63 and 2**units <= interval.resamples
    ways = every_swap(units) if exact else None

    def work(part: range) -> NDArray[np.float64] | None:
        swaps = swapped(interval.seed, part, units) if ways is None else ways[part.start : part.stop]
        both = first.exchanged(second, swaps[:, unit])
        return None if both is None else both[1].values - both[0].values

    count = 2**units if exact else interval.resamples
    parts = in_threads(work, list(chunks(count, len(unit))), workers or available_workers())
    if any(part is None for part in parts):
        return np.full(len(first.values), np.nan)
    samples = np.concatenate([part for part in parts if part is not None])
    ones = np.ones((1, len(unit)))
    observed = second.at(ones).values[0] - first.at(ones).values[0]
    return _share(np.abs(samples), observed, known=0 if exact else 1)


def _share(sizes: NDArray[np.float64], observed: NDArray[np.float64], known: int) -> NDArray[np.float64]:
    """The share of sizes (B, M) that reach |observed| (M); `known` counts the data themselves as one of them."""
    defined = (~np.isnan(sizes)).sum(axis=0)
    with np.errstate(invalid="ignore"):
        reached = (sizes >= np.abs(observed) - EQUAL).sum(axis=0)
    p: NDArray[np.float64] = (known + reached) / (known + defined)
    return np.where(np.isnan(observed) | (defined < 0.5 * len(sizes)), np.nan, p)


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979): the chance of any false claim stays below alpha; NaN is no test.

    The i-th smallest of m is multiplied by m - i + 1, and none falls below a smaller one's.
    """
    order = sorted((i for i, v in enumerate(p) if v == v), key=lambda i: p[i])
    out = [float("nan")] * len(p)
    highest = 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p[i]))
        out[i] = highest
    return out
