"""Two panoptic maps laid over one another, and each against its own list of segments."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.samples.labels import require_same_size
from segeval.samples.pairs import Key, Pair


def colours(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Segment ids as their colours, so that a digest does not depend on how an image was handed over."""
    if pixels.ndim == 3:
        return pixels[..., :3]
    channels = pixels.astype("<u4").view(np.uint8).reshape(*pixels.shape, 4)
    return channels[..., :3] if not channels[..., 3].any() else channels


def overlaps(pair: Pair) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Truth ids, predicted ids and pixels of what overlaps, sorted by the ids.

    Raises
    ------
    SegevalError
        For sizes that differ.
    """
    from segeval.kernels.counting import overlap

    truth, prediction = pair.truth.pixels, pair.prediction.pixels
    remedy = "predict at the truth's size"
    require_same_size(truth, prediction, file=pair.prediction_file, key=pair.key, remedy=remedy)
    if truth.ndim == prediction.ndim == 3:
        a, b, pixels = overlap.overlap_rgb(truth, prediction)
    else:
        truth, prediction = (overlap.rgb_ids(p) if p.ndim == 3 else p for p in (truth, prediction))
        a, b, pixels = overlap.overlap_ids(truth, prediction)
    return a.astype(np.int64), b.astype(np.int64), pixels


def require_agreement(
    unknown: int,
    table: NDArray[np.int64],
    side: str,
    file: str | None,
    key: Key,
    stated: NDArray[np.int64] | None = None,
) -> None:
    """Every id of the pixels is listed, every listed one has pixels, and a stated area is the pixels' own.

    Raises
    ------
    SegevalError
        Where that is not so.
    """
    if unknown >= 0:
        text = f"the {side}'s pixels hold the segment id {unknown}, which its list of segments lacks"
        remedy = "list it in segments_info, or paint it with the void id 0"
        turned = unknown >> 16 | unknown & 0xFF00 | (unknown & 0xFF) << 16
        if turned != unknown and turned in table[0]:
            text += f"; with red and blue swapped it is the id {turned}, which is listed"
            remedy = "write id = R + 256 G + 65536 B, with red first (cv2.imwrite takes blue first)"
        raise SegevalError(text, file=file, key=key, remedy=remedy)
    empty = table[4] == 0
    if empty.any():
        raise SegevalError(
            f"the {side} lists segment {int(table[0, np.argmax(empty)])}, which has no pixel",
            file=file,
            key=key,
            remedy="take it out of segments_info, or paint it",
        )
    if stated is None:
        return
    wrong = (stated >= 0) & (stated != table[4])
    if wrong.any():
        k = int(np.argmax(wrong))
        raise SegevalError(
            f"segment {int(table[0, k])} has the area {int(stated[k])} in the JSON but {int(table[4, k])} pixels",
            file=file,
            key=key,
            remedy="correct or remove 'area' (a wrong one gives PQ above 100 elsewhere)",
        )
