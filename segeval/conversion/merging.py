"""Masks into one map: who owns a pixel that several claim, and stuff where no thing is.

With `overlap` ``score``, a least score and a share that may be covered, this is the merging of Kirillov et al.,
"Panoptic Segmentation", CVPR 2019, section 7; its authors' values are 0.5, 0.5 and 64 * 64 pixels of stuff.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segeval.conversion.content import ListedSegment, Partition, Stack, numbered, relabel
from segeval.errors import SegevalError

OVERLAPS = ("error", "first", "score")


@dataclass(frozen=True)
class Merging:
    """How masks become one map.

    Parameters
    ----------
    overlap
        Who owns a pixel that several masks claim: nobody (``error``), the mask that the file lists first, or the one
        of the highest ``score`` (of equal ones the first).
    most_covered
        Masks of which more than this share belongs to others already are left out; a mask of which nothing is left
        always is.
    min_score
        Masks that score less are left out, before anything else.
    stuff_area
        Stuff of fewer pixels is left out.
    """

    overlap: str = "error"
    most_covered: float = 1.0
    min_score: float = -math.inf
    stuff_area: int = 0

    def __post_init__(self) -> None:
        if self.overlap not in OVERLAPS:
            raise SegevalError(f"overlap={self.overlap!r} is no policy", remedy=f"give {', '.join(OVERLAPS)}")
        if not 0 <= self.most_covered <= 1:
            raise SegevalError(f"{self.most_covered} is no share of a mask", remedy="give 0 to 1")
        if math.isnan(self.min_score):
            raise SegevalError("the least score is no number", remedy="give a number")
        if self.stuff_area < 0:
            raise SegevalError(f"{self.stuff_area} is no number of pixels", remedy="give 0 or more")


def confident(stack: Stack, least: float) -> Stack:
    """The masks that score enough."""
    rows = [i for i, s in enumerate(stack.instances) if s.score >= least]
    return stack if len(rows) == len(stack.instances) else stack.take(rows)


def flatten(stack: Stack, rule: Merging, *, file: object = None, key: object = None) -> tuple[Partition, int]:
    """Masks as segments that share no pixel.

    Parameters
    ----------
    stack
        The masks.
    rule
        Who owns what; `min_score` has been applied.
    file, key
        Where they came from, for messages.

    Returns
    -------
    partition
        Their segments, in the order of the masks; those that had distinct ids keep them.
    left_out
        How many masks have no pixel left.

    Raises
    ------
    SegevalError
        For masks that overlap, if `overlap` is ``error``.
    """
    height, width = stack.runs.height, stack.runs.width
    segments = numbered(stack.instances)
    flat = np.zeros(height * width, np.uint32)
    stands: set[int] = set()
    for i in _order(segments, rule.overlap):
        positions = stack.runs.positions(i)
        taken = flat[positions] != 0
        covered = int(np.count_nonzero(taken))
        if covered and rule.overlap == "error":
            _refuse(segments[i], flat, positions[taken], segments, height, file, key)
        if covered == len(positions) or covered > rule.most_covered * len(positions):
            continue
        flat[positions[~taken] if covered else positions] = segments[i].id
        stands.add(i)
    ids = np.ascontiguousarray(flat.reshape(width, height).T)
    return Partition(ids, tuple(segments[i] for i in sorted(stands))), len(segments) - len(stands)


def _order(segments: Sequence[ListedSegment], overlap: str) -> Sequence[int]:
    if overlap != "score":
        return range(len(segments))
    return sorted(range(len(segments)), key=lambda i: -segments[i].score)


def _refuse(
    segment: ListedSegment,
    flat: NDArray[np.uint32],
    shared: NDArray[np.int64],
    segments: Sequence[ListedSegment],
    height: int,
    file: object,
    key: object,
) -> None:
    other = int(flat[shared[0]])
    places = {s.id: place + 1 for place, s in enumerate(segments)}
    column, row = divmod(int(shared[0]), height)
    raise SegevalError(
        f"masks {places[other]} and {places[segment.id]} of this image overlap in {len(shared)} pixels, "
        f"the first at row {row}, column {column}",
        file=file,
        key=key,
        remedy="say who owns them by --overlap first or --overlap score",
    )


def with_stuff(
    partition: Partition, labels: NDArray[np.integer], stuff: Collection[int], least_area: int = 0
) -> Partition:
    """The segments, and below them one segment for each stuff class of a label map, where no segment is.

    Parameters
    ----------
    partition
        Segments of things.
    labels
        (H, W) classes; what is not among `stuff` stays void.
    stuff
        The classes that are taken.
    least_area
        Classes of which fewer pixels are free are left out.
    """
    free = partition.ids == 0
    values, counts = np.unique(labels[free], return_counts=True)
    used = {s.id for s in partition.segments}
    added: list[ListedSegment] = []
    table: dict[int, int] = {}
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        table[value + 1] = 0
        if value in stuff and count >= max(least_area, 1):
            ident = value if value > 0 and value not in used else _free(used, value)
            used.add(ident)
            added.append(ListedSegment(ident, value))
            table[value + 1] = ident
    below = relabel(np.where(free, labels.astype(np.int64) + 1, 0), table)
    return Partition(np.where(free, below, partition.ids), (*partition.segments, *added))


def _free(used: set[int], above: int) -> int:
    ident = above + 1
    while ident in used:
        ident += 1
    return ident
