"""Intervals of every number of a run, from its rows alone: the bootstrap over images (Efron 1979; Efron 1987)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segeval.errors import Caution, SegevalError
from segeval.metrics.reweighting import Figures, Reweighted, reweighted
from segeval.results.result import Result
from segeval.statistics.bounds import bounds
from segeval.statistics.resampling import Interval, blocks, chunks, drawn
from segeval.threads import available_workers, in_threads

RARE_CODE, FEW_CODE = "rare-classes", "few-units"

# Fewer images (or groups) than this say little about others.
FEW = 20

# A class in fewer images than this makes intervals rough; see benchmarks/COVERAGE.md.
RARE = 100


def with_intervals(
    result: Result,
    interval: Interval | None = None,
    *,
    groups: NDArray[np.int64] | None = None,
    workers: int | None = None,
) -> Result:
    """A result with an interval for every headline value and every figure of a class.

    Parameters
    ----------
    result
        With its evidence.
    interval
        The settings; the defaults of `Interval` if None.
    groups
        int64 (images,): the group of each image, numbered from 0 without gaps. Groups are drawn whole; images that
        depend on one another, such as the frames of a video, belong into one. Every image is its own group if None.
    workers
        Threads; as many as there are cores if None. They don't change the result.

    Returns
    -------
    Result
        With `intervals`, `class_intervals`, `interval_signature`, and a caution that names rare classes.

    Raises
    ------
    SegevalError
        If there are no rows by image, or fewer than two groups.
    """
    chosen = interval or Interval()
    evidence = reweighted(result)
    block = unit_of_image(evidence, groups)
    figures = resample([evidence], chosen, block, workers)[0]
    ends = bounds_of(result, evidence, figures, chosen, block, workers)
    return attach(result, evidence, ends, chosen, groups)


def limits_of(result: Result, names: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The least and the most that figures can be, in the order of their names."""
    figures = [result.figure(name) for name in names]
    return np.array([f.low for f in figures]), np.array([f.high for f in figures])


def attach(
    result: Result, evidence: Reweighted, bounds: Figures, interval: Interval, groups: NDArray[np.int64] | None
) -> Result:
    """The result with bounds of its values (2, V) and of its classes (2, K, F)."""
    values = {n: _pair(bounds.values[:, v]) for v, n in enumerate(evidence.values) if n in result.values}
    classes = tuple(
        {"id": i, **{n: _pair(bounds.classes[:, k, f]) for f, n in enumerate(evidence.figures)}}
        for k, i in enumerate(evidence.class_ids)
    )
    units, word = unit_count(evidence, groups)
    return result.with_(
        intervals=values,
        class_intervals=classes,
        interval_signature=interval.signature(units, word),
        warnings=(*(w for w in result.warnings if w.code not in (RARE_CODE, FEW_CODE)), *cautions(evidence, groups)),
    )


def _pair(bounds: NDArray[np.float64]) -> tuple[float, float]:
    return float(bounds[0]), float(bounds[1])


def unit_count(evidence: Reweighted, groups: NDArray[np.int64] | None) -> tuple[int, str]:
    """How many units are drawn, and what they are called."""
    return (len(evidence.keys), "images") if groups is None else (int(groups.max()) + 1, "groups")


def unit_of_image(evidence: Reweighted, groups: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """The unit that each image is drawn with: (images).

    Raises
    ------
    SegevalError
        If there are fewer than two units.
    """
    units, word = unit_count(evidence, groups)
    if units < 2:
        raise SegevalError(
            f"an interval needs at least 2 {word}, and this run has {units}", remedy="score more images, or no interval"
        )
    return np.arange(units) if groups is None else groups


def _expand(weights: NDArray[np.float64], unit: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weights of units as weights of images."""
    return weights if np.array_equal(unit, np.arange(weights.shape[1])) else weights[:, unit]


def _joined(parts: Sequence[Figures]) -> Figures:
    return Figures(np.concatenate([p.values for p in parts]), np.concatenate([p.classes for p in parts]))


def resample(
    evidences: Sequence[Reweighted],
    interval: Interval,
    unit: NDArray[np.int64],
    workers: int | None = None,
    first: int = 0,
) -> list[Figures]:
    """The figures of every run on the same drawn data sets, B rows for each run, from resample `first` on."""
    units = int(unit.max()) + 1

    def work(part: range) -> list[Figures]:
        weights = _expand(drawn(interval.seed, range(part.start + first, part.stop + first), units), unit)
        return [evidence.at(weights) for evidence in evidences]

    parts = in_threads(work, list(chunks(interval.resamples, len(unit))), workers or available_workers())
    return [_joined([part[e] for part in parts]) for e in range(len(evidences))]


def jackknife(evidences: Sequence[Reweighted], unit: NDArray[np.int64], workers: int | None = None) -> list[Figures]:
    """The figures of every run without one unit at a time (or one block of units, where AP has many)."""
    units = int(unit.max()) + 1
    block = blocks(units, min(e.most_blocks for e in evidences))
    count, block = int(block.max()) + 1, block[unit]

    def work(part: range) -> list[Figures]:
        return [evidence.without(block, part) for evidence in evidences]

    parts = in_threads(work, list(chunks(count, len(unit))), workers or available_workers())
    return [_joined([part[e] for part in parts]) for e in range(len(evidences))]


def bounds_of(
    result: Result,
    evidence: Reweighted,
    figures: Figures,
    interval: Interval,
    unit: NDArray[np.int64],
    workers: int | None,
) -> Figures:
    """Bounds of every number: (2, V) and (2, K, F)."""
    once = evidence.at(np.ones((1, len(unit))))
    left = jackknife([evidence], unit, workers)[0] if interval.leaves_out else None
    return Figures(
        bounds(
            figures.values,
            once.values[0],
            interval,
            None if left is None else left.values,
            limits_of(result, evidence.values),
        ),
        bounds(
            figures.classes,
            once.classes[0],
            interval,
            None if left is None else left.classes,
            limits_of(result, evidence.figures),
        ),
    )


def cautions(evidence: Reweighted, groups: NDArray[np.int64] | None) -> list[Caution]:
    """What makes the intervals doubtful: few images (or groups), or classes in few of them."""
    units, word = unit_count(evidence, groups)
    found = []
    if units < FEW:
        text = f"{units} {word} are few: intervals and tests over them are not to be relied on"
        found.append(Caution(FEW_CODE, text))
    presence = evidence.presence
    if groups is not None:
        together = np.zeros((units, presence.shape[1]), bool)
        np.logical_or.at(together, groups, presence)
        presence = together
    seen = presence.sum(axis=0)
    rare = [k for k in np.argsort(seen, kind="stable").tolist() if 0 < seen[k] < RARE]
    if not rare:
        return found
    named = ", ".join(f"{evidence.class_names[k]} ({int(seen[k])})" for k in rare[:5])
    more = f" and {len(rare) - 5} more" if len(rare) > 5 else ""
    text = (
        f"{len(rare)} of {int((seen > 0).sum())} classes are in fewer than {RARE} {word}: {named}{more}; "
        "their intervals are rough, and below about 10 not to be relied on"
    )
    return [*found, Caution(RARE_CODE, text)]
