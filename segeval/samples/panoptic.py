"""The segments that a panoptic JSON lists, checked: image by image, and many images at once."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.samples.labels import as_labels, to_numpy
from segeval.samples.pairs import Key
from segeval.storage.json_files import integer


@dataclass(frozen=True)
class Segments:
    """The segments of one panoptic map, sorted by id.

    Parameters
    ----------
    ids
        int64, unique, ascending, without void.
    classes
        int64 class ids, aligned with `ids`.
    crowd
        bool, aligned with `ids`.
    areas
        int64 pixels as a file states them, or -1 where it doesn't.
    last_crowd
        bool: the crowd region of its class that counts. The official scorer keeps one crowd a class and image,
        the last in the order of the JSON.
    """

    ids: NDArray[np.int64]
    classes: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    areas: NDArray[np.int64]
    last_crowd: NDArray[np.bool_]


class PanopticMap(NamedTuple):
    """Pixels and segments of one image.

    `pixels` is (H, W) integer segment ids, or (H, W, 3 or 4) uint8 with id = R + 256 G + 65536 B, or `CountedOverlaps`.
    """

    pixels: Any
    segments: Segments


NO_SEGMENTS = Segments(
    np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, bool), np.zeros(0, np.int64), np.zeros(0, bool)
)


def make_segments(entries: Any, file: object, key: Key) -> Segments:
    """The segments of one image, checked; a missing area is -1 (unknown), a missing iscrowd 0.

    Raises
    ------
    SegevalError
        For ids that are no whole numbers, repeat, or do not fit in 24 bits, and for areas that are no numbers.
    """
    if not isinstance(entries, list):
        raise SegevalError("segments_info is no list", file=file, key=key, remedy="give a list of segments")
    rows = np.empty((len(entries), 4), np.int64)
    last: dict[int, int] = {}
    for k, entry in enumerate(entries):
        try:
            ident, category, crowd = entry["id"], entry["category_id"], entry.get("iscrowd", 0)
            area = entry.get("area", -1)
        except (KeyError, TypeError, AttributeError):
            text, remedy = f"segment {k} lacks id or category_id", "give each segment both"
            if isinstance(entry, Mapping) and "label_id" in entry and "category_id" not in entry:
                text = f"segment {k} has label_id and no category_id"
                remedy = "write category_id: the id that the truth gives to the class which the network calls label_id"
            raise SegevalError(text, file=file, key=key, remedy=remedy) from None
        if not (type(ident) is type(category) is type(area) is int):
            ident = integer(ident, f"the id of segment {k}", file, key)
            category = integer(category, f"the category_id of segment {ident}", file, key)
            area = -1 if area is None else integer(area, f"the area of segment {ident}", file, key)
        if not 0 < ident < 2**24:
            what = "is void" if ident == 0 else "does not fit in three bytes"
            raise SegevalError(f"segment id {ident} {what}", file=file, key=key, remedy="use ids from 1 to 16777215")
        if not 0 <= category < 2**32:
            raise SegevalError(
                f"segment {ident} has category_id {category}", file=file, key=key, remedy="use ids from 0 to 4294967295"
            )
        if crowd not in (0, 1):
            raise SegevalError(f"segment {ident} has iscrowd {crowd!r}", file=file, key=key, remedy="write 0 or 1")
        if not -(2**40) < area < 2**40 or (area < 0 and "area" in entry and entry["area"] is not None):
            raise SegevalError(
                f"segment {ident} has the area {area}", file=file, key=key, remedy="correct or remove it"
            )
        rows[k] = ident, category, crowd, area
        if crowd:
            last[category] = k
    counts = np.zeros(len(rows), bool)
    counts[list(last.values())] = True
    order = np.argsort(rows[:, 0], kind="stable")
    rows = rows[order]
    ids = np.ascontiguousarray(rows[:, 0])
    twice = ids[1:] == ids[:-1]
    if twice.any():
        raise SegevalError(
            f"lists the segment id {int(ids[1:][twice][0])} twice",
            file=file,
            key=key,
            remedy="give each segment its own id",
        )
    return Segments(ids, rows[:, 1], rows[:, 2].astype(bool), rows[:, 3], counts[order])


def segments_of_images(listed: Sequence[Any]) -> list[Segments] | None:
    """The segments of each of some images, as `make_segments` gives them; None where that has to look at them singly.

    Parameters
    ----------
    listed
        The ``segments_info`` of the images.
    """
    if not all(type(entries) is list for entries in listed):
        return None
    flat = [entry for entries in listed for entry in entries]
    try:
        ids, classes = [entry["id"] for entry in flat], [entry["category_id"] for entry in flat]
        crowds = [entry.get("iscrowd", 0) for entry in flat]
        areas = [entry.get("area", -1) for entry in flat]
        if {*map(type, ids), *map(type, classes), *map(type, areas)} - {int} or {*map(type, crowds)} - {int, bool}:
            return None
        table = np.array([ids, classes, crowds, areas], np.int64)
    except (KeyError, TypeError, AttributeError, OverflowError):
        return None
    image = np.repeat(np.arange(len(listed)), [len(entries) for entries in listed])
    sequence = np.lexsort((table[0], image))
    low, least = table[:2].min(axis=1, initial=1)
    high, largest, _, most_area = table.max(axis=1, initial=0)
    good = low > 0 and high < 2**24 and least >= 0 and largest < 2**32 and most_area < 2**40
    good = good and set(crowds) <= {0, 1} and all("area" not in flat[k] for k in np.flatnonzero(table[3] < 0))
    last = np.zeros(len(flat), bool)
    # By image and class the place of the last crowd.
    last[list({(image[k], classes[k]): k for k in np.flatnonzero(table[2])}.values())] = True
    table, image, last = table[:, sequence], image[sequence], last[sequence]
    if not good or ((table[0, 1:] == table[0, :-1]) & (image[1:] == image[:-1])).any():
        return None
    crowd = table[2].astype(bool)
    ends = np.cumsum([0, *(len(entries) for entries in listed)]).tolist()
    return [
        Segments(table[0, a:b], table[1, a:b], crowd[a:b], table[3, a:b], last[a:b])
        for a, b in itertools.pairwise(ends)
    ]


def without(image: PanopticMap, void: tuple[int, ...]) -> PanopticMap:
    """A map in which some more segment ids than 0 are void."""
    more = [v for v in void if v]
    if not more:
        return image
    from segeval.kernels.counting import overlap

    pixels = overlap.rgb_ids(image.pixels) if image.pixels.ndim == 3 else image.pixels
    pixels = np.where(np.isin(pixels, more), 0, pixels)
    old = image.segments
    keep = ~np.isin(old.ids, more)
    kept = Segments(old.ids[keep], old.classes[keep], old.crowd[keep], old.areas[keep], old.last_crowd[keep])
    return PanopticMap(pixels, kept)


def no_segments_like(truth: PanopticMap) -> PanopticMap:
    """The panoptic prediction of nothing."""
    height, width = truth.pixels.shape[:2]
    if truth.pixels.ndim == 3:
        pixels: NDArray[Any] = np.zeros((height, width, 3), np.uint8)
    else:
        pixels = np.zeros((height, width), truth.pixels.dtype)
    return PanopticMap(pixels, NO_SEGMENTS)


def from_arrays(pixels: Any, entries: Any, what: str, key: Key) -> PanopticMap:
    """A panoptic map of what a caller holds: ids (H, W) or colours (H, W, 3 or 4) uint8, and its segments.

    The ids 0 and -1 say that there is no segment.

    Raises
    ------
    SegevalError
        For arrays of another shape or type, and for bad segments.
    """
    array = to_numpy(pixels, what)
    if array.dtype.kind == "i" and array.size and int(array.min()) == -1:
        array = np.where(array == -1, 0, array)  # no segment can have this id: it says that there is none
    if array.ndim == 3 and array.dtype == np.uint8 and array.shape[2] in (3, 4) and array.size:
        array = np.require(array, requirements=["C", "A", "W"])
    else:
        array = as_labels(array, what, key=key)
    return PanopticMap(array, make_segments(entries, None, key))
