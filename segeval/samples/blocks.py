"""Label maps too large to hold: read from the top down, some rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class BlockedMap:
    """A label map of which one block of rows is in memory at a time.

    As an array it is the whole map, for what can't do with less.

    Parameters
    ----------
    shape
        Height, width, and channels if there are any.
    read
        Gives the blocks from the top down; a block lives until the next one.
    dtype
        The type of a value.
    """

    shape: tuple[int, ...]
    read: Callable[[], Iterator[NDArray[Any]]]
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        whole = np.empty(self.shape, self.dtype)
        row = 0
        for block in self.read():
            whole[row : row + len(block)] = block
            row += len(block)
        return whole if dtype is None else whole.astype(dtype, copy=False)


def first_rows(labels: NDArray[Any] | BlockedMap) -> NDArray[Any]:
    """Some rows of a map, which show its type and its channels."""
    return next(labels.read()) if isinstance(labels, BlockedMap) else labels


def windows(
    truth: NDArray[Any] | BlockedMap, prediction: NDArray[Any] | BlockedMap
) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """The same rows of two maps of one height, from the top down; each block is read once.

    Parameters
    ----------
    truth, prediction
        Maps of one height; an array is a block of its own.
    """
    sides = [side.read() if isinstance(side, BlockedMap) else iter([side]) for side in (truth, prediction)]
    mine, theirs = (next(side) for side in sides)
    left = truth.shape[0]
    while True:
        rows = min(len(mine), len(theirs))
        yield mine[:rows], theirs[:rows]
        left -= rows
        if not left:
            return
        mine = mine[rows:] if rows < len(mine) else next(sides[0])
        theirs = theirs[rows:] if rows < len(theirs) else next(sides[1])
