"""What instances are counted into: matched and ignored bits of every detection, and the truths to be found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.evidence.rows import Rows, image_digest
from segeval.metrics.instance.kinds import FLOOR, KIND_COLUMNS, POSITIVE, UNMET_COLUMNS, kind_rows
from segeval.samples.decoding import BadInstanceError, Runs, Side
from segeval.samples.pairs import Key, Pair

if TYPE_CHECKING:
    from segeval.kernels.counting import matching

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
    return _observed(truth, prediction, terms, runs, len(pairs))


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


def _observed(truth: Side, prediction: Side, terms: Terms, runs: Runs, images: int) -> Observed:
    """Match the chunk, and gather its rows."""
    from segeval.kernels.counting import matching

    thresholds = np.minimum(terms.thresholds, HIGHEST_THRESHOLD)
    limits = matching.Limits(terms.masks, terms.most, thresholds, terms.ranges)
    sides = _truths(truth, terms), _detections(prediction, terms)
    chunk = matching.Chunk(limits, *sides, matching.PixelRuns(runs.starts, runs.ends))
    room = int(np.diff(truth.offsets).max())
    near = matching.Near(np.empty(room, np.int64), np.empty(room, np.float64))
    matches = _matched(chunk, near, terms.words)
    kinds, unmet = _kinds(chunk, near, truth, prediction, matches.rank) if terms.diagnose else ({}, {})
    return Observed(
        _detection_rows(chunk, prediction, matches),
        _truth_rows(truth.image, chunk.truths, terms.ranges),
        _notes(truth, prediction, matches.rank, images),
        _hashes(chunk, truth, images),
        kinds,
        unmet,
    )


def _truths(side: Side, terms: Terms) -> matching.Truths:
    from segeval.kernels.counting.matching import Truths

    stated = side.columns.areas[side.rows]
    sizes = side.pixels if terms.masks else side.boxes[:, 2] * side.boxes[:, 3]
    areas = np.where(np.isnan(stated), sizes, stated)
    classes = np.zeros_like(side.classes) if terms.class_agnostic else side.classes
    lost = _zero_ids(side) if terms.original else np.zeros(len(stated), bool)
    return Truths(side.offsets, classes, areas, side.columns.crowd[side.rows], lost, *side.geometry(terms.masks))


def _detections(side: Side, terms: Terms) -> matching.Detections:
    from segeval.kernels.counting.matching import Detections

    boxed = ~np.isnan(side.boxes[:, 0])
    by_box = boxed & (side.columns.boxes_lead if terms.original else not terms.masks)
    by_box |= boxed & (side.kinds == 0)
    areas = side.pixels.astype(np.float64)
    areas[by_box] = side.boxes[by_box, 2] * side.boxes[by_box, 3]
    sequence = side.sorted(side.classes, side.columns.scores[side.rows], terms.class_agnostic)
    classes = np.zeros_like(side.classes) if terms.class_agnostic else side.classes
    return Detections(side.offsets, sequence, classes, areas, *side.geometry(terms.masks))


def _zero_ids(side: Side) -> NDArray[np.bool_]:
    """Truths of id 0, which the original scorer takes for none."""
    zero: NDArray[np.bool_] = side.columns.ids[side.rows] == 0
    return zero


def _matched(chunk: matching.Chunk, near: matching.Near, words: int) -> matching.Matches:
    from segeval.kernels.counting import matching

    size, truths = len(chunk.detections.sequence), len(chunk.truths.classes)
    rank = np.zeros(size, np.int32)
    matches = matching.Matches(rank, *(np.zeros((size, words), np.uint64) for _ in range(2)))
    outside = np.zeros((len(chunk.limits.ranges), truths), np.uint8)
    matching.match(chunk, near, matching.Claims(np.zeros((truths, words), np.uint64), outside), matches)
    return matches


def _kinds(
    chunk: matching.Chunk, near: matching.Near, truth: Side, prediction: Side, rank: Array
) -> tuple[dict[str, Array], dict[str, Array]]:
    """The rows that diagnosis reads."""
    from segeval.kernels.counting import matching

    sequence, truths = chunk.detections.sequence, chunk.truths
    size = len(sequence)
    kinds = matching.Kinds(np.full(size, -1, np.int8), np.full(size, -1), np.zeros(len(truths.classes), np.uint8))
    matching.examine(chunk, FLOOR, POSITIVE, near, kinds)
    scores = prediction.columns.scores[prediction.rows]
    about = (prediction.image, chunk.detections.classes[sequence], scores[sequence], rank)
    return kind_rows(kinds, truths, truth.image, about)


def _detection_rows(chunk: matching.Chunk, side: Side, matches: matching.Matches) -> dict[str, Array]:
    """The detections that count, in sorted order."""
    beyond = matches.rank < 0
    kept: Any = ~beyond if beyond.any() else slice(None)
    sequence = chunk.detections.sequence[kept]
    return {
        "image": side.image[kept],
        "class": chunk.detections.classes[sequence],
        "score": side.columns.scores[side.rows][sequence],
        **{name: column[kept] for name, column in matches._asdict().items()},
    }


def _notes(truth: Side, prediction: Side, rank: Array, images: int) -> dict[str, Array]:
    """How many of each image are worth a caution."""
    boxed_masks = ~np.isnan(prediction.boxes[:, 0]) & (prediction.kinds > 0)
    counted = {
        "zero_ids": truth.image[_zero_ids(truth)],
        "computed_areas": truth.image[np.isnan(truth.columns.areas[truth.rows])],
        "boxed_masks": prediction.image[boxed_masks],
        "beyond": prediction.image[rank < 0],
    }
    per_image = {name: np.bincount(image, minlength=images) for name, image in counted.items()}
    return {"image": np.arange(images), **per_image}


def _hashes(chunk: matching.Chunk, side: Side, images: int) -> NDArray[np.uint64]:
    """For each image the sum of its truths' hashes."""
    from segeval.kernels.counting import matching

    stated = side.columns.areas[side.rows]
    shape = np.zeros((len(stated), 4)) if chunk.limits.masks else side.boxes
    areas, boxes = (
        np.ascontiguousarray(a + 0.0).view(np.uint64) for a in (np.where(np.isnan(stated), -1.0, stated), shape)
    )
    hashes = np.zeros(images, np.uint64)
    matching.truth_hashes(chunk.truths, chunk.runs, side.image, side.classes, areas, boxes, hashes)
    return hashes


def _truth_rows(image: Array, truths: matching.Truths, ranges: Array) -> dict[str, Array]:
    """How many truths of each image and class are to be found in each area range."""
    classes, crowd, area = truths.classes, truths.crowd, truths.areas
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
