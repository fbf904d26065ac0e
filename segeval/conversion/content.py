"""One image in the three shapes that segmentations have: labels, a partition into segments, a stack of masks.

A label map is a plain array (H, W). The other two are here, with what a segment is in both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.samples.mask_runs import MaskRuns, runs_of_map

_SMALL_TABLE = 2**24


@dataclass(frozen=True)
class ListedSegment:
    """A segment or an instance.

    Parameters
    ----------
    id
        Its value in the map that it came from; 0 if it came from none.
    category
        Its class.
    crowd
        Whether it stands for a group.
    score
        The confidence of a prediction.
    """

    id: int
    category: int
    crowd: bool = False
    score: float = 1.0


class Partition(NamedTuple):
    """Segments that share no pixel: ids (H, W) uint32, 0 where there is none, and the segments in their order."""

    ids: NDArray[np.uint32]
    segments: tuple[ListedSegment, ...]


class Stack(NamedTuple):
    """Masks that may overlap, and what each is, in their order."""

    runs: MaskRuns
    instances: tuple[ListedSegment, ...]

    def take(self, rows: Sequence[int]) -> Stack:
        """Some of the masks."""
        return Stack(self.runs.take(list(rows)), tuple(self.instances[i] for i in rows))


Content = NDArray[Any] | Partition | Stack


def relabel(ids: NDArray[Any], table: Mapping[int, int]) -> NDArray[np.uint32]:
    """Each value by a table that holds all of them, but perhaps 0 (which stays)."""
    old = np.array(sorted({0, *table}), np.int64)
    new = np.array([table.get(value, 0) for value in old.tolist()], np.uint32)
    if old[-1] < _SMALL_TABLE:
        # Of a large zeroed table only the pages that are touched cost anything.
        lookup = np.zeros(int(old[-1]) + 1, np.uint32)
        lookup[old] = new
        found: NDArray[np.uint32] = lookup[ids]
        return found
    return new[np.searchsorted(old, ids)]


def keep(partition: Partition, wanted: Callable[[ListedSegment], bool]) -> Partition:
    """The segments that are wanted; the others' pixels become void."""
    kept = tuple(s for s in partition.segments if wanted(s))
    if len(kept) == len(partition.segments):
        return partition
    stays = {s.id for s in kept}
    return Partition(relabel(partition.ids, {s.id: s.id if s.id in stays else 0 for s in partition.segments}), kept)


def unite(partition: Partition, alike: Callable[[ListedSegment], Any]) -> Partition:
    """Segments of which `alike` says the same become one, the first; those of which it says None stay apart."""
    first: dict[Any, ListedSegment] = {}
    table: dict[int, int] = {}
    kept: list[ListedSegment] = []
    for segment in partition.segments:
        what = alike(segment)
        one = segment if what is None else first.setdefault(what, segment)
        table[segment.id] = one.id
        if one is segment:
            kept.append(segment)
    if len(kept) == len(partition.segments):
        return partition
    return Partition(relabel(partition.ids, table), tuple(kept))


def stack_of(partition: Partition) -> Stack:
    """The segments' masks, in the segments' order."""
    values, runs = runs_of_map(partition.ids)
    rows = np.searchsorted(values, [s.id for s in partition.segments])
    return Stack(runs.take(rows), partition.segments)


def labels_of(partition: Partition, void: int) -> NDArray[Any]:
    """The class of each pixel, and `void` where there is no segment; in the smallest unsigned type that holds both."""
    largest = max((s.category for s in partition.segments), default=0)
    if largest >= 2**32 - 1:
        raise SegevalError(f"the class {largest} has no room in a label map", remedy="map it to a smaller one by --map")
    # Moved up by one while they are looked up, so that class 0 is not taken for void.
    table = {s.id: s.category + 1 for s in partition.segments}
    labels = relabel(partition.ids, table)
    kind = np.min_scalar_type(max([void, *(s.category for s in partition.segments)]))
    return np.where(labels == 0, np.uint32(void), labels - np.uint32(1)).astype(kind)


def numbered(segments: Sequence[ListedSegment]) -> tuple[ListedSegment, ...]:
    """The segments with ids of their own: those they have, where these are positive and differ, else the next free."""
    counts: dict[int, int] = {}
    for segment in segments:
        counts[segment.id] = counts.get(segment.id, 0) + 1
    kept = {ident for ident, count in counts.items() if ident > 0 and count == 1}
    used, free, out = set(kept), 1, []
    for segment in segments:
        if segment.id in kept:
            out.append(segment)
            continue
        while free in used:
            free += 1
        used.add(free)
        out.append(replace(segment, id=free))
    return tuple(out)


def require_agreement(partition: Partition, file: object, key: object) -> None:
    """Refuse pixels of a segment that is not listed, and a listed segment without pixels.

    Raises
    ------
    SegevalError
        Naming the segment.
    """
    from segeval.kernels.counting import overlap

    found = np.unique(overlap.overlap_ids(partition.ids, partition.ids)[0])
    present = set(found.tolist()) - {0}
    listed = {s.id for s in partition.segments}
    if strange := present - listed:
        raise SegevalError(
            f"the pixels hold the segment id {min(strange)}, which the list of segments lacks",
            file=file,
            key=key,
            remedy="list it in segments_info, or paint it with the void id 0",
        )
    if absent := listed - present:
        raise SegevalError(
            f"lists segment {min(absent)}, which has no pixel",
            file=file,
            key=key,
            remedy="take it out of segments_info, or paint it",
        )
