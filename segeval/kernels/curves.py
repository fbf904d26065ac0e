"""Precision and recall curves from matched detections, bit for bit as the COCO evaluation accumulates them."""

from __future__ import annotations

import numpy as np

from segeval.kernels.jit import kernel


@kernel
def accumulate(offsets, rank, scores, matched, ignored, truths, limit, most, recalls, precision, recall, score):  # type: ignore[no-untyped-def]
    """Fill `precision` and `score` (T, R, K, A, M) and `recall` (T, K, A, M); entries without truth stay as they are.

    The detections of class k are `[offsets[k], offsets[k + 1])`, best first; `truths` (K, A) counts truths to be found
    and `most` (M) holds the largest ranks that count.
    """
    areas = truths.shape[1]
    levels = recalls.size
    single = limit * areas <= 64
    one = np.uint64(1)
    tiny = 2.0**-52
    widest = 0
    for k in range(truths.shape[0]):
        widest = max(widest, offsets[k + 1] - offsets[k])
    chosen = np.empty(widest, np.int64)
    hits = np.empty(widest, np.int64)  # places of the true positives
    best = np.empty(widest, np.float64)  # their precision, then the largest from there on
    needed = np.empty(levels, np.int64)
    for k in range(truths.shape[0]):
        for a in range(areas):
            total = truths[k, a]
            if total == 0:
                continue
            found = 0
            for r in range(levels):  # how many true positives reach each recall
                while found / total < recalls[r]:
                    found += 1
                needed[r] = found
            word = 0 if single else a
            for m in range(most.size):
                count = 0
                for d in range(offsets[k], offsets[k + 1]):
                    if rank[d] < most[m]:
                        chosen[count] = d
                        count += 1
                for t in range(limit):
                    bit = one << np.uint64((a * limit if single else 0) + t)
                    true = 0
                    false = 0
                    for c in range(count):
                        d = chosen[c]
                        if ignored[d, word] & bit:
                            continue
                        if matched[d, word] & bit:
                            hits[true] = d
                            true += 1
                            best[true - 1] = true / (np.float64(false + true) + tiny)
                        else:
                            false += 1
                    for c in range(true - 2, -1, -1):
                        best[c] = max(best[c], best[c + 1])
                    recall[t, k, a, m] = true / total
                    for r in range(levels):
                        precision[t, r, k, a, m] = 0.0
                        score[t, r, k, a, m] = 0.0
                        if needed[r] == 0 and count > 0:
                            precision[t, r, k, a, m] = best[0] if true else 0.0
                            score[t, r, k, a, m] = scores[chosen[0]]
                        elif 0 < needed[r] <= true:
                            precision[t, r, k, a, m] = best[needed[r] - 1]
                            score[t, r, k, a, m] = scores[hits[needed[r] - 1]]
