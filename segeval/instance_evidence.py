"""What instances are counted into: matched and ignored bits of every detection, and the truths to be found."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.instance_kinds import FLOOR, KIND_COLUMNS, POSITIVE, UNMET_COLUMNS, kind_rows
from segeval.samples import InstanceColumns, Instances, Pair
from segeval.tally import Rows

# Images whose masks are decoded at once: enough to spread the cost of a call, little enough to stay in the cache.
CHUNK = 64

# Just below one, so that a perfect overlap passes a threshold of one.
HIGHEST_THRESHOLD = 1 - 1e-10

Array = NDArray[Any]


class Terms(NamedTuple):
    """What matching needs to know of the rule."""

    masks: bool
    most: int
    thresholds: NDArray[np.float64]
    ranges: NDArray[np.float64]
    class_agnostic: bool
    original: bool
    diagnose: bool = False

    @property
    def words(self) -> int:
        """64-bit words of a detection's bits: one if all ranges and thresholds fit, else one a range."""
        return 1 if len(self.ranges) * len(self.thresholds) <= 64 else len(self.ranges)


class Runs:
    """Scratch for the foreground runs of a chunk; grows and is reused."""

    def __init__(self) -> None:
        self.starts = np.empty(1 << 16, np.int32)
        self.ends = np.empty(1 << 16, np.int32)
        self.toggles = np.empty(1 << 10, np.int32)
        self.counts = np.empty(1 << 10, np.int64)

    def hold(self, runs: int, toggles: int = 0, counts: int = 0) -> None:
        """Grow to hold so much; runs are kept, scratch is not."""
        if runs > len(self.starts):
            more = np.empty(runs + runs // 2 - len(self.starts), np.int32)
            self.starts, self.ends = np.concatenate([self.starts, more]), np.concatenate([self.ends, more])
        if toggles > len(self.toggles):
            self.toggles = np.empty(2 * toggles, np.int32)
        if counts > len(self.counts):
            self.counts = np.empty(2 * counts, np.int64)


class Side:
    """The truths or the predictions of a chunk of images, gathered."""

    def __init__(self, parts: Sequence[Instances]) -> None:
        columns = parts[0].columns
        counts = np.array([p.high - p.low for p in parts], np.int64)
        self.offsets = np.concatenate([[0], np.cumsum(counts)])
        first, last = parts[0].low, parts[-1].high
        self.rows: Any = slice(first, last)
        if last - first != self.offsets[-1] or any(a.high != b.low for a, b in pairwise(parts)):
            starts = np.array([p.low for p in parts], np.int64)
            self.rows = np.arange(self.offsets[-1]) + np.repeat(starts - self.offsets[:-1], counts)
        self.columns: InstanceColumns = columns
        self.image = np.repeat(np.arange(len(parts)), counts)
        self.heights = np.array([p.height for p in parts], np.int64)[self.image]
        self.widths = np.array([p.width for p in parts], np.int64)[self.image]
        self.classes = columns.classes[self.rows]
        self.boxes = columns.boxes[self.rows]
        self.kinds = columns.kinds[self.rows]
        size = len(self.classes)
        self.first, self.stop = np.zeros(size, np.int64), np.zeros(size, np.int64)
        self.pixels = np.zeros(size, np.int64)
        self.corners = np.zeros((size, 4), np.int64)

    def decode(self, runs: Runs, cursor: int) -> int:
        """Find the runs of the masks, their areas and boxes; returns the cursor behind the last run."""
        from segeval.kernels import polygon, rle

        c, rows = self.columns, self.rows
        codes = np.zeros(len(self.classes), np.uint8)
        low, high = c.low[rows], c.high[rows]
        size, place = (self.heights, self.widths), (self.first, self.stop, codes)
        given = (self.kinds, low, high)
        row = 0 if (self.kinds == rle.POLYGON).any() else len(codes)
        while row < len(codes):
            row, cursor, room = polygon.rasterise(
                row, *given, c.rings, c.numbers, *size, runs.starts, runs.ends, cursor, *place, runs.toggles
            )
            runs.hold(cursor + room, toggles=room)
        encoded = self.kinds > rle.POLYGON
        if encoded.any():
            spans = np.where(self.kinds == rle.COMPRESSED, high - low, 0)
            spans[self.kinds == rle.COUNTS] = np.diff(c.rings)[low[self.kinds == rle.COUNTS]]
            runs.hold(cursor + int(spans.sum()) // 2 + len(spans), counts=int(spans.max()) + 2)
            cursor = rle.decode(
                *given, c.text, c.rings, c.numbers, *size, runs.counts, runs.starts, runs.ends, cursor, *place
            )
        if codes.any():
            self._refuse(int(np.flatnonzero(codes)[0]), codes)
        rle.measure(runs.starts, runs.ends, self.first, self.stop, self.heights, self.pixels, self.corners)
        return cursor

    def _refuse(self, row: int, codes: Array) -> None:
        from segeval.kernels import rle

        h, w = self.heights[row], self.widths[row]
        problem, remedy = {
            rle.BAD_TOTAL: (f"a run-length mask that does not cover {h} x {w} pixels", "encode it at the image's size"),
            rle.BAD_CHARACTER: ("a run-length string with a character that is none of its alphabet", "encode it again"),
            rle.NEGATIVE_COUNT: ("a run-length mask with a count that is no natural number", "encode it again"),
            rle.BAD_COORDINATE: ("a polygon with a coordinate that is no usable number", "give pixels"),
            rle.BAD_RING: ("a polygon with fewer than three points, or half a point", "give x, y of at least 3 points"),
        }[int(codes[row])]
        raise BadInstanceError(row, f"has {problem}", remedy)


class BadInstanceError(Exception):
    """A row of a chunk that can't be used; becomes a SegevalError once its image is known."""

    def __init__(self, row: int, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.row, self.problem, self.remedy = row, problem, remedy


class Evidence(NamedTuple):
    """The rows of a chunk: image positions count from its first image."""

    detections: dict[str, Array]
    truths: dict[str, Array]
    notes: dict[str, Array]
    hashes: NDArray[np.uint64]
    kinds: dict[str, Array]
    unmet: dict[str, Array]


def observe_chunk(pairs: Sequence[Pair], terms: Terms, runs: Runs) -> Evidence:
    """Match the images of some pairs, whose truths share one set of columns, and so do their predictions.

    Raises
    ------
    SegevalError
        For a mask or box that is absent or can't be decoded, or a score that is not finite.
    """
    truth = Side([p.truth for p in pairs])
    prediction = Side([p.prediction for p in pairs])
    for side, name in ((truth, "annotation"), (prediction, "result")):
        try:
            _check(side, terms.masks, name == "result")
        except BadInstanceError as bad:
            raise _located(bad, pairs, side, name) from None
    cursor = 0
    for side, name in ((truth, "annotation"), (prediction, "result")):
        if terms.masks or (name == "result" and _needs_masks(side, terms)):
            try:
                cursor = side.decode(runs, cursor)
            except BadInstanceError as bad:
                raise _located(bad, pairs, side, name) from None
    return _evidence(truth, prediction, terms, runs, len(pairs))


def _check(side: Side, masks: bool, prediction: bool) -> None:
    if masks and not side.kinds.all():
        raise BadInstanceError(int(np.argmin(side.kinds)), "has no segmentation", "give one, or score with --iou bbox")
    if not masks:
        absent = np.isnan(side.boxes[:, 0])
        if prediction:
            absent &= side.kinds == 0
        if absent.any():
            raise BadInstanceError(int(np.argmax(absent)), "has no bbox", "give one, or score with --iou segm")
    if prediction and not np.isfinite(side.columns.scores[side.rows]).all():
        row = int(np.argmin(np.isfinite(side.columns.scores[side.rows])))
        score = side.columns.scores[side.rows][row]
        raise BadInstanceError(row, f"has the score {score}", "give a finite score to each result")


def _needs_masks(side: Side, terms: Terms) -> bool:
    """Whether boxes, or the areas that the official scorer would take, come from masks."""
    lead = side.columns.boxes_lead or not terms.original
    return bool(np.isnan(side.boxes).any()) or (not lead and bool(side.kinds.any()))


def _located(bad: BadInstanceError, pairs: Sequence[Pair], side: Side, name: str) -> SegevalError:
    pair = pairs[int(side.image[bad.row])]
    file = pair.truth_file if name == "annotation" else pair.prediction_file
    which = side.columns.ids[side.rows][bad.row]
    return SegevalError(f"{name} {which} {bad.problem}", file=file, key=pair.key, remedy=bad.remedy)


def _evidence(truth: Side, prediction: Side, terms: Terms, runs: Runs, images: int) -> Evidence:
    from segeval.kernels import matching

    t, p = truth.columns, prediction.columns
    crowd = t.crowd[truth.rows]
    stated = t.areas[truth.rows]
    computed = np.isnan(stated)
    sizes = truth.pixels if terms.masks else truth.boxes[:, 2] * truth.boxes[:, 3]
    truth_area = np.where(computed, sizes, stated)
    boxed = ~np.isnan(prediction.boxes[:, 0])
    area = prediction.pixels.astype(np.float64)
    by_box = boxed & (p.boxes_lead if terms.original else not terms.masks)
    by_box |= boxed & (prediction.kinds == 0)
    area[by_box] = prediction.boxes[by_box, 2] * prediction.boxes[by_box, 3]
    scores = p.scores[prediction.rows]
    keys = (-scores, prediction.classes) if not terms.class_agnostic else (prediction.classes, -scores)
    order = np.lexsort((*keys, prediction.image))
    truth_order = np.lexsort((truth.classes, truth.image))
    classes, truth_classes = prediction.classes[order], truth.classes[truth_order]
    if terms.class_agnostic:
        classes, truth_classes = np.zeros_like(classes), np.zeros_like(truth_classes)
    crowd, truth_area = crowd[truth_order], truth_area[truth_order]
    zero = t.ids[truth.rows][truth_order] == 0
    shapes = (
        _geometry(prediction, order, terms.masks),
        _geometry(truth, truth_order, terms.masks),
        runs.starts,
        runs.ends,
    )
    words = terms.words
    rank = np.zeros(len(order), np.int32)
    matched, ignored = (np.zeros((len(order), words), np.uint64) for _ in range(2))
    most = int(np.diff(truth.offsets).max())
    matching.match(
        terms.masks,
        terms.most,
        np.minimum(terms.thresholds, HIGHEST_THRESHOLD),
        terms.ranges,
        prediction.offsets,
        truth.offsets,
        classes,
        truth_classes,
        area[order],
        truth_area,
        crowd,
        zero if terms.original else np.zeros(len(zero), bool),
        *shapes,
        rank,
        matched,
        ignored,
        np.zeros((len(zero), words), np.uint64),
        np.zeros((len(terms.ranges), len(zero)), np.uint8),
        np.empty(most, np.int64),
        np.empty(most, np.float64),
    )
    kinds: dict[str, Array] = {}
    unmet: dict[str, Array] = {}
    if terms.diagnose:
        offsets = (prediction.offsets, truth.offsets)
        examined = np.full(len(order), -1, np.int8), np.full(len(order), -1, np.int64), np.zeros(len(zero), np.uint8)
        matching.examine(
            terms.masks, terms.most, FLOOR, POSITIVE, *offsets, classes, truth_classes, crowd, *shapes, *examined
        )
        about = (prediction.image[order], classes, scores[order], rank)
        kinds, unmet = kind_rows(*examined, about, truth.image[truth_order], truth_classes, crowd, truth.offsets)
    kept = rank >= 0
    hashes = np.zeros(images, np.uint64)
    span = (truth.first, truth.stop) if terms.masks else (np.zeros_like(truth.first),) * 2
    shape = np.zeros((len(stated), 4)) if terms.masks else truth.boxes
    bits = (np.ascontiguousarray(a + 0.0).view(np.uint64) for a in (np.where(computed, -1.0, stated), shape))
    matching.truth_hashes(truth.image, truth.classes, t.crowd[truth.rows], *bits, *span, runs.starts, runs.ends, hashes)
    count = np.bincount
    return Evidence(
        {
            "image": prediction.image[order][kept],
            "class": classes[kept],
            "score": scores[order][kept],
            "rank": rank[kept],
            "matched": matched[kept],
            "ignored": ignored[kept],
        },
        _truth_rows(truth.image[truth_order], truth_classes, crowd, truth_area, terms.ranges),
        {
            "image": np.arange(images),
            "zero_ids": count(truth.image[truth_order][zero], minlength=images),
            "computed_areas": count(truth.image[computed], minlength=images),
            "boxed_masks": count(prediction.image[boxed & (prediction.kinds > 0)], minlength=images),
            "beyond": count(prediction.image[order][~kept], minlength=images),
        },
        hashes,
        kinds,
        unmet,
    )


def _geometry(side: Side, order: Array, masks: bool) -> tuple[Array, Array, Array, Array]:
    """Boxes, pixels and run spans in the order of matching."""
    corners = side.corners.astype(np.float64)
    corners[:, 2:] -= corners[:, :2]
    boxes = corners if masks else np.where(np.isnan(side.boxes[:, :1]), corners, side.boxes)
    return boxes[order], side.pixels[order].astype(np.float64), side.first[order], side.stop[order]


def _truth_rows(image: Array, classes: Array, crowd: Array, area: Array, ranges: Array) -> dict[str, Array]:
    """How many truths of each image and class are to be found in each area range."""
    inside = (area[:, None] >= ranges[:, 0]) & (area[:, None] <= ranges[:, 1]) & (crowd[:, None] == 0)
    fresh = np.ones(len(image), bool)
    fresh[1:] = (image[1:] != image[:-1]) | (classes[1:] != classes[:-1])
    cells = np.flatnonzero(fresh)
    if not len(cells):
        empty = np.zeros(0, np.int64)
        return {"image": empty, "class": empty, "truths": np.zeros((0, len(ranges)), np.int64), "crowds": empty}
    return {
        "image": image[cells],
        "class": classes[cells],
        "truths": np.add.reduceat(inside.astype(np.int64), cells),
        "crowds": np.add.reduceat(crowd.astype(np.int64), cells),
    }


def tables_of(chunks: Sequence[Evidence], firsts: Sequence[int], terms: Terms) -> dict[str, Rows]:
    """The tally's tables from chunks, each with the position of its first image."""
    areas, words = len(terms.ranges), terms.words
    shapes: dict[str, tuple[tuple[str, Any, tuple[int, ...], bool], ...]] = {
        "detections": (
            ("class", np.int32, (), False),
            ("score", np.float64, (), False),
            ("rank", np.int32, (), False),
            ("matched", np.uint64, (words,), False),
            ("ignored", np.uint64, (words,), False),
        ),
        "truths": (
            ("class", np.int32, (), False),
            ("truths", np.int64, (areas,), True),
            ("crowds", np.int64, (), True),
        ),
        "notes": tuple((name, np.int64, (), True) for name in ("zero_ids", "computed_areas", "boxed_masks", "beyond")),
    }
    if terms.diagnose:
        shapes |= {"kinds": KIND_COLUMNS, "unmet": UNMET_COLUMNS}
    tables = {}
    for name, columns in shapes.items():
        parts = [getattr(chunk, name) for chunk in chunks]
        images = [part["image"] + first for part, first in zip(parts, firsts, strict=True)]
        made: dict[bool, dict[str, Array]] = {False: {}, True: {}}
        for column, kind, shape, adds in columns:
            start = np.zeros((0, *shape), kind)
            made[adds][column] = np.concatenate([start, *(p[column] for p in parts)]).astype(kind, copy=False)
        image = np.concatenate([np.zeros(0, np.int32), *images]).astype(np.int32)
        tables[name] = Rows(image, made[False], made[True])
    return tables
