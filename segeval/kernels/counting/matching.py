"""Overlap and greedy matching of detections with truths, as the COCO evaluation does them, and its curves.

Detections and truths of an image are sorted by class; a cell is one class of one image. Within a cell detections
come in descending order of score and truths in the order of their file. Whether detection d is matched under threshold
t and area range a is bit `shift(a) + t` of word `word(a)`: one word where all fit into 64 bits, else one word a range.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segeval.kernels.jit import loop, part

Array = NDArray[Any]


class Limits(NamedTuple):
    """From when on a detection matches, and how many of them count."""

    masks: bool  # whether overlap is of masks, else of boxes
    most: int  # detections a cell
    thresholds: Array  # ascending IoU, below one
    ranges: Array  # (ranges, 2) areas, both ends included


class Truths(NamedTuple):
    """The truths of a chunk, by image and class."""

    offsets: Array  # where those of each image begin, and the end
    classes: Array
    areas: Array  # what decides on the range
    crowd: Array
    lost: Array  # whether a match with it does not count
    boxes: Array  # (truths, 4) x, y, width, height
    spans: Array  # (truths, 3) of runs: first, stop, pixels


class Detections(NamedTuple):
    """The detections of a chunk, by image."""

    offsets: Array
    sequence: Array  # their places sorted by image, class and descending score
    classes: Array
    areas: Array
    boxes: Array
    spans: Array


class PixelRuns(NamedTuple):
    """The runs of pixels of all masks of a chunk."""

    starts: Array
    ends: Array


class Chunk(NamedTuple):
    """What is matched in one call: some images and the terms on which it is done."""

    limits: Limits
    truths: Truths
    detections: Detections
    runs: PixelRuns


class Matches(NamedTuple):
    """What `match` fills, by detection in sorted order."""

    rank: Array  # in its cell; -1 beyond the most that count
    matched: Array  # (detections, words), given as zeros
    ignored: Array  # likewise


class Kinds(NamedTuple):
    """What `examine` fills."""

    # By detection in sorted order: 0 right, 1 box, 2 class, 3 duplicate, 4 background, 5 both, 6 on a crowd; given as
    # -1, which stays beyond the most that count.
    kind: Array
    truth: Array  # that the detection is about; given as -1, which stays for none
    met: Array  # by truth, given as zeros: 1 found, 2 met by a detection of kind 1 or 2


class Claims(NamedTuple):
    """What `match` keeps of each truth."""

    taken: Array  # (truths, words) zeros: the bits of those that are matched
    outside: Array  # (ranges, truths) uint8: whether a match is ignored


class Near(NamedTuple):
    """Scratch for the truths near one detection; room for those of an image."""

    truths: Array
    ious: Array


@loop
def order(offsets, classes, scores, agnostic, out):  # type: ignore[no-untyped-def]
    """Sort each image's detections by class and descending score, or (`agnostic`) by descending score and class.

    Equal ones keep their order. Insertion: an image has a few dozen; `out` holds the places in file order.
    """
    for image in range(offsets.size - 1):
        begin = offsets[image]
        for k in range(begin, offsets[image + 1]):
            kind = classes[k]
            score = scores[k]
            place = k
            while place > begin:
                other = out[place - 1]
                if agnostic:
                    before = scores[other] < score or (scores[other] == score and classes[other] > kind)
                else:
                    before = classes[other] > kind or (classes[other] == kind and scores[other] < score)
                if not before:
                    break
                out[place] = other
                place -= 1
            out[place] = k


@part
def _beyond(values, low, high, limit):  # type: ignore[no-untyped-def]
    """The first place of ascending values in `[low, high)` that exceeds a limit."""
    while low < high:
        middle = (low + high) // 2
        if values[middle] > limit:
            high = middle
        else:
            low = middle + 1
    return low


@part
def _common(starts, ends, i, last_i, j, last_j):  # type: ignore[no-untyped-def]
    """Pixels in both of two lists of runs."""
    # Skip what ends before the other begins: masks far down the columns share no early runs.
    if ends[i] <= starts[j]:
        i = _beyond(ends, i, last_i, starts[j])
    elif ends[j] <= starts[i]:
        j = _beyond(ends, j, last_j, starts[i])
    common = np.int64(0)
    while i < last_i and j < last_j:
        end_i = ends[i]
        end_j = ends[j]
        shared = np.int64(min(end_i, end_j)) - max(starts[i], starts[j])
        common += max(shared, np.int64(0))
        i += end_i <= end_j
        j += end_j <= end_i
    return common


@part
def _near(chunk, d, low, high, least, near):  # type: ignore[no-untyped-def]
    """Collect the truths whose IoU with a detection reaches `least`; a crowd divides by the detection alone.

    A pair is given up where a bound on the intersection cannot reach it: exact, because IoU grows with the
    intersection, in floating point too. Returns how many there are.
    """
    count = 0
    masks, runs = chunk.limits.masks, chunk.runs
    boxes, spans = chunk.detections.boxes, chunk.detections.spans
    others, its, crowd = chunk.truths.boxes, chunk.truths.spans, chunk.truths.crowd
    x, y = boxes[d, 0], boxes[d, 1]
    right, bottom = boxes[d, 2] + x, boxes[d, 3] + y
    area = np.float64(spans[d, 2]) if masks else boxes[d, 2] * boxes[d, 3]
    for g in range(low, high):
        width = min(right, others[g, 2] + others[g, 0]) - max(x, others[g, 0])
        if width <= 0:
            continue
        height = min(bottom, others[g, 3] + others[g, 1]) - max(y, others[g, 1])
        if height <= 0:
            continue
        inter = width * height
        if masks:
            other = np.float64(its[g, 2])
            bound = min(min(area, other), inter)
            if bound / (area if crowd[g] else area + other - bound) < least:
                continue
            common = _common(runs.starts, runs.ends, spans[d, 0], spans[d, 1], its[g, 0], its[g, 1])
            if common == 0:
                continue
            inter = np.float64(common)
        else:
            other = others[g, 2] * others[g, 3]
        iou = inter / (area if crowd[g] else area + other - inter)
        if iou >= least:
            near.truths[count] = g
            near.ious[count] = iou
            count += 1
    return count


@part
def _take_one(near, a, word, shift, thresholds, every, truths, claims):  # type: ignore[no-untyped-def]
    """`_take_best` of one candidate: every threshold that its IoU reaches and that is still free, at once."""
    one = np.uint64(1)
    g = near.truths[0]
    reached = 0
    while reached < thresholds.size and near.ious[0] >= thresholds[reached]:
        reached += 1
    hit = ((one << np.uint64(reached)) - one if reached < 64 else every) << shift
    if not truths.crowd[g]:
        hit &= ~claims.taken[g, word]
    claims.taken[g, word] |= hit
    ignored = hit if claims.outside[a, g] else np.uint64(0)
    return np.uint64(0) if truths.lost[g] else hit, ignored


@part
def _take_best(near, count, a, word, shift, thresholds, truths, claims):  # type: ignore[no-untyped-def]
    """Which of `count` candidates a detection takes at each threshold of one area range.

    Truths inside the range come first; only where none of them fits does one outside it count, and the detection is
    then ignored. Returns the bits of the thresholds where it matched and those where the match is ignored; sets
    `claims.taken`. Of equal IoUs the later truth wins.
    """
    taken = claims.taken
    matched = np.uint64(0)
    ignored = np.uint64(0)
    one = np.uint64(1)
    for t in range(thresholds.size):
        bit = one << (shift + np.uint64(t))
        for ignoring in range(2):
            best = -1
            least = thresholds[t]
            for c in range(count):
                g = near.truths[c]
                if claims.outside[a, g] != ignoring or near.ious[c] < least:
                    continue
                if taken[g, word] & bit and not truths.crowd[g]:
                    continue
                least = near.ious[c]
                best = g
            if best >= 0:
                taken[best, word] |= bit
                if not truths.lost[best]:
                    matched |= bit
                if ignoring:
                    ignored |= bit
                break
    return matched, ignored


@part
def _settle(chunk, p, count, every, near, claims, matches):  # type: ignore[no-untyped-def]
    """Fill the bits of the detection at place p, which has `count` candidates."""
    truths, thresholds, ranges = chunk.truths, chunk.limits.thresholds, chunk.limits.ranges
    area = chunk.detections.areas[chunk.detections.sequence[p]]
    areas = ranges.shape[0]
    single = thresholds.size * areas <= 64
    for a in range(areas):
        word = 0 if single else a
        shift = np.uint64(a * thresholds.size if single else 0)
        hit = np.uint64(0)
        ignored = np.uint64(0)
        if count == 1:
            hit, ignored = _take_one(near, a, word, shift, thresholds, every, truths, claims)
        elif count > 1:
            hit, ignored = _take_best(near, count, a, word, shift, thresholds, truths, claims)
        if area < ranges[a, 0] or area > ranges[a, 1]:
            ignored |= every << shift & ~hit
        matches.matched[p, word] |= hit
        matches.ignored[p, word] |= ignored


@loop
def match(chunk, near, claims, matches):  # type: ignore[no-untyped-def]
    """Match every cell of a chunk; fills `matches`."""
    truths, classes, sequence = chunk.truths, chunk.detections.classes, chunk.detections.sequence
    thresholds, ranges = chunk.limits.thresholds, chunk.limits.ranges
    for a in range(ranges.shape[0]):
        for g in range(truths.classes.size):
            area = truths.areas[g]
            claims.outside[a, g] = truths.crowd[g] or area < ranges[a, 0] or area > ranges[a, 1]
    every = (np.uint64(1) << np.uint64(thresholds.size)) - np.uint64(1) if thresholds.size < 64 else ~np.uint64(0)
    for image in range(chunk.detections.offsets.size - 1):
        low = truths.offsets[image]
        high = low
        end = truths.offsets[image + 1]
        place = 0
        first = chunk.detections.offsets[image]
        for p in range(first, chunk.detections.offsets[image + 1]):
            kind = classes[sequence[p]]
            if p == first or classes[sequence[p - 1]] != kind:
                place = 0
                low = high
                while low < end and truths.classes[low] < kind:
                    low += 1
                high = low
                while high < end and truths.classes[high] == kind:
                    high += 1
            if place >= chunk.limits.most:
                matches.rank[p] = -1
                continue
            matches.rank[p] = place
            place += 1
            count = _near(chunk, sequence[p], low, high, thresholds[0], near) if high > low else 0
            _settle(chunk, p, count, every, near, claims, matches)


@part
def _kind_of(chunk, d, count, positive, near, met):  # type: ignore[no-untyped-def]
    """The kind of a detection with `count` candidates, and the truth that it is about, as in `Kinds`."""
    truths, own_class = chunk.truths, chunk.detections.classes[d]
    taking = own = other = 0.0
    free = own_at = other_at = -1
    on_crowd = False
    for c in range(count):
        g = near.truths[c]
        iou = near.ious[c]
        same = truths.classes[g] == own_class
        if truths.crowd[g]:
            on_crowd |= same and iou >= positive
        elif same:
            if iou >= positive and not met[g] & 1 and iou >= taking:
                taking = iou
                free = g
            if iou > own:
                own = iou
                own_at = g
        elif iou > other:
            other = iou
            other_at = g
    if free >= 0:
        return 0, free
    if on_crowd:
        return 6, -1
    if 0.0 < own < positive:
        return 1, own_at
    if other >= positive:
        return 2, other_at
    if own >= positive:
        return 3, own_at
    if other > 0.0:
        return 5, other_at
    return 4, -1


@loop
def examine(chunk, floor, positive, near, kinds):  # type: ignore[no-untyped-def]
    """What each detection of a cell's best is at the one threshold `positive`; fills `kinds`.

    Below an IoU of `floor` a detection is about nothing.
    """
    offsets, classes, sequence = chunk.detections.offsets, chunk.detections.classes, chunk.detections.sequence
    for image in range(offsets.size - 1):
        low, high = chunk.truths.offsets[image], chunk.truths.offsets[image + 1]
        place = 0
        for p in range(offsets[image], offsets[image + 1]):
            d = sequence[p]
            place = place + 1 if p > offsets[image] and classes[sequence[p - 1]] == classes[d] else 0
            if place >= chunk.limits.most:
                continue
            count = _near(chunk, d, low, high, floor, near)
            kind, about = _kind_of(chunk, d, count, positive, near, kinds.met)
            kinds.kind[p] = kind
            kinds.truth[p] = about
            if kind < 3:
                kinds.met[about] |= 1 if kind == 0 else 2


@loop
def truth_hashes(truths, runs, image, classes, areas, boxes, out):  # type: ignore[no-untyped-def]
    """Add to `out` one 64-bit hash a truth: class, crowd, stated area, and its runs or, without runs, its box.

    `areas` and `boxes` come as bits. The sum over an image's truths does not depend on their order.
    """
    crowd, spans = truths.crowd, truths.spans
    prime = np.uint64(0x9E3779B97F4A7C15)
    for g in range(image.size):
        state = np.uint64(classes[g]) * prime + np.uint64(crowd[g])
        state = (state ^ areas[g]) * prime
        for k in range(4):
            state = ((state ^ (state >> np.uint64(29))) ^ boxes[g, k]) * prime
        for r in range(spans[g, 0], spans[g, 1]):
            pair = np.uint64(runs.starts[r]) << np.uint64(32) | np.uint64(runs.ends[r])
            state = ((state ^ (state >> np.uint64(29))) ^ pair) * prime
        out[image[g]] += state ^ (state >> np.uint64(32))
