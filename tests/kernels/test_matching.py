"""Matching of one chunk, against a plain loop over cells, thresholds and area ranges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from segeval.kernels.counting import matching
from segeval.kernels.counting.matching import Chunk, Claims, Detections, Limits, Matches, Near, PixelRuns, Truths

# (detection, threshold, range) -> matched, ignored
Bits = dict[tuple[int, int, int], tuple[bool, bool]]


def _boxes(rng: np.random.Generator, size: int) -> Any:
    return np.column_stack([rng.integers(0, 6, (size, 2)), rng.integers(1, 9, (size, 2))]).astype(np.float64)


def _chunk(seed: int, thresholds: int, most: int) -> Chunk:
    rng = np.random.default_rng(seed)
    truth_offsets, offsets = (np.concatenate([[0], np.cumsum(rng.integers(0, 9, 6))]) for _ in range(2))
    truths, size = int(truth_offsets[-1]), int(offsets[-1])
    classes = rng.integers(0, 2, size)
    image, truth_image = (np.repeat(np.arange(6), np.diff(o)) for o in (offsets, truth_offsets))
    truth_classes = rng.integers(0, 2, truths)
    truth_classes = truth_classes[np.lexsort((truth_classes, truth_image))]
    sequence = np.lexsort((np.arange(size), classes, image))
    boxes, truth_boxes = _boxes(rng, size), _boxes(rng, truths)
    none, crowd, lost = np.zeros((0, 3), np.int64), rng.random(truths) < 0.2, rng.random(truths) < 0.1
    ranges = np.array([(0, 1e10), (0, 16), (16, 1e10)], np.float64)
    areas, truth_areas = (b[:, 2] * b[:, 3] for b in (boxes, truth_boxes))
    return Chunk(
        Limits(False, most, np.linspace(0.1, 0.95, thresholds), ranges),
        Truths(truth_offsets, truth_classes, truth_areas, crowd, lost, truth_boxes, none),
        Detections(offsets, sequence, classes, areas, boxes, none),
        PixelRuns(np.zeros(0, np.int32), np.zeros(0, np.int32)),
    )


def _iou(d: Any, g: Any, crowd: bool) -> float:
    sides = [max(0.0, min(d[k] + d[k + 2], g[k] + g[k + 2]) - max(d[k], g[k])) for k in (0, 1)]
    inter, area, other = sides[0] * sides[1], d[2] * d[3], g[2] * g[3]
    return float(inter / (area if crowd else area + other - inter))


def _expected(chunk: Chunk) -> tuple[list[int], Bits]:
    limits, t, d = chunk.limits, chunk.truths, chunk.detections
    ranks: list[int] = []
    bits: Bits = {}
    for image in range(len(d.offsets) - 1):
        mine = d.sequence[d.offsets[image] : d.offsets[image + 1]].tolist()
        there = range(t.offsets[image], t.offsets[image + 1])
        places = [sum(d.classes[o] == d.classes[k] for o in mine[:i]) for i, k in enumerate(mine)]
        first = len(ranks)
        ranks += [place if place < limits.most else -1 for place in places]
        for j, threshold in enumerate(limits.thresholds):
            for a, (low, high) in enumerate(limits.ranges):
                taken: set[int] = set()
                for p, k in enumerate(mine):
                    if ranks[first + p] < 0:
                        continue
                    best, value, out = -1, threshold, False
                    for ignoring in (False, True):
                        for g in there:
                            outside = bool(t.crowd[g]) or not low <= t.areas[g] <= high
                            iou = _iou(d.boxes[k], t.boxes[g], bool(t.crowd[g]))
                            free = g not in taken or t.crowd[g]
                            if t.classes[g] == d.classes[k] and outside == ignoring and free and iou >= value:
                                best, value, out = g, iou, ignoring
                        if best >= 0:
                            break
                    taken.add(best)
                    hit = best >= 0 and not t.lost[best]
                    bits[first + p, j, a] = hit, out or (not hit and not low <= d.areas[k] <= high)
    return ranks, bits


@pytest.mark.parametrize("thresholds", [1, 10, 30])  # 30 in 3 ranges don't fit into one word
@pytest.mark.parametrize("most", [2, 100])
def test_boxes(thresholds: int, most: int) -> None:
    met = 0
    for seed in range(20):
        chunk = _chunk(seed, thresholds, most)
        size, truths = len(chunk.detections.classes), len(chunk.truths.classes)
        words = 1 if thresholds * 3 <= 64 else 3
        columns = (np.zeros((size, words), np.uint64) for _ in range(2))
        matches = Matches(np.zeros(size, np.int32), *columns)
        claims = Claims(np.zeros((truths, words), np.uint64), np.zeros((3, truths), np.uint8))
        near = Near(np.empty(truths, np.int64), np.empty(truths, np.float64))
        matching.match(chunk, near, claims, matches)
        ranks, expected = _expected(chunk)
        assert matches.rank.tolist() == ranks
        for (p, j, a), wanted in expected.items():
            word, bit = (0, a * thresholds + j) if words == 1 else (a, j)
            found = tuple(bool(int(column[p, word]) >> bit & 1) for column in (matches.matched, matches.ignored))
            assert found == wanted, (seed, p, j, a)
            met += wanted[0]
    assert met > 100
