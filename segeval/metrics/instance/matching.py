"""What instances are counted into: matched and ignored bits of every detection, and the truths to be found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.evidence.rows import Rows, image_digest
from segeval.metrics.instance.kinds import FLOOR, KIND_COLUMNS, POSITIVE, UNMET_COLUMNS, kind_rows
from segeval.samples.decoding import BadInstanceError, Runs, Side
from segeval.samples.pairs import Key, Pair

# Images whose masks are decoded at once: enough to spread the cost of a call, little enough to stay in the cache.
CHUNK = 128

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


class Observed(NamedTuple):
    """The rows of a chunk: image positions count from its first image."""

    detections: dict[str, Array]
    truths: dict[str, Array]
    notes: dict[str, Array]
    hashes: NDArray[np.uint64]
    kinds: dict[str, Array]
    unmet: dict[str, Array]


def observe_chunk(pairs: Sequence[Pair], terms: Terms, runs: Runs) -> Observed:
    """Match the images of some pairs, whose truths share one set of columns, and so do their predictions.

    Raises
    ------
    SegevalError
        For a mask or box that is absent or can't be decoded, or a score that is not finite.
    """
    truth = Side([p.truth for p in pairs], by_class=True)
    prediction = Side([p.prediction for p in pairs], by_class=False)
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


def _evidence(truth: Side, prediction: Side, terms: Terms, runs: Runs, images: int) -> Observed:
    from segeval.kernels.counting import matching

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
    sequence = prediction.sorted(prediction.classes, scores, terms.class_agnostic)
    classes, truth_classes = prediction.classes, truth.classes
    if terms.class_agnostic:
        classes, truth_classes = np.zeros_like(classes), np.zeros_like(truth_classes)
    zero = t.ids[truth.rows] == 0
    boxes, spans = prediction.geometry(terms.masks)
    truth_boxes, truth_spans = truth.geometry(terms.masks)
    rank = np.zeros(len(scores), np.int32)
    matched, ignored = (np.zeros((len(scores), terms.words), np.uint64) for _ in range(2))
    most = int(np.diff(truth.offsets).max())
    matching.match(
        terms.masks,
        terms.most,
        np.minimum(terms.thresholds, HIGHEST_THRESHOLD),
        terms.ranges,
        prediction.offsets,
        truth.offsets,
        sequence,
        classes,
        truth_classes,
        area,
        truth_area,
        crowd,
        zero if terms.original else np.zeros(len(zero), bool),
        boxes,
        truth_boxes,
        spans,
        truth_spans,
        runs.starts,
        runs.ends,
        rank,
        matched,
        ignored,
        np.zeros((len(zero), terms.words), np.uint64),
        np.zeros((len(terms.ranges), len(zero)), np.uint8),
        np.empty(most, np.int64),
        np.empty(most, np.float64),
    )
    kinds: dict[str, Array] = {}
    unmet: dict[str, Array] = {}
    if terms.diagnose:
        examined = np.full(len(scores), -1, np.int8), np.full(len(scores), -1), np.zeros(len(zero), np.uint8)
        matching.examine(
            *(terms.masks, terms.most, FLOOR, POSITIVE, prediction.offsets, truth.offsets, sequence, classes),
            *(truth_classes, crowd, boxes, truth_boxes, spans, truth_spans, runs.starts, runs.ends),
            *(np.empty(most, np.int64), np.empty(most, np.float64), *examined),
        )
        about = (prediction.image, classes[sequence], scores[sequence], rank)
        kinds, unmet = kind_rows(*examined, about, truth.image, truth_classes, crowd, truth.offsets)
    kept: Any = slice(None)
    beyond = rank < 0
    if beyond.any():
        kept = ~beyond
        sequence = sequence[kept]
    hashes = np.zeros(images, np.uint64)
    shape = np.zeros((len(stated), 4)) if terms.masks else truth.boxes
    bits = (np.ascontiguousarray(a + 0.0).view(np.uint64) for a in (np.where(computed, -1.0, stated), shape))
    matching.truth_hashes(truth.image, truth.classes, crowd, *bits, truth_spans, runs.starts, runs.ends, hashes)

    def per_image(image: Array) -> Array:
        return np.bincount(image, minlength=images)

    return Observed(
        {
            "image": prediction.image[kept],
            "class": classes[sequence],
            "score": scores[sequence],
            "rank": rank[kept],
            "matched": matched[kept],
            "ignored": ignored[kept],
        },
        _truth_rows(truth.image, truth_classes, crowd, truth_area, terms.ranges),
        {
            "image": np.arange(images),
            "zero_ids": per_image(truth.image[zero]),
            "computed_areas": per_image(truth.image[computed]),
            "boxed_masks": per_image(prediction.image[boxed & (prediction.kinds > 0)]),
            "beyond": per_image(prediction.image[beyond]),
        },
        hashes,
        kinds,
        unmet,
    )


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


def image_digests(images: Sequence[tuple[Key, int, int]], contents: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """64 bits for each image's truth, from its key, height, width and the sum of its truths' hashes."""
    numbers = [k if type(k) is int and -(2**63) <= k < 2**63 else None for k, _, _ in images]
    heads = np.array([0 if n is None else n for n in numbers], np.int64).view(np.uint64)
    for i, (number, (key, _, _)) in enumerate(zip(numbers, images, strict=True)):
        if number is None:
            heads[i] = image_digest(key)
    sizes = np.array([(h, w) for _, h, w in images], np.uint64).reshape(-1, 2)
    state = contents
    for part in (heads, sizes[:, 0], sizes[:, 1]):
        state = (state ^ (state >> np.uint64(31)) ^ part) * np.uint64(0x9E3779B97F4A7C15)
    return state ^ (state >> np.uint64(32))


def tables_of(chunks: Sequence[Observed], firsts: Sequence[int], terms: Terms) -> dict[str, Rows]:
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
