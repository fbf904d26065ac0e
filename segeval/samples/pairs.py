"""What readers hand to metrics: one image's truth and prediction."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Key = int | str


class Pair(NamedTuple):
    """One image: its key, its truth and its prediction, and the files that they came from (for messages)."""

    key: Key
    truth: Any
    prediction: Any
    truth_file: str | None = None
    prediction_file: str | None = None


class NoPrediction:
    """Stands in place of a label map that is missing and scored as empty."""


NO_PREDICTION = NoPrediction()


class CountedOverlaps(NamedTuple):
    """What stands in place of a truth's pixels where a device has counted them: overlaps sorted by truth, prediction.

    Parameters
    ----------
    shape
        Height and width.
    crc
        CRC-32 of the truth's bytes, as `segeval.samples.labels.crc_of` gives it.
    truth, prediction, pixels
        int64: the pairs of labels (or segment ids) that occur, and their pixels.
    cut
        How a foreground was cut to labels (`segeval.metrics.semantic.channels`).
    """

    shape: tuple[int, int]
    crc: int
    truth: NDArray[np.int64]
    prediction: NDArray[np.int64]
    pixels: NDArray[np.int64]
    cut: int = 0
