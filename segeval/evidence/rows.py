"""Rows of evidence: integer tables keyed by image, and the exact parts that they hold."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.samples.pairs import Key

# Below 2^26, so that the sum of 2^37 such parts still fits in an int64.
IOU_LOW_BITS = 26

# Rows that are worked on at once, so that temporary columns stay small beside the table.
BLOCK = 2**16
# Combinations of groups that are added up in a table rather than by sorting.
LARGEST_TABLE = 2**20


def split_iou(iou: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """IoUs in (0.5, 1] as exact integer multiples of 2^-53, in a high and a low part.

    Sums of the parts are exact, so they do not depend on the order of images, shards or workers.
    """
    whole = (iou * 2.0**53).astype(np.int64)
    return whole >> IOU_LOW_BITS, whole & ((1 << IOU_LOW_BITS) - 1)


def join_iou(high: NDArray[np.int64], low: NDArray[np.int64]) -> NDArray[np.float64]:
    """The reverse of `split_iou` for sums: rounded once, whatever the parts."""
    carried = high + (low >> IOU_LOW_BITS)
    rest = low & ((1 << IOU_LOW_BITS) - 1)
    # Both terms are exact (carried < 2^53), so the one addition rounds correctly.
    return carried * 2.0 ** (IOU_LOW_BITS - 53) + rest * 2.0**-53


def image_digest(key: Key, *content: object) -> int:
    """64 bits that stand for one image's truth; a data set's digest is their sum mod 2^64."""
    text = "\x1f".join(map(str, (type(key) is str, key, *content)))
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


@dataclass(frozen=True, eq=False)
class Rows:
    """A table of statistics: rows of one image are contiguous and images ascend.

    Parameters
    ----------
    image
        int32 position in the tally's keys, or -1 for rows that were folded over images.
    groups
        Columns that say what a row is about.
    counts
        Columns that add.
    """

    image: NDArray[np.int32]
    groups: dict[str, NDArray[Any]]
    counts: dict[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name == "image":
            return self.image
        return self.groups[name] if name in self.groups else self.counts[name]

    def select(self, which: NDArray[Any] | slice, image: NDArray[Any] | None = None) -> Rows:
        """The rows at some positions (under a mask, in a span), perhaps renumbered."""
        return Rows(
            (self.image[which] if image is None else image).astype(np.int32),
            {k: v[which] for k, v in self.groups.items()},
            {k: v[which] for k, v in self.counts.items()},
        )

    def columns(self) -> dict[str, NDArray[Any]]:
        """All columns by name."""
        return {"image": self.image, **self.groups, **self.counts}


def narrow(column: NDArray[Any]) -> NDArray[Any]:
    """The same whole numbers in the smallest type that holds them; floats stay."""
    if column.dtype.kind not in "iu" or not column.size:
        return column
    low, high = np.min_scalar_type(column.min()), np.min_scalar_type(column.max())
    kind = np.promote_types(low, high)
    return column.astype(kind) if kind.kind in "iu" else column


def fold(rows: Rows) -> Rows:
    """Sum the counts of rows that agree in their groups, over all images; ascending by groups."""
    if not len(rows):
        return rows
    lows = [int(group.min()) for group in rows.groups.values()]
    spans = [int(group.max()) - low + 1 for group, low in zip(rows.groups.values(), lows, strict=True)]
    # A table of all combinations costs a thirtieth of a sort; with far ids it could be of any size.
    if math.prod(spans) <= LARGEST_TABLE and all(group.dtype.kind in "iu" for group in rows.groups.values()):
        return _tabulated(rows, lows, spans)
    if len(rows) <= BLOCK:
        return _sorted_and_added(rows)
    parts = [_sorted_and_added(rows.select(slice(i, i + BLOCK))) for i in range(0, len(rows), BLOCK)]
    return _sorted_and_added(stacked(parts))


def _tabulated(rows: Rows, lows: Sequence[int], spans: Sequence[int]) -> Rows:
    size = math.prod(spans)
    seen = np.zeros(size, bool)
    sums = {name: np.zeros((size, *column.shape[1:]), column.dtype) for name, column in rows.counts.items()}
    for start in range(0, len(rows), BLOCK):
        block = slice(start, start + BLOCK)
        cell = np.zeros(len(rows.image[block]), np.int64)
        for group, low, span in zip(rows.groups.values(), lows, spans, strict=True):
            cell *= span
            cell += group[block].astype(np.int64) - low
        seen[cell] = True
        for name, column in rows.counts.items():
            np.add.at(sums[name], cell, column[block])
    cells = np.flatnonzero(seen)
    groups: dict[str, NDArray[Any]] = {}
    rest = cells
    for name, low, span in reversed(list(zip(rows.groups, lows, spans, strict=True))):
        groups[name] = (rest % span + low).astype(rows.groups[name].dtype)
        rest = rest // span
    ordered = {name: groups[name] for name in rows.groups}
    return Rows(np.full(len(cells), -1, np.int32), ordered, {name: table[cells] for name, table in sums.items()})


def _sorted_and_added(rows: Rows) -> Rows:
    names = list(rows.groups)
    order = np.lexsort([rows.groups[n] for n in reversed(names)])
    groups = {n: rows.groups[n][order] for n in names}
    fresh = np.ones(len(order), bool)
    fresh[1:] = np.logical_or.reduce([g[1:] != g[:-1] for g in groups.values()])
    starts = np.flatnonzero(fresh)
    return Rows(
        np.full(len(starts), -1, np.int32),
        {n: g[starts] for n, g in groups.items()},
        {n: np.add.reduceat(c[order], starts) for n, c in rows.counts.items()},
    )


def stacked(tables: Sequence[Rows]) -> Rows:
    """Tables below one another, their images as they are."""
    first = tables[0]
    return Rows(
        np.concatenate([t.image for t in tables]),
        {k: np.concatenate([t.groups[k] for t in tables]) for k in first.groups},
        {k: np.concatenate([t.counts[k] for t in tables]) for k in first.counts},
    )
