"""Several runs on one truth, side by side: is the difference real, where does it come from?"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.comparison.comparability import comparable
from segeval.comparison.comparison import ClassDifference, Comparison, Difference, ImageChange, System, WinLossRecord
from segeval.errors import Caution, SegevalError
from segeval.metrics.diagnosis import image_figure
from segeval.metrics.metric import Metric
from segeval.results.figures import FRACTION, Figure
from segeval.results.result import Result
from segeval.results.tables import RAISED
from segeval.samples.pairs import Key
from segeval.statistics.attributes import among
from segeval.statistics.resampling import Interval
from segeval.statistics.significance import holm
from segeval.statistics.study import PairClassDifference, PairDifference, begin

# Only those that have a superscript.
LETTERS = "".join(RAISED)

# Images with the largest change that are kept, each way.
CHANGES = 10


def compare(
    results: Mapping[str, Result],
    *,
    interval: Interval | None = None,
    allow: Collection[str] = (),
    metric: str | None = None,
    groups: Mapping[Any, str] | None = None,
    workers: int | None = None,
) -> Comparison:
    """Compare runs on the same images, in pairs.

    Parameters
    ----------
    results
        Two or more runs with their evidence, by name.
    interval
        How intervals and tests are made; `Interval.for_pairs` if None.
    allow
        Keys of the signature in which the runs may differ. With ``truth`` the images that all runs have are compared.
    metric
        The value that decides; the task's headline if None.
    groups
        The group of each image, for images that depend on one another; all of one group are drawn together.
    workers
        Threads; as many as there are cores if None. They don't change the result.

    Raises
    ------
    SegevalError
        If tasks, truths or conventions differ (naming the key), a run lacks its rows, or there is nothing to compare.

    Examples
    --------
    >>> from segeval import Accumulator, compare
    >>> runs = {}
    >>> for name, prediction in (("coarse", [[0, 0, 0, 1]]), ("fine", [[0, 0, 1, 1]])):
    ...     seen = Accumulator("semantic", classes=2)
    ...     for key in range(20):
    ...         seen.update(prediction=np.array(prediction), truth=np.array([[0, 0, 1, 1]]), key=key)
    ...     runs[name] = seen.compute()
    >>> found = compare(runs, interval=Interval(resamples=200))
    >>> next((d.value, d.low, d.high, d.significant) for d in found.differences if d.metric == "aAcc")
    (0.25, 0.25, 0.25, True)
    """
    if len(results) < 2:
        raise SegevalError("one run is no comparison", remedy="give two or more")
    names = list(results)
    allowed, warnings, runs = comparable(results, allow)
    if groups is not None:
        everywhere = [key for run in results.values() if run.tally for key in run.tally.keys]
        groups = among(groups, [key for run in runs[:1] if run.tally for key in run.tally.keys], everywhere)
    pairs = [(a, b) for a in range(len(runs)) for b in range(a + 1, len(runs))]
    study = begin(runs, interval or Interval.for_pairs(len(pairs)), groups, workers)
    values = study.evidences[0].values
    rule: Metric = runs[0].metric
    deciding = metric or rule.headline
    if deciding not in values:
        raise SegevalError(f"there is no {deciding!r} in these runs", remedy=f"give one of {', '.join(values)}")
    found: list[Difference] = []
    classes: list[ClassDifference] = []
    for a, b in pairs:
        # In the order of names and then turned round, so that no number depends on the order of the runs.
        sign = 1 if names[a] < names[b] else -1
        i, j = (a, b) if sign == 1 else (b, a)
        found += [_difference(a, b, sign, one) for one in study.differences(i, j)]
        classes += [_class_difference(a, b, sign, one) for one in study.class_differences(i, j)]
    found = _corrected(found, values, study.interval.alpha)
    image = image_figure(rule)
    gain = rule.figure(image).gain
    per_image = np.array([_figure_of_images(run, image) for run in runs])
    marks = tuple(mark(i) for i in range(len(runs)))
    return Comparison(
        task=runs[0].task,
        metric=deciding,
        systems=tuple(
            System(name, marks[i], study.attached(i), beaten(i, found, deciding, marks, rule.figure(deciding)))
            for i, name in enumerate(names)
        ),
        differences=tuple(found),
        classes=tuple(classes),
        records=tuple(_record(per_image, a, b, gain) for a, b in pairs),
        changes=tuple(c for a, b in pairs for c in _changes(per_image, study.evidences[0].keys, a, b, gain)),
        image_figure=image,
        images=study.evidences[0].keys,
        per_image=per_image,
        interval=study.interval,
        interval_signature=study.signature(),
        signature=runs[0].signature,
        allowed=allowed,
        warnings=(*warnings, *study.cautions(), *_too_few(study.interval, len(pairs))),
    )


def _too_few(interval: Interval, pairs: int) -> list[Caution]:
    """Whether the correction leaves no difference a chance."""
    if pairs / (interval.resamples + 1) <= interval.alpha:
        return []
    text = (
        f"with {interval.resamples} resamples no difference among {pairs} pairs can be significant: "
        f"give at least {interval.least(pairs)}"
    )
    return [Caution("few-resamples", text)]


def mark(position: int) -> str:
    """a to z without q, which has no superscript; then aa, ab and so on."""
    text = ""
    while True:
        position, letter = divmod(position, len(LETTERS))
        text = LETTERS[letter] + text
        if position == 0:
            return text
        position -= 1


def beaten(
    system: int, found: Sequence[Difference], metric: str, marks: Sequence[str], figure: Figure = FRACTION
) -> tuple[str, ...]:
    """Marks of the systems that one beats significantly."""
    out = []
    for d in found:
        if d.metric == metric and d.significant and system in (d.first, d.second):
            other, gain = (d.first, d.value) if d.second == system else (d.second, -d.value)
            if figure.gain(gain) > 0:
                out.append(marks[other])
    return tuple(out)


def _difference(a: int, b: int, sign: int, found: PairDifference) -> Difference:
    value, low, high = _turned(sign, found.value, found.low, found.high)
    return Difference(found.name, a, b, value, low, high, found.p_bootstrap, found.p_randomization, math.nan, False)


def _class_difference(a: int, b: int, sign: int, found: PairClassDifference) -> ClassDifference:
    first, second = (found.first, found.second) if sign == 1 else (found.second, found.first)
    value, low, high = _turned(sign, second - first if sign == 1 else first - second, found.low, found.high)
    return ClassDifference(found.figure, a, b, found.id, found.name, first, second, value, low, high)


def _turned(sign: int, value: float, low: float, high: float) -> tuple[float, float, float]:
    """A difference and its bounds, seen from the other side if the sign says so; without negative zeros."""
    return (value, low, high) if sign == 1 else (0.0 - value, 0.0 - high, 0.0 - low)


def _corrected(found: Sequence[Difference], metrics: Sequence[str], alpha: float) -> list[Difference]:
    """Holm's correction over the pairs of each metric; by metric, then by pair."""
    out = []
    for metric in metrics:
        family = [d for d in found if d.metric == metric]
        tests = [d.p_bootstrap if math.isnan(d.p_randomization) else d.p_randomization for d in family]
        corrected = holm(tests)
        out += [replace(d, p=p, significant=p <= alpha) for d, p in zip(family, corrected, strict=True)]
    return out


def _figure_of_images(run: Result, name: str) -> NDArray[np.float64]:
    """The per-image figure, in the order of the tally's keys."""
    assert run.tally is not None
    found = {row["image"]: row[name] for row in run.metric.per_image(run.tally)}
    return np.array([found[key] for key in run.tally.keys], np.float64)


def _record(per_image: NDArray[np.float64], a: int, b: int, gain: Callable[[Any], Any]) -> WinLossRecord:
    change = gain(per_image[b] - per_image[a])
    wins, ties, losses = (int(which.sum()) for which in (change > 0, change == 0, change < 0))
    return WinLossRecord(a, b, wins, ties, losses, len(change) - wins - ties - losses)


def _changes(
    per_image: NDArray[np.float64], keys: Sequence[Key], a: int, b: int, gain: Callable[[Any], Any]
) -> list[ImageChange]:
    """The largest gains and then the largest losses, largest first; equal ones in the order of the images."""
    change = per_image[b] - per_image[a]
    gained = gain(change)
    out = []
    for sign in (-1, 1):
        order = np.argsort(sign * gained, kind="stable")[:CHANGES].tolist()
        out += [
            ImageChange(keys[i], a, b, float(per_image[a, i]), float(per_image[b, i]), float(change[i]))
            for i in order
            if sign * gained[i] < 0
        ]
    return out


__all__ = [
    "ClassDifference",
    "Comparison",
    "Difference",
    "ImageChange",
    "System",
    "WinLossRecord",
    "beaten",
    "compare",
    "mark",
]
