"""What every task's rows offer to resampling: figures under any weights of the images.

Counts are integers, and a float64 product of integers is exact while every partial sum stays below 2^53. So weights of
one give the score itself, and integer weights the score of a data set that repeats its images, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.results.result import Result
from segeval.samples.pairs import Key


class Figures(NamedTuple):
    """What R reweighted data sets score: headline values (R, V), and figures of classes (R, K, F)."""

    values: NDArray[np.float64]
    classes: NDArray[np.float64]


class Reweighted(Protocol):
    """One run, ready to be reweighted.

    Attributes
    ----------
    keys
        The images; weights have one column for each.
    values, figures
        Names of the headline values and of the figures of a class.
    class_ids, class_names
        The classes.
    presence
        Whether the truth of an image holds a class: bool (images, classes).
    most_blocks
        How many leave-out evaluations are cheap enough.
    """

    @property
    def keys(self) -> tuple[Key, ...]: ...
    @property
    def values(self) -> tuple[str, ...]: ...
    @property
    def figures(self) -> tuple[str, ...]: ...
    @property
    def class_ids(self) -> tuple[int, ...]: ...
    @property
    def class_names(self) -> tuple[str, ...]: ...
    @property
    def presence(self) -> NDArray[np.bool_]: ...
    @property
    def most_blocks(self) -> int: ...

    def at(self, weights: NDArray[np.float64]) -> Figures:
        """The figures under whole weights (R, images)."""
        ...

    def without(self, block: NDArray[np.int64], indices: range) -> Figures:
        """The figures without one block of images at a time; `block` (images) says which block each is in."""
        ...

    def exchanged(self, other: Reweighted, swaps: NDArray[np.float64]) -> tuple[Figures, Figures] | None:
        """The figures of two runs after the images with a 1 (R, images) changed sides; None if they can't change."""
        ...


def left_out(block: NDArray[np.int64], indices: Sequence[int] | range) -> NDArray[np.float64]:
    """Weights that leave out one block each: (R, units)."""
    kept: NDArray[np.bool_] = block[None, :] != np.array(indices, np.int64)[:, None]
    return kept.astype(np.float64)


@dataclass(frozen=True, eq=False)
class ReweightedCounts:
    """Rows of counts that add: (images, columns), and the formulas on their sums (R, columns)."""

    keys: tuple[Key, ...]
    values: tuple[str, ...]
    figures: tuple[str, ...]
    class_ids: tuple[int, ...]
    class_names: tuple[str, ...]
    presence: NDArray[np.bool_]
    rows: NDArray[np.float64]
    formulas: Callable[[NDArray[np.int64]], Figures]
    most_blocks: int = 1 << 62

    def at(self, weights: NDArray[np.float64]) -> Figures:
        """The figures under whole weights (R, images)."""
        return self.formulas(exact_product(weights, self.rows))

    def without(self, block: NDArray[np.int64], indices: range) -> Figures:
        """The figures without one block of images at a time; `block` (images) says which block each is in."""
        inside = (block >= indices.start) & (block < indices.stop)
        sums = np.zeros((len(indices), self.rows.shape[1]), np.int64)
        np.add.at(sums, block[inside] - indices.start, self.rows[inside].astype(np.int64))
        return self.formulas(self.rows.astype(np.int64).sum(axis=0) - sums)

    def exchanged(self, other: Reweighted, swaps: NDArray[np.float64]) -> tuple[Figures, Figures] | None:
        """The figures of two runs after the images with a 1 (R, images) changed sides; None if they can't change."""
        if not isinstance(other, ReweightedCounts) or other.class_ids != self.class_ids:
            return None
        moved = exact_product(swaps, other.rows - self.rows)
        ones = np.ones((1, len(self.keys)))
        mine, theirs = exact_product(ones, self.rows) + moved, exact_product(ones, other.rows) - moved
        return self.formulas(mine), other.formulas(theirs)


def exact_product(weights: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.int64]:
    """``weights @ rows`` in whole numbers; through BLAS where no partial sum can reach 2^53."""
    most = weights.sum(axis=1).max(initial=0.0) * np.abs(rows).max(initial=0.0)
    if most < 2.0**53:
        return (weights @ rows).astype(np.int64)
    return weights.astype(np.int64) @ rows.astype(np.int64)


def reweighted(result: Result) -> Reweighted:
    """The rows of a run, ready for any weights of its images.

    Raises
    ------
    SegevalError
        If the run kept no rows by image, has no image, or its rule can't be resampled.
    """
    tally = result.tally
    if tally is None or tally.folded:
        raise SegevalError("this run keeps no rows by image", remedy="score again with --out, without collapsing")
    if not tally.keys:
        raise SegevalError("this run has no image", remedy="score at least one")
    found: Reweighted = result.metric.reweighted(tally)
    return found
