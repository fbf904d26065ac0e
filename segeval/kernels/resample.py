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
    widest = 0
    for k in range(truths.shape[0]):
        widest = max(widest, offsets[k + 1] - offsets[k])
    chosen = np.empty(widest, np.int64)
    times = np.empty(widest, np.int64)
    reached = np.empty(widest, np.int64)  # true positives up to the end of a block
    best = np.empty(widest, np.float64)
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
                if shown[m] >= 0:
                    found = 0
                    for r in range(levels):
                        while found / total < recalls[r]:
                            found += 1
                        needed[r] = found
                word = 0 if single else a
                for t in range(limit):
                    bit = one << np.uint64((a * limit if single else 0) + t)
                    blocks = 0
                    true = 0
                    false = 0
                    for c in range(count):
                        d = chosen[c]
                        if ignored[d, word] & bit:
                            continue
                        if matched[d, word] & bit:
                            true += times[c]
                            reached[blocks] = true
                            best[blocks] = true / (np.float64(false + true) + tiny)
                            blocks += 1
                        else:
                            false += times[c]
                    recall[t, k, a, m] = true / total
                    if shown[m] < 0:
                        continue
                    for c in range(blocks - 2, -1, -1):
                        best[c] = max(best[c], best[c + 1])
                    block = 0
                    for r in range(levels):
                        while block < blocks and reached[block] < needed[r]:
                            block += 1
                        precision[shown[m], a, t, r, k] = best[block] if block < blocks else 0.0
