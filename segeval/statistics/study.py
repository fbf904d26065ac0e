"""The differences of two systems, from figures that were resampled with the same weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.errors import Caution
from segeval.metrics.reweighting import Figures, Reweighted, reweighted
from segeval.results.result import Result
from segeval.results.signature import Signature
from segeval.statistics import intervals as statistics
from segeval.statistics.attributes import group_of_image
from segeval.statistics.bounds import bounds
from segeval.statistics.resampling import Interval
from segeval.statistics.significance import bootstrap_p, randomization_p


@dataclass(frozen=True)
class PairDifference:
    """A headline value's difference ``second - first``, before any correction."""

    name: str
    value: float
    low: float
    high: float
    p_bootstrap: float
    p_randomization: float


@dataclass(frozen=True)
class PairClassDifference:
    """A class figure's values in the first and the second system, and the bounds of their difference."""

    figure: str
    id: int
    name: str
    first: float
    second: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Study:
    """Several runs resampled together: the same draw for all of them.

    `group` is the group of each image, or None; `unit` is what is drawn. `left` holds leave-one-out figures where the
    interval's method needs them, and `once` the figures of the data themselves.
    """

    results: tuple[Result, ...]
    evidences: tuple[Reweighted, ...]
    interval: Interval
    group: NDArray[np.int64] | None
    unit: NDArray[np.int64]
    samples: tuple[Figures, ...]
    left: tuple[Figures, ...] | None
    once: tuple[Figures, ...]
    workers: int | None

    def signature(self) -> Signature:
        """How intervals were made."""
        return self.interval.signature(*statistics.unit_count(self.evidences[0], self.group))

    def cautions(self) -> list[Caution]:
        """What makes the intervals doubtful."""
        return statistics.cautions(self.evidences[0], self.group)

    def attached(self, i: int) -> Result:
        """A run with its own intervals, from the draws of the study."""
        left = None if self.left is None else self.left[i]
        samples, once = self.samples[i], self.once[i]
        run, evidence = self.results[i], self.evidences[i]
        without = (None, None) if left is None else (left.values, left.classes)
        within = statistics.limits_of(run, evidence.values), statistics.limits_of(run, evidence.figures)
        ends = Figures(
            bounds(samples.values, once.values[0], self.interval, without[0], within[0]),
            bounds(samples.classes, once.classes[0], self.interval, without[1], within[1]),
        )
        return statistics.attach(self.results[i], self.evidences[i], ends, self.interval, self.group)

    def _apart(self, i: int, names: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The least and the most that differences of figures can be."""
        low, high = statistics.limits_of(self.results[i], names)
        return low - high, high - low

    def differences(self, i: int, j: int) -> list[PairDifference]:
        """``j - i`` for every headline value."""
        samples = self.samples[j].values - self.samples[i].values
        observed = self.once[j].values[0] - self.once[i].values[0]
        left = None if self.left is None else self.left[j].values - self.left[i].values
        low, high = bounds(samples, observed, self.interval, left, self._apart(i, self.evidences[i].values))
        p = bootstrap_p(samples, observed, left if self.interval.method == "scaled" else None)
        q = randomization_p(self.evidences[i], self.evidences[j], self.interval, self.unit, self.workers)
        columns = [c.tolist() for c in (observed, low, high, p, q)]
        return [PairDifference(n, *row) for n, *row in zip(self.evidences[i].values, *columns, strict=True)]

    def class_differences(self, i: int, j: int) -> list[PairClassDifference]:
        """``j - i`` for the first figure of every class that both have."""
        a, b = self.evidences[i], self.evidences[j]
        place = {class_id: k for k, class_id in enumerate(b.class_ids)}
        both = [(k, place[c]) for k, c in enumerate(a.class_ids) if c in place]
        left_of, right_of = ([pair[side] for pair in both] for side in (0, 1))

        def apart(figures: Sequence[Figures]) -> NDArray[np.float64]:
            difference: NDArray[np.float64] = figures[j].classes[:, right_of, 0] - figures[i].classes[:, left_of, 0]
            return difference

        left = None if self.left is None else apart(self.left)
        within = tuple(end[0] for end in self._apart(i, a.figures[:1]))
        low, high = bounds(apart(self.samples), apart(self.once)[0], self.interval, left, within)
        return [
            PairClassDifference(
                a.figures[0],
                a.class_ids[k],
                a.class_names[k],
                float(self.once[i].classes[0, k, 0]),
                float(self.once[j].classes[0, other, 0]),
                float(low[n]),
                float(high[n]),
            )
            for n, (k, other) in enumerate(both)
        ]


def begin(
    results: Sequence[Result], interval: Interval, groups: Mapping[Any, str] | None, workers: int | None
) -> Study:
    """Resample runs on the same images with the same draws."""
    evidences = tuple(reweighted(run) for run in results)
    group = None if groups is None else group_of_image(evidences[0].keys, groups)
    unit = statistics.unit_of_image(evidences[0], group)
    left = statistics.jackknife(evidences, unit, workers) if interval.leaves_out else None
    return Study(
        results=tuple(results),
        evidences=evidences,
        interval=interval,
        group=group,
        unit=unit,
        samples=tuple(statistics.resample(evidences, interval, unit, workers)),
        left=None if left is None else tuple(left),
        once=tuple(e.at(np.ones((1, len(unit)))) for e in evidences),
        workers=workers,
    )
