"""Precision and recall of a data set that repeats its images, from detections that were matched and sorted once."""

from __future__ import annotations

import numpy as np

from segeval.kernels.jit import kernel


@kernel
def accumulate_weighted(  # type: ignore[no-untyped-def]
    offsets, image, rank, matched, ignored, truths, weights, limit, most, shown, recalls, precision, recall
):
    """Fill `precision` (P, A, T, R, K) and `recall` (T, K, A, M); NaN where a class has no truth.

    The detections of class k are `[offsets[k], offsets[k + 1])`, best first; `weights` (images) says how often each
    image counts, and `truths` (K, A) counts truths under these weights. A detection of weight w stands for w equal
    ones in a row. Their precision rises from the first to the last where they are right, so the largest from there on
    is the same for all of them: one entry a block gives the curve of the repeated data set bit for bit.

    `most` (M) holds the largest ranks that count, `shown` (M) where in P their precision goes, or -1 where only
    recall is wanted; recall is filled for every m in the first area range, and for the last m in all.
    """
    areas = truths.shape[1]
    levels = recalls.size
    last = most.size - 1
    single = limit * areas <= 64
    one = np.uint64(1)
    tiny = 2.0**-52
    low_bits = (one << np.uint64(limit)) - one if limit < 64 else ~np.uint64(0)
    widest = 0
    for k in range(truths.shape[0]):
        widest = max(widest, offsets[k + 1] - offsets[k])
    chosen = np.empty(widest, np.int64)
    times = np.empty(widest, np.int64)
    reached = np.empty((limit, widest), np.int64)  # true positives up to the end of a block
    best = np.empty((limit, widest), np.float64)
    blocks = np.empty(limit, np.int64)
    true = np.empty(limit, np.int64)
    false = np.empty(limit, np.int64)
    needed = np.empty(levels, np.int64)
    for k in range(truths.shape[0]):
        for m in range(most.size):
            count = 0
            for d in range(offsets[k], offsets[k + 1]):
                if weights[image[d]] > 0 and rank[d] < most[m]:
                    chosen[count] = d
                    times[count] = weights[image[d]]
                    count += 1
            for a in range(areas):
                if a > 0 and m != last and shown[m] < 0:
                    break
                total = truths[k, a]
                if total == 0:
                    for t in range(limit):
                        recall[t, k, a, m] = np.nan
                        if shown[m] >= 0:
                            for r in range(levels):
                                precision[shown[m], a, t, r, k] = np.nan
                    continue
                word = 0 if single else a
                shift = np.uint64(a * limit if single else 0)
                blocks[:] = 0
                true[:] = 0
                false[:] = 0
                wrong = 0  # false positives at every threshold
                for c in range(count):
                    d = chosen[c]
                    skipped = ignored[d, word] >> shift & low_bits
                    right = matched[d, word] >> shift & low_bits
                    if skipped == low_bits:
                        continue
                    if skipped | right == 0:
                        wrong += times[c]
                        continue
                    for t in range(limit):
                        bit = one << np.uint64(t)
                        if skipped & bit:
                            continue
                        if right & bit:
                            true[t] += times[c]
                            reached[t, blocks[t]] = true[t]
                            best[t, blocks[t]] = true[t] / (np.float64(wrong + false[t] + true[t]) + tiny)
                            blocks[t] += 1
                        else:
                            false[t] += times[c]
                for t in range(limit):
                    recall[t, k, a, m] = true[t] / total
                if shown[m] < 0:
                    continue
                found = 0
                for r in range(levels):
                    while found / total < recalls[r]:
                        found += 1
                    needed[r] = found
                for t in range(limit):
                    for c in range(blocks[t] - 2, -1, -1):
                        best[t, c] = max(best[t, c], best[t, c + 1])
                    block = 0
                    for r in range(levels):
                        while block < blocks[t] and reached[t, block] < needed[r]:
                            block += 1
                        precision[shown[m], a, t, r, k] = best[t, block] if block < blocks[t] else 0.0
