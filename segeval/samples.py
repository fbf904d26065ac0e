"""What readers hand to metrics: one image's truth and prediction."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Segments:
    """The segments of one panoptic map, sorted by id.

    Parameters
    ----------
    ids
        int64, unique, ascending, without void.
    classes
        int64 class ids, aligned with `ids`.
    crowd
        bool, aligned with `ids`.
    areas
        int64 pixels as a file states them, or -1 where it doesn't.
    last_crowd
        bool: the crowd region of its class that counts. The official scorer keeps one crowd a class and image,
        the last in the order of the JSON.
    """

    ids: NDArray[np.int64]
    classes: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    areas: NDArray[np.int64]
    last_crowd: NDArray[np.bool_]


class PanopticMap(NamedTuple):
    """Pixels and segments of one image.

    `pixels` is (H, W) integer segment ids, or (H, W, 3 or 4) uint8 with id = R + 256 G + 65536 B.
    """

    pixels: NDArray[Any]
    segments: Segments
