"""Precision and recall curves from matched detections, bit for bit as the COCO evaluation accumulates them."""

from __future__ import annotations

import numpy as np

from segeval.kernels.jit import loop


@loop
def _tally(order, low, high, rank, most, matched, ignored, word, shift, places, best, true, false):  # type: ignore[no-untyped-def]
    """Walk one class's detections, best first: places and precisions of the true positives at every threshold.

    Returns the place of the first detection whose rank counts, -1 without one.
    """
    limit = true.size
    one = np.uint64(1)
    for t in range(limit):
        true[t] = 0
        false[t] = 0
    first = np.int64(-1)
    for p in range(low, high):
        d = order[p]
        if rank[d] >= most:
            continue
        if first < 0:
            first = d
        counted = ~(ignored[d, word] >> shift)
        hit = matched[d, word] >> shift & counted
        missed = ~(matched[d, word] >> shift) & counted
        for t in range(limit):
            false[t] += np.int64(missed >> np.uint64(t) & one)
        if hit != 0:
            for t in range(limit):
                if hit >> np.uint64(t) & one:
                    count = true[t]
                    places[t, count] = d
                    count += 1
                    # The official scorer adds 2^-52 to the denominator.
                    best[t, count - 1] = count / (np.float64(false[t] + count) + 2.0**-52)
                    true[t] = count
    return first


@loop
def accumulate(  # type: ignore[no-untyped-def]
    offsets, order, rank, scores, matched, ignored, truths, most, recalls, precision, recall, score,
    needed, places, best, true, false,
):  # fmt: skip
    """Fill `precision` and `score` (T, R, K, A, M) and `recall` (T, K, A, M); entries without truth stay as they are.

    The detections of class k are `order[offsets[k]:offsets[k + 1]]`, best first; `truths` (K, A) counts truths to be
    found and `most` (M) holds the largest ranks that count. Scratch: `needed` (R) int64, `places` int64 and `best`
    float64 (T, detections of the largest class), `true` and `false` (T) int64.
    """
    limit = true.size
    areas = truths.shape[1]
    single = limit * areas <= 64
    for k in range(truths.shape[0]):
        for a in range(areas):
            total = truths[k, a]
            if total == 0:
                continue
            found = 0
            for r in range(recalls.size):  # how many true positives reach each recall
                while found / total < recalls[r]:
                    found += 1
                needed[r] = found
            shift = np.uint64(a * limit if single else 0)
            for m in range(most.size):
                first = _tally(
                    order, offsets[k], offsets[k + 1], rank, most[m], matched, ignored, 0 if single else a, shift,
                    places, best, true, false,
                )  # fmt: skip
                for t in range(limit):
                    count = true[t]
                    for c in range(count - 2, -1, -1):
                        best[t, c] = max(best[t, c], best[t, c + 1])
                    recall[t, k, a, m] = count / total
                    for r in range(recalls.size):
                        precision[t, r, k, a, m] = 0.0
                        score[t, r, k, a, m] = 0.0
                        if needed[r] == 0 and first >= 0:
                            precision[t, r, k, a, m] = best[t, 0] if count else 0.0
                            score[t, r, k, a, m] = scores[first]
                        elif 0 < needed[r] <= count:
                            precision[t, r, k, a, m] = best[t, needed[r] - 1]
                            score[t, r, k, a, m] = scores[places[t, needed[r] - 1]]
