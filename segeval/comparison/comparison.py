"""What a comparison of several runs consists of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segeval.errors import Caution
from segeval.results.figures import Figure
from segeval.results.result import Result
from segeval.results.signature import Signature
from segeval.samples.pairs import Key
from segeval.statistics.resampling import Interval


@dataclass(frozen=True)
class System:
    """One run in a comparison.

    Parameters
    ----------
    name
        What it is called; no two of a comparison share it.
    mark
        Its letter: ``a`` for the first.
    result
        The run, with intervals (`Result.intervals`, `Result.class_intervals`).
    better_than
        Marks of the systems that it beats significantly in the headline, after Holm's correction.
    """

    name: str
    mark: str
    result: Result
    better_than: tuple[str, ...] = ()


@dataclass(frozen=True)
class Difference:
    """One headline value of two systems: ``second - first``.

    Parameters
    ----------
    metric
        The value's name: ``mIoU``, ``PQ``, ``AP50``...
    first, second
        Positions in `Comparison.systems`; ``first < second``.
    value
        The difference, a fraction; NaN where one of both is undefined.
    low, high
        Its interval, from resampling the same images for both.
    p_bootstrap
        Two-sided, from the paired bootstrap shifted to no difference.
    p_randomization
        Two-sided, from the paired randomization test; NaN where it was not made.
    p
        The one that counts, after Holm's correction over the pairs of systems: `p_randomization`, which holds its
        level on any number of images, or `p_bootstrap` where there is none.
    significant
        Whether ``p <= 1 - level``.
    """

    metric: str
    first: int
    second: int
    value: float
    low: float
    high: float
    p_bootstrap: float
    p_randomization: float
    p: float
    significant: bool


@dataclass(frozen=True)
class ClassDifference:
    """The task's first per-class figure (IoU, PQ or AP) of one class in two systems: ``second - first``.

    `first_value` and `second_value` are the figures themselves; `low` and `high` bound the difference. No test: with
    many classes some intervals exclude 0 by chance alone.
    """

    figure: str
    first: int
    second: int
    id: int
    name: str
    first_value: float
    second_value: float
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class WinLossRecord:
    """In how many images the second system is better, the same, or worse than the first; undefined in one or both."""

    first: int
    second: int
    wins: int
    ties: int
    losses: int
    undefined: int


@dataclass(frozen=True)
class ImageChange:
    """One image's figure under two systems; `change` is ``second_value - first_value``."""

    image: Key
    first: int
    second: int
    first_value: float
    second_value: float
    change: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """Runs on one truth under one convention.

    Parameters
    ----------
    task
        ``semantic``, ``instance`` or ``panoptic``.
    metric
        The value that decides: the task's headline unless another was asked for.
    systems
        In the order given.
    differences
        Of every metric and pair of systems: by metric, then by first, then by second.
    classes
        Of every pair and class, in the order of the taxonomy.
    records
        One a pair.
    changes
        Of every pair the images with the largest gains, then those with the largest losses; largest first.
    image_figure
        What is compared image by image: ``mIoU``, ``PQ`` or ``F1``.
    images
        Keys of the images compared.
    per_image
        Their figure, (systems, images); NaN where undefined.
    interval
        How intervals were made.
    interval_signature
        With the number of images or groups.
    signature
        The conventions that the runs share (the first run's, where `allowed` says they don't).
    allowed
        Keys in which the runs differ, and were let through.
    warnings
        What a reader should know, such as classes that are rare.
    """

    task: str
    metric: str
    systems: tuple[System, ...]
    differences: tuple[Difference, ...]
    classes: tuple[ClassDifference, ...]
    records: tuple[WinLossRecord, ...]
    changes: tuple[ImageChange, ...]
    image_figure: str
    images: tuple[Key, ...]
    per_image: NDArray[np.float64]
    interval: Interval
    interval_signature: Signature
    signature: Signature
    allowed: tuple[str, ...] = ()
    warnings: tuple[Caution, ...] = ()

    def figure(self, name: str) -> Figure:
        """How a value, or a figure of a class or an image, is read."""
        return self.systems[0].result.figure(name)

    @property
    def test(self) -> str:
        """The test that decides: ``paired randomization test``, or ``paired bootstrap`` where outcomes can't swap."""
        swapped = any(d.p_randomization == d.p_randomization for d in self.differences if d.metric == self.metric)
        return "paired randomization test" if swapped else "paired bootstrap"
