"""Panoptic matching: which segments of an image meet, from the overlaps of its two maps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segeval.kernels.jit import loop

Ints = NDArray[np.int64]

NO_SUCH_ID = -1


@loop
def _find(ids, low, high, value):  # type: ignore[no-untyped-def]
    """Position of a value in `ids[low:high]`, which ascend, or -1."""
    last = high
    while low < high:
        middle = (low + high) >> 1
        if ids[middle] < value:
            low = middle + 1
        else:
            high = middle
    if low < last and ids[low] == value:
        return low
    return np.int64(NO_SUCH_ID)


@loop
def _match(begins, pairs, truth_begins, truth, prediction_begins, prediction, at, void, matched, state, unknown):  # type: ignore[no-untyped-def]
    ids, other, pixels = pairs[0], pairs[1], pairs[2]
    count = 0
    for image in range(begins.size - 1):
        first_t, last_t = truth_begins[image], truth_begins[image + 1]
        first_p, last_p = prediction_begins[image], prediction_begins[image + 1]
        for k in range(begins[image], begins[image + 1]):
            t = _find(truth[0], first_t, last_t, ids[k]) if ids[k] != 0 else np.int64(NO_SUCH_ID)
            p = _find(prediction[0], first_p, last_p, other[k]) if other[k] != 0 else np.int64(NO_SUCH_ID)
            at[0, k] = t
            at[1, k] = p
            if t >= 0:
                truth[4, t] += pixels[k]
            elif ids[k] != 0 and unknown[0, image] < 0:
                unknown[0, image] = ids[k]
            if p >= 0:
                prediction[4, p] += pixels[k]
                if t < 0:
                    void[0, p] += pixels[k]
                elif truth[3, t] and truth[1, t] == prediction[1, p]:
                    void[1, p] += pixels[k]
            elif other[k] != 0 and unknown[1, image] < 0:
                unknown[1, image] = other[k]
        for k in range(begins[image], begins[image + 1]):
            t = at[0, k]
            p = at[1, k]
            if t < 0 or p < 0 or truth[2, t]:
                continue
            union = truth[4, t] + prediction[4, p] - pixels[k] - void[0, p]
            # More than half of the union can hold for one partner only, on either side: there is nothing to assign.
            if 2 * pixels[k] <= union:
                continue
            same = truth[1, t] == prediction[1, p]
            matched[0, count] = t
            matched[1, count] = p
            matched[2, count] = pixels[k]
            matched[3, count] = union
            matched[4, count] = same
            matched[5, count] = image
            count += 1
            if same:
                state[t] = 1
                prediction[2, p] = 1
    for t in range(state.size):
        if truth[2, t]:
            state[t] = 3
        elif state[t] == 0:
            state[t] = 2
    for p in range(prediction.shape[1]):
        if prediction[2, p] == 0:
            prediction[2, p] = 3 if 2 * (void[0, p] + void[1, p]) > prediction[4, p] else 2
    return count


def match(
    begins: Ints, pairs: Ints, truth_begins: Ints, truth: Ints, prediction_begins: Ints, prediction: Ints
) -> tuple[Ints, Ints, Ints]:
    """Decide every segment of some images, in integers.

    Parameters
    ----------
    begins
        int64 (images + 1): where each image's pairs begin, and where the last one's end.
    pairs
        int64 (3, pairs): truth id, predicted id and pixels, an image's pairs sorted by the ids; void is id 0 on both
        sides.
    truth_begins, prediction_begins
        int64 (images + 1): the same for segments.
    truth
        int64 (5, n): ids ascending within an image, class positions, crowd, last crowd of its class, area (given as 0,
        written here).
    prediction
        int64 (5, m): ids ascending within an image, class positions, state (given as 0, written here: 1 matched, 2
        false positive, 3 excused), unused, area (given as 0, written here).

    Returns
    -------
    matched
        int64 (6, k): truth position, predicted position, intersection, union of every pair with 2 i > union, in pair
        order; row 4 is 1 where the classes agree (a true positive), row 5 is the image.
    truth_state
        int64 (n): 1 matched, 2 missed (false negative), 3 crowd.
    unknown
        int64 (2, images): the first id of an image's truth map, and of its predicted map, listed nowhere, or -1.
    """
    n, m = truth.shape[1], prediction.shape[1]
    state = np.zeros(n, np.int64)
    unknown = np.full((2, len(begins) - 1), NO_SUCH_ID, np.int64)
    matched = np.empty((6, min(n, m)), np.int64)
    scratch = np.empty((2, pairs.shape[1]), np.int64), np.zeros((2, m), np.int64)
    count = _match(begins, pairs, truth_begins, truth, prediction_begins, prediction, *scratch, matched, state, unknown)
    return matched[:, :count], state, unknown
