"""Numbers for parts of the images: night and day, small and large; from the rows that were kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.comparison.runs import subset
from segeval.errors import SegevalError
from segeval.metrics.reweighting import reweighted
from segeval.results.result import Result
from segeval.samples.pairs import Key
from segeval.statistics import intervals as statistics
from segeval.statistics.attributes import matched
from segeval.statistics.bounds import bounds
from segeval.statistics.resampling import Interval

# The images about which an attribute says nothing.
UNKNOWN = "(unknown)"

# More values than this are measurements, not kinds of images.
MOST_VALUES = 50


@dataclass(frozen=True)
class Slice:
    """The images that share one value of one attribute.

    Parameters
    ----------
    attribute, value
        Such as ``light`` and ``night``.
    result
        Their score, with intervals if those were asked for; `result.images` says how many.
    """

    attribute: str
    value: str
    result: Result


@dataclass(frozen=True)
class Gap:
    """How far one metric's best and worst slices of one attribute lie apart: ``value = best - worst``.

    Where less is better, the value is ``worst - best``: a gap is never negative.

    `low` and `high` bound it (both slices resampled within themselves), NaN unless intervals were asked for. The two
    slices were chosen for being extreme, so with many slices a gap is above 0 by chance alone.
    """

    attribute: str
    metric: str
    best: str
    worst: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Slices:
    """All slices of a run, by attribute and then by value, and the gaps of each attribute and metric."""

    whole: Result
    slices: tuple[Slice, ...]
    gaps: tuple[Gap, ...]


def slice_result(
    result: Result,
    attributes: Mapping[Any, Mapping[str, str]],
    *,
    interval: Interval | None = None,
    groups: NDArray[np.int64] | None = None,
    workers: int | None = None,
) -> Slices:
    """Score each value of each attribute by itself.

    Parameters
    ----------
    result
        With its evidence.
    attributes
        What is known of images: image, attribute, value. Images without a value form a slice of their own, which no
        gap regards.
    interval
        Settings of intervals; none are made if None. A slice of one image (or group) has none either.
    groups
        int64 (images,): the group of each image of the whole run.
    workers
        Threads; as many as there are cores if None.

    Raises
    ------
    SegevalError
        If an image is named that was not scored, or an attribute has too many values to be kinds of images.
    """
    if result.tally is None or result.tally.folded:
        raise SegevalError("this run keeps no rows by image", remedy="score again with --out")
    keys = result.tally.keys
    known = [row or {} for row in matched(keys, attributes, "the slices")]
    slices: list[Slice] = []
    gaps: list[Gap] = []
    for attribute in dict.fromkeys(name for row in known for name in row):
        members: dict[str, list[int]] = {}
        for i, row in enumerate(known):
            members.setdefault(row.get(attribute, UNKNOWN), []).append(i)
        values = sorted(members, key=lambda v: (v == UNKNOWN, v))
        if len(values) > MOST_VALUES:
            raise SegevalError(
                f"the attribute {attribute!r} has {len(values)} values", remedy=f"give at most {MOST_VALUES}, as ranges"
            )
        parts = [_Part(v, members[v], keys, result, groups) for v in values]
        slices += [Slice(attribute, part.value, part.scored(interval, workers)) for part in parts]
        said = [part for part in parts if part.value != UNKNOWN]
        gaps += [_gap(attribute, metric, said, interval, workers) for metric in result.values]
    return Slices(result, tuple(slices), tuple(gaps))


class _Part:
    """One slice while it is worked on."""

    def __init__(
        self, value: str, members: list[int], keys: tuple[Key, ...], whole: Result, groups: NDArray[np.int64] | None
    ) -> None:
        self.value = value
        self.result = subset(whole, [keys[i] for i in members])
        self.groups = None if groups is None else np.unique(groups[members], return_inverse=True)[1].astype(np.int64)
        self.units = len(members) if self.groups is None else int(self.groups.max()) + 1

    def scored(self, interval: Interval | None, workers: int | None) -> Result:
        if interval is None or self.units < 2:
            return self.result
        return statistics.with_intervals(self.result, interval, groups=self.groups, workers=workers)

    def samples(self, metric: str, interval: Interval, first: int, workers: int | None) -> NDArray[np.float64]:
        """Resampled values, drawn with numbers that start at resample `first`."""
        evidence = reweighted(self.result)
        unit = statistics.unit_of_image(evidence, self.groups)
        figures = statistics.resample([evidence], interval, unit, workers, first)[0]
        return figures.values[:, evidence.values.index(metric)]


def _gap(attribute: str, metric: str, parts: list[_Part], interval: Interval | None, workers: int | None) -> Gap:
    defined = [part for part in parts if part.result.values[metric] == part.result.values[metric]]
    if not defined:
        return Gap(attribute, metric, "", "", math.nan, math.nan, math.nan)
    gain = defined[0].result.figure(metric).gain
    best = max(defined, key=lambda part: gain(part.result.values[metric]))
    worst = min(defined, key=lambda part: gain(part.result.values[metric]))
    value = gain(best.result.values[metric] - worst.result.values[metric])
    if interval is None or best is worst or min(best.units, worst.units) < 2:
        return Gap(attribute, metric, best.value, worst.value, value, math.nan, math.nan)
    # Two slices share no image, so they are drawn apart: with numbers of their own.
    apart = best.samples(metric, interval, 0, workers) - worst.samples(metric, interval, interval.resamples, workers)
    apart = np.asarray(gain(1.0) * apart)
    # The percentiles about the difference itself: leaving out an image concerns one of the two slices only.
    ends = bounds(apart[:, None], np.array([value]), replace(interval, method="percentile"))[:, 0]
    low, high = (ends - np.nanmean(apart) + value).tolist()
    return Gap(attribute, metric, best.value, worst.value, value, low, high)
