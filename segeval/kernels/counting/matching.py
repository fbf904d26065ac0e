"""Overlap and greedy matching of detections with truths, as the COCO evaluation does them, and its curves.

Detections and truths of an image are sorted by class; a cell is one class of one image. Within a cell detections
come in descending order of score and truths in the order of their file. Whether detection d is matched under threshold
t and area range a is bit `shift(a) + t` of word `word(a)`: one word where all fit into 64 bits, else one word a range.
"""

from __future__ import annotations

import numpy as np

from segeval.kernels.jit import loop


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


@loop
def _beyond(values, low, high, limit):  # type: ignore[no-untyped-def]
    """The first place of ascending values in `[low, high)` that exceeds a limit."""
    while low < high:
        middle = (low + high) // 2
        if values[middle] > limit:
            high = middle
        else:
            low = middle + 1
    return low


@loop
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


@loop
def _near(d, low, high, masks, crowd, least, boxes, truth_boxes, spans, truth_spans, starts, ends, found, ious):  # type: ignore[no-untyped-def]
    """Collect the truths whose IoU with a detection reaches `least`; a crowd divides by the detection alone.

    A pair is given up where a bound on the intersection cannot reach it: exact, because IoU grows with the
    intersection, in floating point too.
    """
    near = 0
    x, y = boxes[d, 0], boxes[d, 1]
    right, bottom = boxes[d, 2] + x, boxes[d, 3] + y
    area = np.float64(spans[d, 2]) if masks else boxes[d, 2] * boxes[d, 3]
    for g in range(low, high):
        width = min(right, truth_boxes[g, 2] + truth_boxes[g, 0]) - max(x, truth_boxes[g, 0])
        if width <= 0:
            continue
        height = min(bottom, truth_boxes[g, 3] + truth_boxes[g, 1]) - max(y, truth_boxes[g, 1])
        if height <= 0:
            continue
        inter = width * height
        if masks:
            other = np.float64(truth_spans[g, 2])
            bound = min(min(area, other), inter)
            if bound / (area if crowd[g] else area + other - bound) < least:
                continue
            common = _common(starts, ends, spans[d, 0], spans[d, 1], truth_spans[g, 0], truth_spans[g, 1])
            if common == 0:
                continue
            inter = np.float64(common)
        else:
            other = truth_boxes[g, 2] * truth_boxes[g, 3]
        iou = inter / (area if crowd[g] else area + other - inter)
        if iou >= least:
            found[near] = g
            ious[near] = iou
            near += 1
    return near


@loop
def _assign(found, ious, near, outside, a, crowd, lost, taken, word, shift, thresholds):  # type: ignore[no-untyped-def]
    """Which of `near` candidates a detection takes at each threshold of one area range.

    Truths inside the range come first; only where none of them fits does one outside it count, and the detection is
    then ignored. Returns the bits of the thresholds where it matched and those where the match is ignored; sets
    `taken`. Of equal IoUs the later truth wins.
    """
    matched = np.uint64(0)
    ignored = np.uint64(0)
    one = np.uint64(1)
    for t in range(thresholds.size):
        bit = one << (shift + np.uint64(t))
        for ignoring in range(2):
            best = -1
            least = thresholds[t]
            for c in range(near):
                g = found[c]
                if outside[a, g] != ignoring or ious[c] < least or (taken[g, word] & bit and not crowd[g]):
                    continue
                least = ious[c]
                best = g
            if best >= 0:
                taken[best, word] |= bit
                if not lost[best]:
                    matched |= bit
                if ignoring:
                    ignored |= bit
                break
    return matched, ignored


@loop
def match(  # type: ignore[no-untyped-def]
    masks, most, thresholds, ranges, offsets, truth_offsets, sequence, classes, truth_classes,
    area, truth_area, crowd, lost, boxes, truth_boxes, spans, truth_spans, starts, ends,
    rank, matched, ignored, taken, outside, found, ious,
):  # fmt: skip
    """Match every cell; fills rank (-1 beyond `most`), matched and ignored words, given as zeros, in sorted order.

    Parameters are whether overlap is of masks, the most detections a cell, thresholds (T) ascending and already below
    one, area ranges (A, 2) closed, offsets of each image's detections and truths, the sorted `sequence` of the
    detections, classes, areas that decide on the range, crowd flags, truths whose matches are lost, boxes, and `spans`
    (n, 3) of runs: first, stop, pixels. Truths lie by image and class. Scratch: `taken` (truths, words) zeros,
    `outside` (A, truths) uint8, `found` and `ious` for the truths of an image.
    """
    limit = thresholds.size
    areas = ranges.shape[0]
    single = limit * areas <= 64
    for a in range(areas):
        for g in range(truth_classes.size):
            outside[a, g] = crowd[g] or truth_area[g] < ranges[a, 0] or truth_area[g] > ranges[a, 1]
    one = np.uint64(1)
    every = (one << np.uint64(limit)) - one if limit < 64 else ~np.uint64(0)
    for image in range(offsets.size - 1):
        low = truth_offsets[image]
        high = low
        end = truth_offsets[image + 1]
        place = 0
        for p in range(offsets[image], offsets[image + 1]):
            d = sequence[p]
            kind = classes[d]
            if p == offsets[image] or classes[sequence[p - 1]] != kind:
                place = 0
                low = high
                while low < end and truth_classes[low] < kind:
                    low += 1
                high = low
                while high < end and truth_classes[high] == kind:
                    high += 1
            if place >= most:
                rank[p] = -1
                continue
            rank[p] = place
            place += 1
            near = 0
            if high > low:
                near = _near(
                    d, low, high, masks, crowd, thresholds[0], boxes, truth_boxes, spans, truth_spans, starts, ends,
                    found, ious,
                )  # fmt: skip
            for a in range(areas):
                word = 0 if single else a
                shift = np.uint64(a * limit if single else 0)
                hit = np.uint64(0)
                skipped = np.uint64(0)
                if near == 1:
                    # One candidate: every threshold that its IoU reaches and that is still free, at once.
                    g = found[0]
                    reached = 0
                    while reached < limit and ious[0] >= thresholds[reached]:
                        reached += 1
                    hit = ((one << np.uint64(reached)) - one if reached < 64 else every) << shift
                    if not crowd[g]:
                        hit &= ~taken[g, word]
                    taken[g, word] |= hit
                    if outside[a, g]:
                        skipped = hit
                    if lost[g]:
                        hit = np.uint64(0)
                elif near > 1:
                    hit, skipped = _assign(found, ious, near, outside, a, crowd, lost, taken, word, shift, thresholds)
                if area[d] < ranges[a, 0] or area[d] > ranges[a, 1]:
                    skipped |= every << shift & ~hit
                matched[p, word] |= hit
                ignored[p, word] |= skipped


@loop
def examine(  # type: ignore[no-untyped-def]
    masks, most, floor, positive, offsets, truth_offsets, sequence, classes, truth_classes, crowd, boxes, truth_boxes,
    spans, truth_spans, starts, ends, found, ious, kind, target, flags,
):  # fmt: skip
    """What each detection of a cell's best `most` is, in sorted order, at the one threshold `positive`.

    Parameters are those of `match`; below an IoU of `floor` a detection is about nothing. Fills `kind` (0 right, 1 box,
    2 class, 3 duplicate, 4 background, 5 both, 6 on a crowd; -1 stays for those beyond `most`), `target` with the truth
    that each is about (-1 stays for none), and `flags` of the truths, given as zeros: 1 found, 2 met by a kind 1 or 2.
    """
    for image in range(offsets.size - 1):
        place = 0
        for p in range(offsets[image], offsets[image + 1]):
            d = sequence[p]
            place = place + 1 if p > offsets[image] and classes[sequence[p - 1]] == classes[d] else 0
            if place >= most:
                continue
            near = _near(
                d, truth_offsets[image], truth_offsets[image + 1], masks, crowd, floor, boxes, truth_boxes, spans,
                truth_spans, starts, ends, found, ious,
            )  # fmt: skip
            taking = own = other = 0.0
            free = own_at = other_at = -1
            on_crowd = False
            for c in range(near):
                g = found[c]
                iou = ious[c]
                same = truth_classes[g] == classes[d]
                if crowd[g]:
                    on_crowd |= same and iou >= positive
                elif same:
                    if iou >= positive and not flags[g] & 1 and iou >= taking:
                        taking = iou
                        free = g
                    if iou > own:
                        own = iou
                        own_at = g
                elif iou > other:
                    other = iou
                    other_at = g
            what = 4
            about = -1
            if free >= 0:
                what = 0
                about = free
            elif on_crowd:
                what = 6
            elif 0.0 < own < positive:
                what = 1
                about = own_at
            elif other >= positive:
                what = 2
                about = other_at
            elif own >= positive:
                what = 3
                about = own_at
            elif other > 0.0:
                what = 5
                about = other_at
            kind[p] = what
            target[p] = about
            if what < 3 and about >= 0:
                flags[about] |= 1 if what == 0 else 2


@loop
def truth_hashes(image, classes, crowd, areas, boxes, spans, starts, ends, out):  # type: ignore[no-untyped-def]
    """Add to `out` one 64-bit hash a truth: class, crowd, stated area, and its runs or, without runs, its box.

    The sum over an image's truths does not depend on their order.
    """
    prime = np.uint64(0x9E3779B97F4A7C15)
    for g in range(image.size):
        state = np.uint64(classes[g]) * prime + np.uint64(crowd[g])
        state = (state ^ areas[g]) * prime
        for k in range(4):
            state = ((state ^ (state >> np.uint64(29))) ^ boxes[g, k]) * prime
        for r in range(spans[g, 0], spans[g, 1]):
            pair = np.uint64(starts[r]) << np.uint64(32) | np.uint64(ends[r])
            state = ((state ^ (state >> np.uint64(29))) ^ pair) * prime
        out[image[g]] += state ^ (state >> np.uint64(32))
