"""Bringing rows of many parts into one order, in little more memory than they take in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segeval.evidence.rows import BLOCK, Rows, fold, stacked
from segeval.samples.pairs import Key

# The type of each column, by name.
Kinds = Mapping[str, np.dtype[Any]]


def sorted_positions(keys: Sequence[Key]) -> list[int]:
    """Positions of keys in the order of images: integers numerically, then text by code point."""
    numbers = [i for i, key in enumerate(keys) if not isinstance(key, str)]
    text = [i for i, key in enumerate(keys) if isinstance(key, str)]
    # Keys of one kind compare by themselves; a tuple for each would cost more than the sort.
    return sorted(numbers, key=keys.__getitem__) + sorted(text, key=keys.__getitem__)


class ImageOrder(NamedTuple):
    """Where images go.

    Parameters
    ----------
    kept
        Positions of the images that stay, in their order.
    rank
        int64: the place of each image among those, -1 for the second of two with one key.
    twice
        Pairs of positions with one key: the one that stays, and the one that goes.
    """

    kept: list[int]
    rank: NDArray[np.int64]
    twice: list[tuple[int, int]]


def order_of(keys: Sequence[Key]) -> ImageOrder:
    """The order of images, each key once."""
    kept: list[int] = []
    twice: list[tuple[int, int]] = []
    rank = np.full(len(keys), -1, np.int64)
    for i in sorted_positions(keys):
        # The number 1 and the text "1" are two images.
        if kept and keys[kept[-1]] == keys[i] and isinstance(keys[kept[-1]], str) == isinstance(keys[i], str):
            twice.append((kept[-1], i))
        else:
            kept.append(i)
    rank[kept] = np.arange(len(kept))
    return ImageOrder(kept, rank, twice)


def starts_of(rows: Rows, images: int) -> NDArray[np.int64]:
    """Where each image's rows begin, and where the last ends: (images + 1); folded rows come before."""
    column = rows.image
    # In the column's own type, or all of it would be copied to compare.
    names = np.minimum(np.arange(images), np.iinfo(column.dtype).max).astype(column.dtype)
    first = np.searchsorted(column, column.dtype.type(0))
    return np.concatenate([[first], np.searchsorted(column, names, side="right")])


def rows_of_image(rows: Rows, image: int) -> Rows:
    """The rows of one image."""
    low, high = (np.searchsorted(rows.image, rows.image.dtype.type(image), side=side) for side in ("left", "right"))
    return rows.select(slice(low, high))


def kinds_of(rows: Rows) -> dict[str, np.dtype[Any]]:
    """The type of each column."""
    return {name: column.dtype for name, column in rows.columns().items()}


def widened(rows: Rows, kinds: Kinds) -> Rows:
    """Rows whose columns have given types."""
    return Rows(
        rows.image.astype(np.int32, copy=False),
        {name: column.astype(kinds[name], copy=False) for name, column in rows.groups.items()},
        {name: column.astype(kinds[name], copy=False) for name, column in rows.counts.items()},
    )


def joined(parts: list[Rows], firsts: Sequence[int], images: Sequence[int], order: ImageOrder, kinds: Kinds) -> Rows:
    """The rows of all parts, image by image; rows that were folded before are folded together, in front.

    Parameters
    ----------
    parts
        Tables alike; the list is emptied on the way, so that a part can go as soon as its rows are in their place.
    firsts, images
        The position of each part's first image among all, and how many it has.
    order
        The order of all images.
    kinds
        The types of the columns; those of the parts may be narrower.
    """
    counts = np.zeros(len(order.kept), np.int64)
    loose = []
    for part, first, count in zip(parts, firsts, images, strict=True):
        starts = starts_of(part, count)
        if starts[0]:
            loose.append(widened(part.select(slice(0, starts[0])), kinds))
        rank = order.rank[first : first + count]
        counts[rank[rank >= 0]] = np.diff(starts)[rank >= 0]
    head = stacked(loose) if loose else widened(parts[0].select(slice(0, 0)), kinds)
    head = fold(head) if head.counts else head
    ends = len(head) + np.cumsum(counts)
    whole = _empty(head, int(ends[-1]) if len(ends) else len(head))
    parts.reverse()
    for first, count in zip(firsts, images, strict=True):
        _place(parts.pop(), order.rank[first : first + count], ends - counts, whole)
    return whole


def _empty(head: Rows, size: int) -> Rows:
    """A table of so many rows, of which the first are written."""

    def column(start: NDArray[Any]) -> NDArray[Any]:
        made = np.empty((size, *start.shape[1:]), start.dtype)
        made[: len(start)] = start
        return made

    return Rows(
        column(head.image),
        {name: column(start) for name, start in head.groups.items()},
        {name: column(start) for name, start in head.counts.items()},
    )


def _place(part: Rows, rank: NDArray[np.int64], starts: NDArray[np.int64], whole: Rows) -> None:
    """Write a part's rows to where their images begin."""
    before = starts_of(part, len(rank))
    columns = whole.columns()
    for low in range(before[0], len(part), BLOCK):
        rows = np.arange(low, min(low + BLOCK, len(part)))
        image = part.image[low : low + BLOCK].astype(np.int64)
        stays = rank[image] >= 0
        if not stays.all():
            rows, image = rows[stays], image[stays]
        if not len(rows):
            continue
        place: Any = starts[rank[image]] + rows - before[image]
        chosen: Any = rows
        if len(rows) == rows[-1] - rows[0] + 1:
            chosen = slice(rows[0], rows[-1] + 1)
        if len(rows) == place[-1] - place[0] + 1 and (np.diff(place) == 1).all():
            place = slice(place[0], place[-1] + 1)
        for name, column in part.columns().items():
            columns[name][place] = rank[image] if name == "image" else column[chosen]
