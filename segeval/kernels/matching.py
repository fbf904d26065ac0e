"""Overlap and greedy matching of detections with truths, as the COCO evaluation does them, and its curves.

Detections and truths of an image are sorted by class; a cell is one class of one image. Within a cell detections
come in descending order of score and truths in the order of their file. Whether detection d is matched under threshold
t and area range a is bit `shift(a) + t` of word `word(a)`: one word where all fit into 64 bits, else one word a range.
"""

from __future__ import annotations

import numpy as np

from segeval.kernels.jit import loop


@loop
def _box_overlap(p, q):  # type: ignore[no-untyped-def]
    """Area of the intersection of two boxes x, y, width, height."""
    width = min(p[2] + p[0], q[2] + q[0]) - max(p[0], q[0])
    if width <= 0:
        return 0.0
    height = min(p[3] + p[1], q[3] + q[1]) - max(p[1], q[1])
    if height <= 0:
        return 0.0
    return width * height


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
def _overlap(d, g, crowd, masks, dets, truths, least, starts, ends):  # type: ignore[no-untyped-def]
    """IoU of a detection and a truth (a crowd divides by the detection alone), or 0 where it is surely below `least`.

    `dets` and `truths` are (boxes, pixels, first, stop); the bound is exact because IoU grows with the intersection,
    in floating point too.
    """
    inter = _box_overlap(dets[0][d], truths[0][g])
    if inter <= 0.0:
        return 0.0
    if not masks:
        area = dets[0][d, 2] * dets[0][d, 3]
        if crowd:
            return inter / area
        return inter / (area + truths[0][g, 2] * truths[0][g, 3] - inter)
    area = dets[1][d]
    other = truths[1][g]
    bound = min(min(area, other), inter)
    if bound / (area if crowd else area + other - bound) < least:
        return 0.0
    common = np.float64(_common(starts, ends, dets[2][d], dets[3][d], truths[2][g], truths[3][g]))
    if common == 0.0:
        return 0.0
    return common / (area if crowd else area + other - common)


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
        bit = one << np.uint64(shift + t)
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
    masks, most, thresholds, ranges, det_image, truth_image, det_class, truth_class,
    det_area, truth_area, crowd, lost, dets, truths, starts, ends, rank, matched, ignored, taken, outside, found, ious,
):  # fmt: skip
    """Match every cell; fills rank (-1 beyond `most`), matched and ignored words of the detections, given as zeros.

    Parameters are whether overlap is of masks, the most detections a cell, thresholds (T) ascending and already below
    one, area ranges (A, 2) closed, offsets of each image's detections and truths, classes, areas that decide on the
    range, crowd flags, truths whose matches are lost (`lost`), and the geometry. Scratch: `taken` (truths, words)
    zeros, `outside` (A, truths) uint8, `found` and `ious` for the truths of an image.
    """
    limit = thresholds.size
    areas = ranges.shape[0]
    single = limit * areas <= 64
    for a in range(areas):
        for g in range(truth_class.size):
            outside[a, g] = crowd[g] or truth_area[g] < ranges[a, 0] or truth_area[g] > ranges[a, 1]
    one = np.uint64(1)
    every = (one << np.uint64(limit)) - one if limit < 64 else ~np.uint64(0)
    for image in range(det_image.size - 1):
        d = det_image[image]
        low = truth_image[image]
        while d < det_image[image + 1]:
            kind = det_class[d]
            while low < truth_image[image + 1] and truth_class[low] < kind:
                low += 1
            high = low
            while high < truth_image[image + 1] and truth_class[high] == kind:
                high += 1
            place = 0
            while d < det_image[image + 1] and det_class[d] == kind:
                rank[d] = place if place < most else -1
                if place < most:
                    near = 0
                    for g in range(low, high):
                        iou = _overlap(d, g, crowd[g], masks, dets, truths, thresholds[0], starts, ends)
                        if iou >= thresholds[0]:
                            found[near] = g
                            ious[near] = iou
                            near += 1
                    for a in range(areas):
                        word = 0 if single else a
                        shift = a * limit if single else 0
                        hit = np.uint64(0)
                        skipped = np.uint64(0)
                        if near == 1:
                            # One candidate: every threshold that its IoU reaches and that is still free, at once.
                            g = found[0]
                            reached = 0
                            while reached < limit and ious[0] >= thresholds[reached]:
                                reached += 1
                            hit = ((one << np.uint64(reached)) - one if reached < 64 else every) << np.uint64(shift)
                            if not crowd[g]:
                                hit &= ~taken[g, word]
                            taken[g, word] |= hit
                            if outside[a, g]:
                                skipped = hit
                            if lost[g]:
                                hit = np.uint64(0)
                        elif near > 1:
                            hit, skipped = _assign(
                                found, ious, near, outside, a, crowd, lost, taken, word, shift, thresholds
                            )
                        if det_area[d] < ranges[a, 0] or det_area[d] > ranges[a, 1]:
                            skipped |= every << np.uint64(shift) & ~hit
                        matched[d, word] |= hit
                        ignored[d, word] |= skipped
                place += 1
                d += 1
            low = high


@loop
def examine(  # type: ignore[no-untyped-def]
    masks, most, low, high, det_image, truth_image, det_class, truth_class, crowd, dets, truths, starts, ends,
    kind, target, flags,
):  # fmt: skip
    """What each detection of a cell's best `most` is, at one threshold `high` and with a floor `low` of overlap.

    Parameters are those of `match`. Fills `kind` (0 right, 1 box, 2 class, 3 duplicate, 4 background, 5 both, 6 on a
    crowd; -1 stays for those beyond `most`), `target` with the truth that each is about (-1 stays for none), and
    `flags` of the truths, given as zeros: 1 found, 2 met by a kind 1 or 2.
    """
    for image in range(det_image.size - 1):
        place = 0
        for d in range(det_image[image], det_image[image + 1]):
            place = place + 1 if d > det_image[image] and det_class[d] == det_class[d - 1] else 0
            if place >= most:
                continue
            free = -1
            best = near = other = 0.0
            best_at = other_at = -1
            on_crowd = False
            for g in range(truth_image[image], truth_image[image + 1]):
                same = det_class[d] == truth_class[g]
                if crowd[g]:
                    on_crowd |= same and _overlap(d, g, True, masks, dets, truths, high, starts, ends) >= high
                    continue
                iou = _overlap(d, g, False, masks, dets, truths, low, starts, ends)
                if same:
                    if iou >= high and not flags[g] & 1 and iou >= near:
                        near = iou
                        free = g
                    if iou > best:
                        best = iou
                        best_at = g
                elif iou > other:
                    other = iou
                    other_at = g
            if free >= 0:
                kind[d] = 0
                target[d] = free
                flags[free] |= 1
            elif on_crowd:
                kind[d] = 6
            elif low <= best < high:
                kind[d] = 1
                target[d] = best_at
            elif other >= high:
                kind[d] = 2
                target[d] = other_at
            elif best >= high:
                kind[d] = 3
                target[d] = best_at
            elif best < low and other < low:
                kind[d] = 4
            else:
                kind[d] = 5
                target[d] = other_at
            if kind[d] == 1 or kind[d] == 2:
                flags[target[d]] |= 2


@loop
def truth_hashes(image, classes, crowd, areas, boxes, first, stop, starts, ends, out):  # type: ignore[no-untyped-def]
    """Add to `out` one 64-bit hash a truth: class, crowd, stated area, and its runs or, without runs, its box.

    The sum over an image's truths does not depend on their order.
    """
    prime = np.uint64(0x9E3779B97F4A7C15)
    for g in range(image.size):
        state = np.uint64(classes[g]) * prime + np.uint64(crowd[g])
        state = (state ^ areas[g]) * prime
        for k in range(4):
            state = ((state ^ (state >> np.uint64(29))) ^ boxes[g, k]) * prime
        for r in range(first[g], stop[g]):
            pair = np.uint64(starts[r]) << np.uint64(32) | np.uint64(ends[r])
            state = ((state ^ (state >> np.uint64(29))) ^ pair) * prime
        out[image[g]] += state ^ (state >> np.uint64(32))
