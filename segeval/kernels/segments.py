"""Panoptic matching: which segments of an image meet, from the overlaps of its two maps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segeval.kernels.jit import kernel

Ints = NDArray[np.int64]

NO_SUCH_ID = -1


@kernel
def _find(sorted_ids, value):  # type: ignore[no-untyped-def]
    """Position of a value in ascending ids, or -1."""
    low, high = 0, sorted_ids.size
    while low < high:
        middle = (low + high) >> 1
        if sorted_ids[middle] < value:
            low = middle + 1
        else:
            high = middle
    if low < sorted_ids.size and sorted_ids[low] == value:
        return low
    return NO_SUCH_ID


@kernel
def _match(pair_truth, pair_prediction, pair_pixels, truth, prediction):  # type: ignore[no-untyped-def]
    n, m, pairs = truth.shape[1], prediction.shape[1], pair_pixels.size
    truth_state = np.zeros(n, np.int64)
    void = np.zeros(m, np.int64)
    excused = np.zeros(m, np.int64)
    at_truth = np.empty(pairs, np.int64)
    at_prediction = np.empty(pairs, np.int64)
    unknown = np.full(2, NO_SUCH_ID, np.int64)
    truth[4, :] = 0
    prediction[4, :] = 0
    prediction[2, :] = 0
    for k in range(pairs):
        t = _find(truth[0], pair_truth[k]) if pair_truth[k] != 0 else NO_SUCH_ID
        p = _find(prediction[0], pair_prediction[k]) if pair_prediction[k] != 0 else NO_SUCH_ID
        at_truth[k], at_prediction[k] = t, p
        if t >= 0:
            truth[4, t] += pair_pixels[k]
        elif pair_truth[k] != 0 and unknown[0] < 0:
            unknown[0] = pair_truth[k]
        if p >= 0:
            prediction[4, p] += pair_pixels[k]
            if t < 0:
                void[p] += pair_pixels[k]
            elif truth[3, t] and truth[1, t] == prediction[1, p]:
                excused[p] += pair_pixels[k]
        elif pair_prediction[k] != 0 and unknown[1] < 0:
            unknown[1] = pair_prediction[k]
    matched = np.empty((5, min(n, m)), np.int64)
    count = 0
    for k in range(pairs):
        t, p = at_truth[k], at_prediction[k]
        if t < 0 or p < 0 or truth[2, t]:
            continue
        union = truth[4, t] + prediction[4, p] - pair_pixels[k] - void[p]
        # More than half of the union can hold for one partner only, on either side, so there is nothing to assign.
        if 2 * pair_pixels[k] <= union:
            continue
        same = truth[1, t] == prediction[1, p]
        matched[0, count], matched[1, count] = t, p
        matched[2, count], matched[3, count] = pair_pixels[k], union
        matched[4, count] = same
        count += 1
        if same:
            truth_state[t] = 1
            prediction[2, p] = 1
    for t in range(n):
        if truth[2, t]:
            truth_state[t] = 3
        elif truth_state[t] == 0:
            truth_state[t] = 2
    for p in range(m):
        if prediction[2, p] == 0:
            prediction[2, p] = 3 if 2 * (void[p] + excused[p]) > prediction[4, p] else 2
    return matched[:, :count], truth_state, unknown


def match(
    pair_truth: Ints, pair_prediction: Ints, pair_pixels: Ints, truth: Ints, prediction: Ints
) -> tuple[Ints, Ints, Ints]:
    """Decide every segment of one image, in integers.

    Parameters
    ----------
    pair_truth, pair_prediction, pair_pixels
        int64: overlaps sorted by (truth id, predicted id); void is id 0 on both sides.
    truth
        int64 (5, n): ids ascending, class positions, crowd, last crowd of its class, area (written here).
    prediction
        int64 (5, m): ids ascending, class positions, state (written here: 1 matched, 2 false positive, 3 excused),
        unused, area (written here).

    Returns
    -------
    matched
        int64 (5, k): truth position, predicted position, intersection, union of every pair with 2 i > union, in pair
        order; row 4 is 1 where the classes agree (a true positive).
    truth_state
        int64 (n): 1 matched, 2 missed (false negative), 3 crowd.
    unknown
        The first id of the truth map, then of the predicted map, that is listed nowhere, or -1.
    """
    decided: tuple[Ints, Ints, Ints] = _match(pair_truth, pair_prediction, pair_pixels, truth, prediction)
    return decided
