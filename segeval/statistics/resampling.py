"""Resampling images: what an interval depends on, and the random numbers behind it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.results.signature import Signature

METHODS = ("scaled", "percentile", "bca")

# Which stream of random numbers: resampling and swapping share seeds, but no number.
DRAW, SWAP, BLOCK = 0, 1, 2

# Bytes that the weights of one chunk of resamples may take.
CHUNK_BYTES = 1 << 24

# So that several threads have work.
LEAST_CHUNKS = 16

MOST_RESAMPLES = 10_000_000


@dataclass(frozen=True)
class Interval:
    """How intervals are made: the whole of what they depend on besides the evidence.

    Parameters
    ----------
    method
        ``scaled``: the shape of the bootstrap about the score itself, as wide as the jackknife says where that is
        wider; ``percentile`` (Efron 1979); or ``bca``, bias-corrected and accelerated (Efron 1987).
    level
        The confidence level, inside (0, 1).
    resamples
        How many data sets are drawn.
    seed
        Of the random numbers; resample b of seed s is the same wherever and on how many threads it is drawn.

    Examples
    --------
    >>> Interval(level=0.9)
    Interval(method='scaled', level=0.9, resamples=1000, seed=0)
    >>> Interval(resamples=10)
    Traceback (most recent call last):
    segeval.errors.SegevalError: 10 resamples say nothing about the outer 2.5% on each side; give at least 40
    """

    method: str = "scaled"
    level: float = 0.95
    resamples: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise SegevalError(f"{self.method!r} is no interval method", remedy=f"give {' or '.join(METHODS)}")
        if not 0 < self.level < 1:
            raise SegevalError(f"{self.level} is no confidence level", remedy="give a number such as 0.95")
        if not 1 <= self.resamples <= MOST_RESAMPLES:
            raise SegevalError(f"{self.resamples} resamples can't be drawn", remedy="give a count such as 1000")
        if self.resamples * self.alpha < 2:
            raise SegevalError(
                f"{self.resamples} resamples say nothing about the outer {100 * self.alpha / 2:g}% on each side",
                remedy=f"give at least {math.ceil(2 / self.alpha)}",
            )
        if not 0 <= self.seed < 2**63:
            raise SegevalError(f"{self.seed} is no seed", remedy="give a whole number from 0")

    @classmethod
    def for_pairs(cls, pairs: int, **settings: Any) -> Interval:
        """Settings with enough resamples, unless they are given, for each of so many corrected tests to succeed."""
        made = cls(**settings)
        return made if "resamples" in settings else replace(made, resamples=max(made.resamples, made.least(pairs)))

    def least(self, pairs: int) -> int:
        """Resamples at which Holm's correction over so many pairs leaves the smallest p at half of alpha."""
        return math.ceil(2 * pairs / self.alpha)

    @property
    def leaves_out(self) -> bool:
        """Whether the method needs leave-one-out scores."""
        return self.method != "percentile"

    @property
    def alpha(self) -> float:
        """The error that the level leaves: 0.05 at 0.95."""
        return round(1 - self.level, 12)

    def signature(self, units: int, unit: str = "images") -> Signature:
        """The interval's own signature; scores are compared without it."""
        choices = [("method", self.method), ("level", self.level), ("resamples", self.resamples), ("seed", self.seed)]
        return Signature.of("interval", [*choices, (unit, units)])


def _bits(seed: int, index: int, stream: int) -> np.random.Philox:
    """The random bits of one resample, keyed by its index (Salmon et al. 2011): no other resample is involved."""
    counter = np.array([0, 0, 0, stream], np.uint64)
    return np.random.Philox(key=np.array([seed, index], np.uint64), counter=counter)


def drawn(seed: int, indices: Sequence[int] | range, units: int) -> NDArray[np.float64]:
    """How often each unit is drawn in each resample: integers (R, units) that sum to `units` in every row.

    The raw bits of the generator are used, because numpy promises to keep those, and not what it makes of them.
    A unit's chance differs from 1 / units by less than 2^-32.
    """
    out = np.empty((len(indices), units), np.float64)
    for row, index in enumerate(indices):
        raw = _bits(seed, index, DRAW).random_raw(units)
        chosen = ((raw >> np.uint64(32)) * np.uint64(units)) >> np.uint64(32)
        out[row] = np.bincount(chosen.astype(np.int64), minlength=units)
    return out


def swapped(seed: int, indices: Sequence[int] | range, units: int) -> NDArray[np.float64]:
    """Which units are swapped between two systems, by a fair coin each: zeros and ones (R, units)."""
    out = np.empty((len(indices), units), np.float64)
    for row, index in enumerate(indices):
        raw = _bits(seed, index, SWAP).random_raw(-(-units // 64))
        out[row] = np.unpackbits(np.asarray(raw, "<u8").view(np.uint8))[:units]
    return out


def every_swap(units: int) -> NDArray[np.float64]:
    """All 2^units ways to swap, the first of them none: zeros and ones (2^units, units)."""
    number = np.arange(2**units, dtype=np.int64)
    return ((number[:, None] >> np.arange(units)) & 1).astype(np.float64)


def blocks(units: int, most: int) -> NDArray[np.int64]:
    """A block for each unit, at most `most` of them, of nearly equal size and at random: (units)."""
    if units <= most:
        return np.arange(units)
    order = np.argsort(_bits(0, 0, BLOCK).random_raw(units), kind="stable")
    out = np.empty(units, np.int64)
    out[order] = np.arange(units) % most
    return out


def chunks(count: int, units: int) -> Iterator[range]:
    """Ranges of resamples whose weights fit into the memory that one chunk may take, and enough of them to share."""
    size = max(1, min(CHUNK_BYTES // (8 * max(1, units)), -(-count // LEAST_CHUNKS)))
    for start in range(0, count, size):
        yield range(start, min(count, start + size))
